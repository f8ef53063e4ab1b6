/**
 * What one worker certified, put together from three sources that arrive in any order: its log (what a batch holds),
 * its client's log (when a sample was sent) and its authority's listener (which batch was reported, and when).
 *
 * A batch counts as certified when its `OurBatch` has arrived, once, however often it is reported. What is remembered
 * is bounded by what is in flight and, for late lines, by `LOCAL_CERTIFIED_REMEMBERED`.
 */

import { Latencies } from './latencies.js'
import { LOCAL_CERTIFIED_REMEMBERED } from './limits.js'

interface Batch {
  bytes: number | undefined
  arrivedMs: number | undefined
  samples: number[]
}

export class Ledger {
  /** Bytes of the transactions in certified batches. */
  bytes = 0
  /** Certified batches whose size is known: the log line may be on its way. */
  batches = 0
  /** From a sample's sending to the arrival of its batch's `OurBatch`. */
  readonly latencies = new Latencies()
  private readonly open = new Map<string, Batch>()
  private readonly certified = new Map<string, Batch>()
  private readonly sentMs = new Map<number, number>()
  private readonly arrivedMs = new Map<number, number>()

  /** The worker's log: the batch holds so many bytes of transactions. */
  contains(digest: string, bytes: number): void {
    const batch = this.batch(digest)
    if (batch.bytes !== undefined) return
    batch.bytes = bytes
    this.settle(digest, batch)
  }

  /** The worker's log: the batch holds this sample of its client. */
  containsSample(digest: string, sample: number): void {
    const batch = this.batch(digest)
    if (batch.arrivedMs === undefined) batch.samples.push(sample)
    else this.arrived(sample, batch.arrivedMs)
  }

  /** The client's log. */
  sampleSent(sample: number, timeMs: number): void {
    const arrivedMs = this.arrivedMs.get(sample)
    if (arrivedMs === undefined) {
      this.sentMs.set(sample, timeMs)
      return
    }
    this.arrivedMs.delete(sample)
    this.latencies.record(arrivedMs - timeMs)
  }

  /** The authority's listener: the batch is certified. */
  reported(digest: string, timeMs: number): void {
    const batch = this.batch(digest)
    if (batch.arrivedMs !== undefined) return
    batch.arrivedMs = timeMs
    for (const sample of batch.samples) this.arrived(sample, timeMs)
    batch.samples = []
    this.settle(digest, batch)
  }

  private arrived(sample: number, timeMs: number): void {
    const sentMs = this.sentMs.get(sample)
    if (sentMs === undefined) {
      this.arrivedMs.set(sample, timeMs)
      return
    }
    this.sentMs.delete(sample)
    this.latencies.record(timeMs - sentMs)
  }

  private batch(digest: string): Batch {
    const known = this.open.get(digest) ?? this.certified.get(digest)
    if (known !== undefined) return known
    const batch: Batch = { bytes: undefined, arrivedMs: undefined, samples: [] }
    this.open.set(digest, batch)
    return batch
  }

  private settle(digest: string, batch: Batch): void {
    if (batch.bytes === undefined || batch.arrivedMs === undefined) return
    this.bytes += batch.bytes
    this.batches += 1
    this.open.delete(digest)
    this.certified.set(digest, batch)
    if (this.certified.size > LOCAL_CERTIFIED_REMEMBERED) {
      this.certified.delete(this.certified.keys().next().value!)
    }
  }
}
