/**
 * Which batches of others are reported again because they were received again. Pure: the clock is handed in.
 *
 * The primary may have missed the first report, so the second is due; but a peer that sends one batch thousands of times
 * must not have it reported thousands of times, in front of what others report. So each batch is reported again once in
 * REPEAT_INTERVAL_MS, and each peer causes REPEATS_PER_PEER_MAX such reports in that time. What is left out is not lost:
 * the primary asks with a Synchronize for what it misses.
 */
import { digestKey } from '../../../shared/wire/digest-key.js'
import { REPEAT_INTERVAL_MS, REPEATS_PER_PEER_MAX } from './limits.js'

export class RepeatedReports {
  /** By peer, when each digest was reported again, the oldest first: none is forgotten before its time. */
  private readonly byPeer = new Map<number, Map<string, number>>()

  /** Whether the batch, which `peer` has sent again, is to be reported again. */
  admit(peer: number, digest: Uint8Array, nowMs: number): boolean {
    const reported = this.byPeer.get(peer) ?? new Map<string, number>()
    this.byPeer.set(peer, reported)
    for (const [key, atMs] of reported) {
      if (nowMs - atMs < REPEAT_INTERVAL_MS) break
      reported.delete(key)
    }
    const key = digestKey(digest)
    if (reported.has(key) || reported.size >= REPEATS_PER_PEER_MAX) return false
    reported.set(key, nowMs)
    return true
  }
}
