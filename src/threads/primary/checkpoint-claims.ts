/**
 * CheckpointClaims: signatures of checkpoints by others that make no quorum yet, or are of commits that are not here yet. Of
 * each authority the highest CHECKPOINT_CLAIMS_PER_PEER are kept: one that says much takes its own place only.
 */
import { type Checkpoint, isSameCheckpoint, type SignedCheckpoint } from '../../shared/wire/primary/checkpoint.js'
import { compareBytes } from '../../shared/wire/primary/record.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex } from './consensus/types.js'
import { CHECKPOINT_CLAIMS_PER_PEER } from './limits.js'

interface Claim {
  readonly checkpoint: SignedCheckpoint
  isVerified: boolean
}

export class CheckpointClaims {
  /** By signer, and by index. */
  private readonly claims: readonly Map<number, Claim>[]
  /** By signer: the highest index that it has said. */
  private readonly highest: number[]

  constructor(authorities: number) {
    this.claims = Array.from({ length: authorities }, () => new Map())
    this.highest = new Array<number>(authorities).fill(0)
  }

  get size(): number {
    return this.claims.reduce((sum, { size }) => sum + size, 0)
  }

  /** Takes the place of what its signer has said of this commit before. */
  add(checkpoint: SignedCheckpoint): void {
    const { index, signer } = checkpoint
    const claims = this.claims[signer]!
    const isSame = claims.get(index)?.isVerified === true && this.isVerified(checkpoint)
    claims.set(index, { checkpoint, isVerified: isSame })
    this.highest[signer] = Math.max(this.highest[signer]!, index)
    if (claims.size > CHECKPOINT_CLAIMS_PER_PEER) claims.delete(Math.min(...claims.keys()))
  }

  at(signer: AuthorityIndex, index: number): SignedCheckpoint | undefined {
    return this.claims[signer]!.get(index)?.checkpoint
  }

  /** Of this commit, by signer. */
  of(index: number): SignedCheckpoint[] {
    return this.claims.flatMap((claims) => claims.get(index)?.checkpoint ?? [])
  }

  /** This signature is valid. What its signer has said of that commit besides is another one. */
  verified(checkpoint: SignedCheckpoint): void {
    const claim = this.claims[checkpoint.signer]!.get(checkpoint.index)
    if (claim !== undefined && isSameSignature(claim.checkpoint, checkpoint)) claim.isVerified = true
  }

  /** Whether this signature was verified. */
  isVerified(checkpoint: SignedCheckpoint): boolean {
    const claim = this.claims[checkpoint.signer]!.get(checkpoint.index)
    return claim?.isVerified === true && isSameSignature(claim.checkpoint, checkpoint)
  }

  remove(checkpoint: SignedCheckpoint): void {
    const { index, signer } = checkpoint
    const claim = this.claims[signer]!.get(index)
    if (claim !== undefined && isSameSignature(claim.checkpoint, checkpoint)) this.claims[signer]!.delete(index)
  }

  /** What is of commits up to this one is not needed any more. */
  forget(index: number): void {
    for (const claims of this.claims) {
      for (const each of claims.keys()) if (each <= index) claims.delete(each)
    }
  }

  /** The stake of those who have said something of a commit above this one. */
  stakeAbove(index: number, stakes: Stakes): number {
    return this.highest.reduce((sum, each, signer) => (each > index ? sum + stakes.of(signer) : sum), 0)
  }
}

function isSameSignature(
  a: Checkpoint & { signature: Uint8Array },
  b: Checkpoint & { signature: Uint8Array },
): boolean {
  return compareBytes(a.signature, b.signature) === 0 && isSameCheckpoint(a, b)
}
