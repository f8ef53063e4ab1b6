/**
 * How many verifications of signatures each peer may have us do for nothing. Its messages wait while it has used that up,
 * and in the end its stream: what it sends costs the others no more than its share. Verifications that led to something
 * are not counted, since what they can lead to is bounded.
 */
import { TokenBucket } from '../../shared/token-bucket.js'
import type { AuthorityIndex } from './consensus/types.js'
import { WASTED_VERIFICATIONS_BURST, WASTED_VERIFICATIONS_PER_S } from './limits.js'

export class VerificationBudget {
  /** By peer: below 0 if the last message cost more than was left. */
  private readonly shares: TokenBucket[]

  constructor(authorities: number) {
    this.shares = Array.from(
      { length: authorities },
      () => new TokenBucket(WASTED_VERIFICATIONS_PER_S, WASTED_VERIFICATIONS_BURST),
    )
  }

  /** A message of this peer was refused after so many verifications. */
  spend(peer: AuthorityIndex, verifications: number, nowMs: number): void {
    this.shares[peer]!.take(verifications, nowMs)
  }

  /** How long messages of this peer have to wait, in ms; 0 if they need not. */
  waitMs(peer: AuthorityIndex, nowMs: number): number {
    const left = this.shares[peer]!.left(nowMs)
    return left > 0 ? 0 : Math.ceil(((1 - left) / WASTED_VERIFICATIONS_PER_S) * 1000)
  }
}
