/**
 * WastedVerifications: what each peer has cost in signatures that were verified for nothing. A signature is the dearest
 * thing that a member can make us do. Each peer has a share a second; when it is used up, what has to be verified is
 * dropped unverified, and nobody else waits for it.
 */
import { TokenBucket } from '../../shared/token-bucket.js'
import type { AuthorityIndex } from './consensus/types.js'
import { VERIFICATIONS_WASTED_PER_S } from './limits.js'
import type { Problem } from './synchronizer.js'

export class WastedVerifications {
  private readonly shares: TokenBucket[]

  constructor(authorities: number) {
    this.shares = Array.from(
      { length: authorities },
      () => new TokenBucket(VERIFICATIONS_WASTED_PER_S, VERIFICATIONS_WASTED_PER_S),
    )
  }

  /** So many signatures of this peer were verified for nothing. */
  charge(peer: AuthorityIndex, signatures: number, nowMs: number): void {
    this.shares[peer]!.take(signatures, nowMs)
  }

  /** Why nothing of this peer is verified now. */
  problemOf(peer: AuthorityIndex, nowMs: number): Problem | undefined {
    if (this.shares[peer]!.left(nowMs) > 0) return undefined
    return {
      reason: 'verifications-over-share',
      detail: `more than ${VERIFICATIONS_WASTED_PER_S} signatures a second that were verified for nothing`,
    }
  }
}
