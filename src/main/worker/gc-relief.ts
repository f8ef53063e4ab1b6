/**
 * Keeps V8 from answering network traffic with full garbage collections.
 *
 * Each cipher call and socket read of libp2p allocates its result outside the heap. V8 counts those bytes, and for each
 * 64 MiB of them starts a mark-compact cycle, which walks the whole heap: up to half of all CPU. The buffers die young,
 * but the heap itself gets so little garbage that no minor collection comes to find that out. A minor collection for
 * every few megabytes of traffic, a millisecond each, frees them before V8 gets impatient. docs/performance.md has
 * the figures.
 */
import { type Collect, collector } from '../../shared/runtime/garbage-collector.js'

/** Traffic between two minor collections: well below what V8 takes for a reason to collect everything. */
const BYTES_PER_COLLECTION = 16 * 1024 * 1024

export class GcRelief {
  private readonly collect: Collect = collector()
  private bytes = 0

  /** Bytes went through the cipher. */
  traffic(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < BYTES_PER_COLLECTION) return
    this.bytes = 0
    this.collect({ type: 'minor' })
  }
}
