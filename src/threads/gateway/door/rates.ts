/** How many requests each source may make: a bucket for each of the sources that were seen last. Pure. */
import { LRUCache } from 'lru-cache'
import { TokenBucket } from '../../../shared/token-bucket.js'

export class Rates {
  private readonly perSecond: number
  private readonly buckets: LRUCache<string, TokenBucket>

  constructor(perSecond: number, sourcesMax: number) {
    this.perSecond = perSecond
    this.buckets = new LRUCache({ max: sourcesMax })
  }

  /** Whether one more request of this source is within its rate. */
  admits(source: string, nowMs: number): boolean {
    let bucket = this.buckets.get(source)
    if (bucket === undefined) {
      bucket = new TokenBucket(this.perSecond, this.perSecond)
      this.buckets.set(source, bucket)
    }
    return bucket.tryTake(1, nowMs)
  }
}
