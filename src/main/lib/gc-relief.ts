/**
 * Keeps V8 from answering traffic with full garbage collections.
 *
 * Each cipher call and socket read of libp2p, and each batch that another thread hands over, is memory beside the heap.
 * V8 counts those bytes, and for each 64 MiB of them starts a mark-compact cycle, which walks the whole heap and throws
 * optimized code away: up to half of all CPU. The buffers die young, but the heap itself gets so little garbage that no
 * minor collection comes to find that out. A minor collection for every few megabytes, a millisecond each, frees them
 * before V8 gets impatient. docs/performance.md has the figures.
 *
 * V8 counts for the whole process, so all that main runs in it tell one of these.
 */
import { type Collect, collector } from '../../shared/runtime/garbage-collector.js'

/** What comes between two minor collections: well below what V8 takes for a reason to collect everything. */
const BYTES_PER_COLLECTION = 16 * 1024 * 1024

export class GcRelief {
  private readonly collect: Collect = collector()
  private bytes = 0

  /** So many bytes came to be beside the heap, and nobody keeps them for long. */
  allocated(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < BYTES_PER_COLLECTION) return
    this.bytes = 0
    this.collect({ type: 'minor' })
  }
}
