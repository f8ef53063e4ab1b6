/**
 * How many verifications of signatures each peer may have us do for nothing. Its messages wait while it has used that up,
 * and in the end its stream: what it sends costs the others no more than its share. Verifications that led to something
 * are not counted, since what they can lead to is bounded.
 */
import type { AuthorityIndex } from './consensus/types.js'
import { WASTED_VERIFICATIONS_BURST, WASTED_VERIFICATIONS_PER_S } from './limits.js'

export class VerificationBudget {
  /** By peer: what is left, below 0 if the last message cost more, and when that was. */
  private readonly shares: { left: number; atMs: number }[]

  constructor(authorities: number) {
    this.shares = Array.from({ length: authorities }, () => ({ left: WASTED_VERIFICATIONS_BURST, atMs: 0 }))
  }

  /** A message of this peer was refused after so many verifications. */
  spend(peer: AuthorityIndex, verifications: number, nowMs: number): void {
    this.refilled(peer, nowMs).left -= verifications
  }

  /** How long messages of this peer have to wait, in ms; 0 if they need not. */
  waitMs(peer: AuthorityIndex, nowMs: number): number {
    const { left } = this.refilled(peer, nowMs)
    return left > 0 ? 0 : Math.ceil(((1 - left) / WASTED_VERIFICATIONS_PER_S) * 1000)
  }

  private refilled(peer: AuthorityIndex, nowMs: number): { left: number; atMs: number } {
    const share = this.shares[peer]!
    const earned = (Math.max(0, nowMs - share.atMs) / 1000) * WASTED_VERIFICATIONS_PER_S
    share.left = Math.min(WASTED_VERIFICATIONS_BURST, share.left + earned)
    share.atMs = nowMs
    return share
  }
}
