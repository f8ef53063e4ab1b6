/** What the live view shows of a node, from two scrapes of its metrics. */
import { byLabel, greatestOf, type Metrics, type Sample, sumOf } from './metrics-text.js'

export interface NodeStats {
  /** Of its last header; undefined where the metrics do not say. */
  readonly round: number | undefined
  /** Own batches that are sealed and neither certified nor given up. */
  readonly batchesInFlight: number
  /** Mean from sending a batch to a peer to its ACK, between the two scrapes; peers without an ACK are missing. */
  readonly ackMsByPeer: ReadonlyMap<string, number>
  readonly rssBytes: number
  readonly storeBytes: number
  /** Whose stake the order waits for, and how much that is; undefined while it goes on, as this node sees it. */
  readonly missing: ReadonlyMap<string, number> | undefined
}

/** Of an authority. */
export interface Scrape {
  readonly metrics: Metrics
}

const RSS = 'process_resident_memory_bytes'

/** Those of all processes of an authority, as of one; undefined if one of them is. */
export function joinScrapes(scrapes: readonly (Scrape | undefined)[]): Scrape | undefined {
  const metrics = new Map<string, Sample[]>()
  let rssBytes = 0
  for (const scrape of scrapes) {
    if (scrape === undefined) return undefined
    rssBytes += greatestOf(scrape.metrics, RSS)
    for (const [name, samples] of scrape.metrics) metrics.set(name, [...(metrics.get(name) ?? []), ...samples])
  }
  // Of a process, each of its parts says the same; processes add up.
  if (scrapes.length > 1) metrics.set(RSS, [{ labels: {}, value: rssBytes }])
  return { metrics }
}

/** @param before an earlier scrape, or undefined: then means are since the process's start */
export function nodeStats(before: Scrape | undefined, now: Scrape): NodeStats {
  return {
    round: now.metrics.has('narval_primary_round') ? sumOf(now.metrics, 'narval_primary_round') : undefined,
    batchesInFlight: sumOf(now.metrics, 'narval_batches_in_flight'),
    ackMsByPeer: ackMsByPeer(before, now),
    rssBytes: greatestOf(now.metrics, RSS),
    storeBytes: sumOf(now.metrics, 'narval_store_bytes'),
    missing: missing(now),
  }
}

/** A worker alone says nothing of an order. */
function missing({ metrics }: Scrape): ReadonlyMap<string, number> | undefined {
  const isStalled = metrics.has('narval_primary_ordering') && sumOf(metrics, 'narval_primary_ordering') === 0
  return isStalled ? byLabel(metrics, 'narval_primary_missing_stake', 'authority') : undefined
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

/** Figures of the process: each of its parts may say them, and all say the same. */
export function processUse(metrics: Metrics): ProcessUse {
  return {
    userS: greatestOf(metrics, 'process_cpu_user_seconds_total'),
    systemS: greatestOf(metrics, 'process_cpu_system_seconds_total'),
    rssBytesMax: Math.max(greatestOf(metrics, 'narval_rss_bytes_max'), greatestOf(metrics, RSS)),
  }
}
