/** What the live table shows of a node, from two scrapes of its metrics. */
import { byLabel, type Metrics, sumOf } from './metrics-text.js'

export interface NodeStats {
  /** Certified transactions and bytes of transactions a second, between the two scrapes. */
  readonly transactionsPerS: number
  readonly bytesPerS: number
  /** Own batches that are sealed and neither certified nor given up. */
  readonly batchesInFlight: number
  /** Mean from sending a batch to a peer to its ACK, between the two scrapes; peers without an ACK are missing. */
  readonly ackMsByPeer: ReadonlyMap<string, number>
  readonly rssBytes: number
  readonly storeBytes: number
}

export interface Scrape {
  readonly timeMs: number
  readonly metrics: Metrics
}

/** @param before an earlier scrape, or undefined: then rates are since the process's start, over no time, and 0 */
export function nodeStats(before: Scrape | undefined, now: Scrape): NodeStats {
  const elapsedS = before === undefined ? 0 : (now.timeMs - before.timeMs) / 1000
  const rate = (name: string): number =>
    before === undefined || elapsedS <= 0 ? 0 : (sumOf(now.metrics, name) - sumOf(before.metrics, name)) / elapsedS
  return {
    transactionsPerS: rate('narval_transactions_certified_total'),
    bytesPerS: rate('narval_transaction_bytes_certified_total'),
    batchesInFlight: sumOf(now.metrics, 'narval_batches_in_flight'),
    ackMsByPeer: ackMsByPeer(before, now),
    rssBytes: sumOf(now.metrics, 'process_resident_memory_bytes'),
    storeBytes: sumOf(now.metrics, 'narval_store_bytes'),
  }
}

function ackMsByPeer(before: Scrape | undefined, now: Scrape): Map<string, number> {
  const none = new Map<string, number>()
  const sums = byLabel(now.metrics, 'narval_ack_latency_seconds_sum', 'peer')
  const counts = byLabel(now.metrics, 'narval_ack_latency_seconds_count', 'peer')
  const sumsBefore = before ? byLabel(before.metrics, 'narval_ack_latency_seconds_sum', 'peer') : none
  const countsBefore = before ? byLabel(before.metrics, 'narval_ack_latency_seconds_count', 'peer') : none
  const means = new Map<string, number>()
  for (const [peer, sum] of sums) {
    const acks = (counts.get(peer) ?? 0) - (countsBefore.get(peer) ?? 0)
    if (acks > 0) means.set(peer, ((sum - (sumsBefore.get(peer) ?? 0)) * 1000) / acks)
  }
  return means
}

/** What a process has used and held at most, for the result. */
export interface ProcessUse {
  readonly userS: number
  readonly systemS: number
  readonly rssBytesMax: number
}

export function processUse(metrics: Metrics): ProcessUse {
  return {
    userS: sumOf(metrics, 'process_cpu_user_seconds_total'),
    systemS: sumOf(metrics, 'process_cpu_system_seconds_total'),
    rssBytesMax: Math.max(sumOf(metrics, 'narval_rss_bytes_max'), sumOf(metrics, 'process_resident_memory_bytes')),
  }
}
