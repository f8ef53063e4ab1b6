/** For how long what should move has not moved. Pure: the clock is handed in. */

export interface Moving {
  /** Events that the primary's thread has handled. */
  readonly events: number
  /** The highest round with a quorum of certificates. */
  readonly quorumRound: number
  /** Flushes that have ended, and whether one is on its way. */
  readonly flushes: number
  readonly isFlushing: boolean
}

export interface Standing {
  /** The highest round with a quorum of certificates is the same for so long, in ms. */
  readonly roundStillMs: number
  /** The primary's thread has handled no event for so long, in ms: its own load comes five times a second. */
  readonly threadStillMs: number
  /** One flush has been on its way for so long, in ms; 0 if none is. */
  readonly flushMs: number
}

export class Progress {
  private last: Moving | undefined
  private roundSinceMs = 0
  private threadSinceMs = 0
  private flushSinceMs = 0

  /** To be called now and then: what moves between two looks is not seen to stand. */
  look(now: Moving, nowMs: number): Standing {
    const { last } = this
    if (now.quorumRound !== last?.quorumRound) this.roundSinceMs = nowMs
    if (now.events !== last?.events) this.threadSinceMs = nowMs
    if (!now.isFlushing || now.flushes !== last?.flushes) this.flushSinceMs = nowMs
    this.last = now
    return {
      roundStillMs: nowMs - this.roundSinceMs,
      threadStillMs: nowMs - this.threadSinceMs,
      flushMs: nowMs - this.flushSinceMs,
    }
  }
}
