/**
 * When a batch is sealed before it is full and before its delay is over.
 *
 * While a batch of ours is on its way to a quorum, the next one gathers. Once all are certified the pipeline is idle, and a
 * transaction that waits gains nothing but company: Nagle's rule. A batch costs every authority a write, a flush and an
 * ACK, however small it is, so small ones are sealed early only now and then.
 */
import { TokenBucket } from '../../shared/token-bucket.js'
import { EARLY_SEAL_BYTES_MIN, SMALL_EARLY_SEALS_BURST, SMALL_EARLY_SEALS_PER_S } from './limits.js'

export class EarlySeals {
  private readonly nowMs: () => number
  private readonly small = new TokenBucket(SMALL_EARLY_SEALS_PER_S, SMALL_EARLY_SEALS_BURST)
  private certifiedThrough: bigint | undefined
  private lastSealed = 0n

  constructor({ nowMs }: { readonly nowMs: () => number }) {
    this.nowMs = nowMs
  }

  /** Main says that all batches up to this one are certified. Until it has said so once, none is sealed early. */
  onAllCertified(through: bigint): void {
    this.certifiedThrough = through
  }

  onSealed(sequence: bigint): void {
    this.lastSealed = sequence
  }

  /** Whether all that was sealed is certified. */
  get isIdle(): boolean {
    return this.certifiedThrough !== undefined && this.lastSealed <= this.certifiedThrough
  }

  /** Whether a batch of `bytes` is sealed now; true uses up one of the small ones if it is small. */
  take(bytes: number): boolean {
    return this.isIdle && (bytes >= EARLY_SEAL_BYTES_MIN || this.small.tryTake(1, this.nowMs()))
  }
}
