/**
 * Pacing: for how long the proposer waits before the next header. It decides how fast rounds are, never what is ordered.
 *
 * - `parentWaitMs`: certificates of authorities that answered lately are worth waiting for once there is a quorum: a
 *   certificate that is no parent may never be ordered. It follows twice their usual lag behind the quorum.
 * - `headerDelayMs`: the time between two headers. A round costs the machine time that batches need as well, so it grows
 *   while the event loop is late, and shrinks again.
 */
import type { AuthorityIndex, Round } from './consensus/types.js'
import * as limits from './limits.js'

export class Pacing {
  private readonly authority: AuthorityIndex
  /** By author: the last round whose certificate came, and the usual lag of its certificates behind the quorum, in ms. */
  private readonly lastRounds: Round[]
  private readonly lags: number[]
  private delayMs = limits.HEADER_DELAY_MS_MIN

  constructor(authority: AuthorityIndex, authorities: number) {
    this.authority = authority
    this.lastRounds = new Array<Round>(authorities).fill(Number.NEGATIVE_INFINITY)
    this.lags = new Array<number>(authorities).fill(0)
  }

  get headerDelayMs(): number {
    return this.delayMs
  }

  /** The event loop is late by so much. */
  load(lagMs: number): void {
    const next = lagMs > limits.LOAD_LAG_MS ? this.delayMs * 1.25 : this.delayMs * 0.9
    this.delayMs = Math.min(limits.HEADER_DELAY_MS_MAX, Math.max(limits.HEADER_DELAY_MS_MIN, next))
  }

  /** A certificate came, so long after the quorum of its round; 0 if it was part of it. */
  arrived(author: AuthorityIndex, round: Round, lagMs: number): void {
    if (round > this.lastRounds[author]!) this.lastRounds[author] = round
    const lag = Math.min(lagMs, limits.PARENT_WAIT_MS_MAX)
    this.lags[author] = this.lags[author]! * 0.8 + lag * 0.2
  }

  /**
   * When all certificates of a round that are worth waiting for have come, or have been waited for.
   *
   * @param has whether the certificate of an author came
   */
  parentsAtMs(round: Round, quorumAtMs: number, has: (author: AuthorityIndex) => boolean): number {
    const isPatient = round % limits.PATIENT_ROUNDS === 0
    const rounds = isPatient ? limits.PATIENT_RESPONSIVE_ROUNDS : limits.RESPONSIVE_ROUNDS
    let waitMs = 0
    for (const [author, lag] of this.lags.entries()) {
      if (author === this.authority || has(author) || this.lastRounds[author]! < round - rounds) continue
      const own = Math.max(limits.PARENT_WAIT_MS_MIN, 2 * lag)
      waitMs = Math.max(waitMs, isPatient ? own * limits.PATIENT_WAIT_FACTOR : own)
    }
    return quorumAtMs + Math.min(waitMs, limits.PARENT_WAIT_MS_MAX)
  }
}
