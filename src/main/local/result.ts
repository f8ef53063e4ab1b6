/**
 * The figures of a run.
 *
 * - Certified: a batch of which its worker has told its primary that a quorum has it, counted once committee-wide;
 *   transactions are its bytes of transactions by the size of one.
 * - The window that rates are taken over runs from the first client's start, or the end of the warm-up, to the last client's
 *   stop, or to the last certification where that is later: what is drained after the stop adds to the count, and so its
 *   time is added too. What was certified before the window does not count, nor do samples that were sent before it.
 * - Latency: from a client's sending of a sample transaction to when the primary is told.
 * - CPU: user and system time of all nodes from when the window begins to the end of the draining, without the clients and
 *   without the nodes' boot.
 */
import type { Latencies } from './latencies.js'
import type { LocalOptions } from './options.js'

export interface Measurement {
  /** When the window begins: milliseconds, by the wall clock; undefined where no client has started. */
  readonly fromMs: number | undefined
  readonly lastStopMs: number | undefined
  readonly lastCertifiedMs: number | undefined
  readonly certifiedBytes: number
  readonly certifiedBatches: number
  /** Those of the warm-up included, as in what is lost. */
  readonly sentTransactions: number
  readonly latencies: Latencies
  readonly cpuUserS: number
  readonly cpuSystemS: number
  /** The most that any one node held. */
  readonly rssBytesMax: number
}

/** Exact to a millisecond; null where there is no sample. */
export interface LatencyFigures {
  readonly mean: number | null
  readonly p50: number | null
  readonly p99: number | null
}

/** What came through a stage, a second, and how long it took. */
export interface Flow {
  readonly tps: number
  readonly bps: number
  readonly latency_ms: LatencyFigures
}

/** The shape of the JSON line, as far as workers alone go. Quotients are null, and rates 0, where nothing was certified. */
export interface Result {
  readonly config: {
    readonly nodes: number
    readonly workers: number
    readonly rate: number
    readonly size: number
    readonly duration: number
    /** Only where there was one. */
    readonly warmup?: number
    readonly faults: number
    /** Only where clients wrote each transaction by itself. */
    readonly unbuffered?: true
    /** Only where each authority was several processes. */
    readonly split?: true
    readonly ack_level: string
    readonly node_version: string
  }
  readonly certified: Flow & {
    readonly transactions: number
    readonly bytes: number
    readonly batches: number
  }
  readonly sent_transactions: number
  readonly lost_transactions: number
  readonly cpu: {
    readonly user_s: number
    readonly system_s: number
    readonly ns_per_transaction_byte: number | null
  }
  readonly rss_bytes_max: number
}

/** Seconds that rates are taken over; 0 where no client has started. */
export function windowS(measurement: Measurement): number {
  const { fromMs, lastStopMs, lastCertifiedMs } = measurement
  if (fromMs === undefined) return 0
  return Math.max(0, (lastStopMs ?? 0) - fromMs, (lastCertifiedMs ?? 0) - fromMs) / 1000
}

export function toResult(options: Omit<LocalOptions, 'rule'>, nodeVersion: string, measurement: Measurement): Result {
  const { certifiedBytes, certifiedBatches, sentTransactions, latencies, cpuUserS, cpuSystemS } = measurement
  const transactions = Math.floor(certifiedBytes / options.transactionBytes)
  const seconds = windowS(measurement)
  return {
    config: {
      nodes: options.nodes,
      workers: options.workers,
      rate: options.rate,
      size: options.transactionBytes,
      duration: options.durationS,
      ...(options.warmupS > 0 && { warmup: options.warmupS }),
      faults: options.faults,
      ...(options.unbuffered && { unbuffered: true }),
      ...(options.split && { split: true }),
      ack_level: options.ackLevel,
      node_version: nodeVersion,
    },
    certified: {
      transactions,
      bytes: certifiedBytes,
      batches: certifiedBatches,
      tps: perS(transactions, seconds),
      bps: perS(certifiedBytes, seconds),
      latency_ms: latencyFigures(latencies),
    },
    sent_transactions: sentTransactions,
    lost_transactions: Math.max(0, sentTransactions - transactions),
    cpu: {
      user_s: round(cpuUserS, 3),
      system_s: round(cpuSystemS, 3),
      ns_per_transaction_byte: certifiedBytes === 0 ? null : round(((cpuUserS + cpuSystemS) * 1e9) / certifiedBytes, 2),
    },
    rss_bytes_max: measurement.rssBytesMax,
  }
}

export function latencyFigures(latencies: Latencies): LatencyFigures {
  return {
    mean: latencies.meanMs === null ? null : round(latencies.meanMs, 1),
    p50: latencies.percentileMs(0.5),
    p99: latencies.percentileMs(0.99),
  }
}

/** 0 over no time. */
export function perS(count: number, seconds: number): number {
  return seconds === 0 ? 0 : round(count / seconds, 1)
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
