/**
 * How many Synchronize messages are taken from whom, other than our own primary. Pure: the clock is handed in.
 *
 * Each source has a rate of its own, so that one that asks all the time takes nothing from the others. Strangers, whose
 * addresses the committee file does not name, have one more rate together: addresses cost an attacker nothing.
 */

import { PUSH_AGAIN_QUEUE_MAX } from '../../../shared/constants.js'
import { TokenBucket } from '../../../shared/token-bucket.js'
import { FOREIGN_SYNCHRONIZE_PER_SECOND, SOURCES_REMEMBERED_MAX, STRANGER_SYNCHRONIZE_PER_SECOND } from './limits.js'

export class SynchronizeRates {
  /** The one that was not heard of for the longest time is the first. */
  private readonly bySource = new Map<string, TokenBucket>()
  private readonly strangers = new TokenBucket(STRANGER_SYNCHRONIZE_PER_SECOND, STRANGER_SYNCHRONIZE_PER_SECOND)

  /** Whether a message for so many digests is taken. One for many costs as much as many messages. */
  admit(source: string, isStranger: boolean, digestCount: number, nowMs: number): boolean {
    const cost = Math.max(1, (digestCount / PUSH_AGAIN_QUEUE_MAX) * FOREIGN_SYNCHRONIZE_PER_SECOND)
    if (!this.bucketOf(source).tryTake(cost, nowMs)) return false
    return !isStranger || this.strangers.tryTake(cost, nowMs)
  }

  private bucketOf(source: string): TokenBucket {
    const bucket =
      this.bySource.get(source) ?? new TokenBucket(FOREIGN_SYNCHRONIZE_PER_SECOND, FOREIGN_SYNCHRONIZE_PER_SECOND)
    this.bySource.delete(source)
    this.bySource.set(source, bucket)
    // A source that is forgotten begins with a full bucket: strangers that come by the thousand have their rate together.
    if (this.bySource.size > SOURCES_REMEMBERED_MAX) this.bySource.delete(this.bySource.keys().next().value!)
    return bucket
  }
}
