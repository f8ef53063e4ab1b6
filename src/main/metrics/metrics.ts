/**
 * The metrics of a worker, in a registry of their own.
 *
 * State is read from the sources at the time of a scrape. What only an event knows is told by the methods below, each an
 * addition or two; the two histograms are prom-client's, once for each batch and peer.
 *
 * Every label is bounded: peers are those of the committee, all else are constants of the code.
 */

import assert from 'node:assert'
import { Histogram, Registry } from 'prom-client'
import { shortName } from '../../shared/config/short-name.js'
import { INBOUND_STATUSES, type InboundStatus } from '../../shared/memory/dialogue/processor.js'
import { CLIENT_REFUSALS } from '../../shared/refusals.js'
import { addCounter, addSum } from './families.js'
import { addNodeMetrics } from './node-metrics.js'
import { RefusalCounts, type RefusalKind, type Refusals } from './refusal-counts.js'
import type { MetricsSources } from './sources.js'
import { addThreadMetrics } from './thread-metrics.js'

/** From a batch on a fast network to the time at which a silent peer is given up (`ack_timeout`). */
export const LATENCY_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export interface WorkerMetricsInit {
  /** Of narval. */
  readonly version: string
  /** Names of all peers, in base64: the committee without ourselves. */
  readonly peers: readonly string[]
  /** Not read before the first scrape, but for `counters`. */
  readonly sources: MetricsSources
}

export type ReportType = 'OurBatch' | 'OthersBatch'

/** What is counted of one peer. */
interface PeerCounts {
  readonly label: string
  bytesIn: number
  bytesOut: number
  dropped: number
  expired: number
  readonly inbound: Record<InboundStatus, number>
  readonly observeAck: (seconds: number) => void
}

export class WorkerMetrics {
  readonly registry = new Registry()
  private readonly refusals = new RefusalCounts()
  private readonly reports: Record<ReportType, number> = { OurBatch: 0, OthersBatch: 0 }
  private readonly sealedSums = { transactions: 0, bytes: 0 }
  private readonly certifiedSums = { batches: 0, transactions: 0, transactionBytes: 0 }
  private renewals = 0
  private readonly certification: Histogram
  private readonly peers: ReadonlyMap<string, PeerCounts>

  constructor({ version, peers, sources }: WorkerMetricsInit) {
    const { registry } = this
    this.certification = new Histogram({
      name: 'narval_batch_certification_seconds',
      help: 'From the sealing of an own batch to its certification.',
      buckets: LATENCY_BUCKETS_S,
      registers: [registry],
    })
    const ackLatency = new Histogram({
      name: 'narval_ack_latency_seconds',
      help: "From the hand-over of a batch's first byte to the peer's ACK.",
      labelNames: ['peer'],
      buckets: LATENCY_BUCKETS_S,
      registers: [registry],
    })
    this.peers = new Map(peers.map((name) => [name, peerCounts(name, ackLatency)]))
    this.addBatches()
    this.addPeerCounts()
    this.addRefusals(sources)
    addThreadMetrics(registry, sources.counters)
    addNodeMetrics(registry, sources, version)
  }

  /** All metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.registry.metrics()
  }

  get contentType(): string {
    return this.registry.contentType
  }

  /** @param bytes of the encoded batch */
  sealed(transactions: number, bytes: number): void {
    this.sealedSums.transactions += transactions
    this.sealedSums.bytes += bytes
  }

  /**
   * @param transactionBytes of the transactions without their lengths
   * @param latencyMs from when main took the batch on
   */
  certified(transactions: number, transactionBytes: number, latencyMs: number): void {
    this.certifiedSums.batches += 1
    this.certifiedSums.transactions += transactions
    this.certifiedSums.transactionBytes += transactionBytes
    this.certification.observe(latencyMs / 1000)
  }

  refused<K extends RefusalKind>(kind: K, reason: Refusals[K]): void {
    this.refusals.add(kind, reason)
  }

  /** Bytes of a peer's streams. Called once for each slice. */
  peerBytes(peer: string, direction: 'in' | 'out', bytes: number): void {
    if (direction === 'in') this.peer(peer).bytesIn += bytes
    else this.peer(peer).bytesOut += bytes
  }

  ackLatency(peer: string, ms: number): void {
    this.peer(peer).observeAck(ms / 1000)
  }

  /** A certified batch was taken out of the peer's queue to make room. */
  dropped(peer: string): void {
    this.peer(peer).dropped += 1
  }

  /** An ACK of the peer counted, and is too old to count on. */
  ackExpired(peer: string): void {
    this.peer(peer).expired += 1
  }

  /** An own batch goes out again, to be certified anew before the primary is told. */
  renewed(): void {
    this.renewals += 1
  }

  /** The processor is done with a batch that the peer sent. */
  inbound(peer: string, status: InboundStatus): void {
    this.peer(peer).inbound[status] += 1
  }

  /** A report was handed to the link to the primary. */
  reported(type: ReportType): void {
    this.reports[type] += 1
  }

  private peer(name: string): PeerCounts {
    const counts = this.peers.get(name)
    assert(counts !== undefined, `${name} is a peer of the committee`)
    return counts
  }

  private addBatches(): void {
    const { registry, sealedSums, certifiedSums, reports } = this
    const add = (name: string, help: string, read: () => number): void => addSum(registry, name, help, read)
    add('narval_transactions_sealed_total', 'Transactions in sealed batches.', () => sealedSums.transactions)
    add('narval_batch_bytes_sealed_total', 'Bytes of the sealed batches, as encoded.', () => sealedSums.bytes)
    add('narval_batches_certified_total', 'Own batches certified.', () => certifiedSums.batches)
    add(
      'narval_batches_renewed_total',
      'Own batches sent again to be certified anew, since their ACKs were too old when the primary was to be told.',
      () => this.renewals,
    )
    add('narval_transactions_certified_total', 'Transactions in certified batches.', () => certifiedSums.transactions)
    add(
      'narval_transaction_bytes_certified_total',
      'Bytes of the transactions in certified batches, without their lengths.',
      () => certifiedSums.transactionBytes,
    )
    addCounter(registry, {
      name: 'narval_primary_reports_total',
      help: 'Reports handed to the link to the primary.',
      labels: ['type'],
      read: () => Object.entries(reports).map(([type, count]) => [{ type }, count] as const),
    })
  }

  private addPeerCounts(): void {
    const { registry } = this
    const peers = [...this.peers.values()]
    addCounter(registry, {
      name: 'narval_peer_bytes_total',
      help: 'Bytes of the streams from and to a peer.',
      labels: ['peer', 'direction'],
      read: () =>
        peers.flatMap(({ label: peer, bytesIn, bytesOut }) => [
          [{ peer, direction: 'in' }, bytesIn] as const,
          [{ peer, direction: 'out' }, bytesOut] as const,
        ]),
    })
    addCounter(registry, {
      name: 'narval_batches_dropped_total',
      help: 'Certified batches dropped for a peer to make room; it gets them through Synchronize.',
      labels: ['peer'],
      read: () => peers.map(({ label: peer, dropped }) => [{ peer }, dropped] as const),
    })
    addCounter(registry, {
      name: 'narval_acks_expired_total',
      help: 'ACKs of a peer that became too old to count before a quorum was reached; the batch is sent to it again.',
      labels: ['peer'],
      read: () => peers.map(({ label: peer, expired }) => [{ peer }, expired] as const),
    })
    addCounter(registry, {
      name: 'narval_inbound_batches_total',
      help: 'Batches that a peer sent, by what became of them.',
      labels: ['peer', 'status'],
      read: () =>
        peers.flatMap(({ label: peer, inbound }) =>
          INBOUND_STATUSES.map((status) => [{ peer, status }, inbound[status]] as const),
        ),
    })
  }

  private addRefusals({ counters }: MetricsSources): void {
    const { registry, refusals } = this
    const batchMaker = counters['batch-maker']
    addCounter(registry, {
      name: 'narval_refusals_total',
      help: 'What was refused, by whose it was and why.',
      labels: ['kind', 'reason'],
      // The clients' are the sum of what the batch-maker refused at its port and what main did.
      *read() {
        for (const reason of CLIENT_REFUSALS) yield [{ kind: 'client', reason }, batchMaker.get(reason)]
        yield* refusals.rows()
      },
    })
  }
}

function peerCounts(name: string, ackLatency: Histogram<'peer'>): PeerCounts {
  const label = shortName(name)
  ackLatency.zero({ peer: label })
  const { observe } = ackLatency.labels(label)
  return {
    label,
    bytesIn: 0,
    bytesOut: 0,
    dropped: 0,
    expired: 0,
    inbound: { ok: 0, invalid: 0, quota: 0, 'store-full': 0, 'not-as-asked': 0 },
    observeAck: observe,
  }
}
