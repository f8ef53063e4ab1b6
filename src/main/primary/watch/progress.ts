/** For how long what should move has not moved. Pure: the clock is handed in. */

export interface Standing {
  /** The highest round with a quorum of certificates is the same for so long, in ms. */
  readonly roundStillMs: number
  /** The primary's thread has handled no event for so long, in ms: its own load comes five times a second. */
  readonly threadStillMs: number
}

export class Progress {
  private quorumRound = Number.NaN
  private events = Number.NaN
  private roundSinceMs = 0
  private threadSinceMs = 0

  look({ events, quorumRound }: { readonly events: number; readonly quorumRound: number }, nowMs: number): Standing {
    if (quorumRound !== this.quorumRound) this.roundSinceMs = nowMs
    if (events !== this.events) this.threadSinceMs = nowMs
    this.quorumRound = quorumRound
    this.events = events
    return { roundStillMs: nowMs - this.roundSinceMs, threadStillMs: nowMs - this.threadSinceMs }
  }
}
