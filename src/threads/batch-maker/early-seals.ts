/**
 * When a batch is sealed before it is full and before its delay is over.
 *
 * While a batch of ours is on its way to a quorum, the next one gathers. Once all are certified the pipeline is idle, and a
 * transaction that waits gains nothing but company: Nagle's rule. A batch costs every authority a write, a flush and an
 * ACK, however small it is, so small ones are sealed early only now and then. Where the machine has no core to spare, the
 * quorum takes its time, and more batches make it take longer still: then none is sealed early but these few.
 */
import { TokenBucket } from '../../shared/token-bucket.js'
import {
  EARLY_SEAL_BYTES_MIN,
  QUICK_CERTIFICATION_MS,
  SMALL_EARLY_SEALS_BURST,
  SMALL_EARLY_SEALS_PER_S,
} from './limits.js'

export class EarlySeals {
  private readonly nowMs: () => number
  private readonly small = new TokenBucket(SMALL_EARLY_SEALS_PER_S, SMALL_EARLY_SEALS_BURST)
  private certifiedThrough: bigint | undefined
  private lastSealed = 0n
  private lastSealedMs = 0
  /** Whether the quorum answered soon, last time. */
  private isQuick = false

  constructor({ nowMs }: { readonly nowMs: () => number }) {
    this.nowMs = nowMs
  }

  /** Main says that all batches up to this one are certified. Until it has said so once, none is sealed early. */
  onAllCertified(through: bigint): void {
    this.certifiedThrough = through
    if (through >= this.lastSealed) this.isQuick = this.nowMs() - this.lastSealedMs <= QUICK_CERTIFICATION_MS
  }

  onSealed(sequence: bigint): void {
    this.lastSealed = sequence
    this.lastSealedMs = this.nowMs()
  }

  /** Whether all that was sealed is certified. */
  get isIdle(): boolean {
    return this.certifiedThrough !== undefined && this.lastSealed <= this.certifiedThrough
  }

  /** Whether a batch of `bytes` is sealed now; true uses up one of the few unless it is large and the quorum is quick. */
  take(bytes: number): boolean {
    if (!this.isIdle) return false
    return (bytes >= EARLY_SEAL_BYTES_MIN && this.isQuick) || this.small.tryTake(1, this.nowMs())
  }
}
