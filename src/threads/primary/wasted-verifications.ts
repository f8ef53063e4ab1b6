/**
 * WastedVerifications: what each peer has cost in signatures that were verified for nothing. A signature is the dearest
 * thing that a member can make us do. Each peer has a share a second; when it is used up, what has to be verified is
 * dropped unverified, and nobody else waits for it.
 */
import type { AuthorityIndex } from './consensus/types.js'
import { VERIFICATIONS_WASTED_PER_S } from './limits.js'
import type { Problem } from './synchronizer.js'

interface Share {
  left: number
  atMs: number
}

export class WastedVerifications {
  private readonly shares: Share[]

  constructor(authorities: number) {
    this.shares = Array.from({ length: authorities }, () => ({
      left: VERIFICATIONS_WASTED_PER_S,
      atMs: Number.NEGATIVE_INFINITY,
    }))
  }

  /** So many signatures of this peer were verified for nothing. */
  charge(peer: AuthorityIndex, signatures: number): void {
    this.shares[peer]!.left -= signatures
  }

  /** Why nothing of this peer is verified now. */
  problemOf(peer: AuthorityIndex, nowMs: number): Problem | undefined {
    const share = this.shares[peer]!
    const seconds = Math.max(0, nowMs - share.atMs) / 1000
    share.atMs = nowMs
    share.left = Math.min(VERIFICATIONS_WASTED_PER_S, share.left + seconds * VERIFICATIONS_WASTED_PER_S)
    if (share.left > 0) return undefined
    return {
      reason: 'verifications-over-share',
      detail: `more than ${VERIFICATIONS_WASTED_PER_S} signatures a second that were verified for nothing`,
    }
  }
}
