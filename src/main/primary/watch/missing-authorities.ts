/**
 * Which authorities take no part: rounds go on, and none of their certificates comes. A connection says less: one that is
 * open may be that of a process that stands still. Pure: the clock is handed in.
 */
import { MISSING_MS, MISSING_ROUNDS } from './limits.js'

interface Author {
  /** Its highest round with a certificate here, and when that came. */
  round: number
  atMs: number
  isMissing: boolean
}

export interface Change {
  readonly authority: number
  readonly isMissing: boolean
  /** The round since which there is no certificate of it, or the one with which it is back. */
  readonly round: number
  /** Since its certificate before, in ms. */
  readonly forMs: number
}

export class MissingAuthorities {
  private readonly authors: readonly Author[]
  /** The first round with a quorum that was seen: a store has certificates that are not delivered anew. */
  private firstRound = 0

  constructor(authorities: number, nowMs: number) {
    this.authors = Array.from({ length: authorities }, () => ({ round: 0, atMs: nowMs, isMissing: false }))
  }

  /** The highest round of an authority's certificates since the start; 0 if none has come. */
  roundOf(authority: number): number {
    return this.authors[authority]!.round
  }

  /** A certificate was delivered. Says if its author is back. */
  certified(authority: number, round: number, nowMs: number): Change | undefined {
    const author = this.authors[authority]!
    if (round <= author.round) return undefined
    const forMs = nowMs - author.atMs
    const { isMissing } = author
    author.round = round
    author.atMs = nowMs
    author.isMissing = false
    return isMissing ? { authority, isMissing: false, round, forMs } : undefined
  }

  /** Those that are missing from now on, with what is known of the highest round with a quorum. */
  look(quorumRound: number, nowMs: number): readonly Change[] {
    if (this.firstRound === 0) this.firstRound = quorumRound
    return this.authors.flatMap((author, authority) => {
      const { atMs, isMissing } = author
      const round = Math.max(author.round, this.firstRound)
      if (isMissing || nowMs - atMs < MISSING_MS || quorumRound - round < MISSING_ROUNDS) return []
      author.isMissing = true
      return [{ authority, isMissing: true, round, forMs: nowMs - atMs }]
    })
  }
}
