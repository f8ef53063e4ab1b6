/**
 * The wiring of a worker: which stage hands what to which. It decides nothing itself.
 *
 * ```
 *  batch-maker ──sealed──▶ Dissemination ──▶ processor, quorum-waiter, peers ──certified──▶ primary, readers
 *  peers ──batches──▶ InboundBatches ──▶ processor ──stored──▶ ACK to the peer, primary
 *  primary ──Synchronize──▶ Synchronizer, Resender     peers ──requests──▶ Helper ──▶ processor
 * ```
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { NarvalError } from '../../shared/errors.js'
import { Counters } from '../../shared/memory/counters.js'
import type { Layout } from '../../shared/memory/layout.js'
import { Arena } from '../../shared/memory/slots.js'
import { transactionBytesMax } from '../../shared/wire/batch.js'
import type { Supervisor } from '../lib/supervisor.js'
import { WorkerMetrics } from '../metrics/metrics.js'
import { PeerTable } from '../network/peer-table.js'
import { Router } from '../network/router.js'
import { MainRings } from '../thread-host/main-rings.js'
import { ProcessorClient } from '../thread-host/processor-client.js'
import { ActivityLog } from './activity-log.js'
import { CertificationFrontier } from './certification-frontier.js'
import { CertifiedStream } from './certified-stream.js'
import { BatchStreams } from './dissemination/batch-streams.js'
import type { Dissemination } from './dissemination/dissemination.js'
import type { Healer } from './dissemination/healer.js'
import type { Renewer } from './dissemination/renewer.js'
import type { Resender } from './dissemination/resender.js'
import type { InboundBatches } from './inbound/inbound-batches.js'
import { SEALED_AHEAD } from './limits.js'
import { metricSources } from './metric-sources.js'
import { OutsideMessages } from './outside-messages.js'
import { Cleanups } from './primary-link/cleanups.js'
import { CommitWatch } from './primary-link/commit-watch.js'
import { RepeatedReports } from './primary-link/repeated-reports.js'
import { RetentionClock } from './primary-link/retention-clock.js'
import { StillnessLog } from './primary-link/stillness-log.js'
import { PrimaryReports } from './primary-reports.js'
import { RecentBatches } from './recent-batches.js'
import { RefusalReporter } from './refusal-reporter.js'
import { SealingGate } from './sealing-gate.js'
import { SubmitQueue } from './submit-queue.js'
import type { Helper } from './sync/helper.js'
import type { Synchronizer } from './sync/synchronizer.js'
import { ThreadMessages } from './thread-messages.js'
import { wireDissemination } from './wire-dissemination.js'
import { wireForeign } from './wire-foreign.js'
import { wireResends } from './wire-resends.js'
import { WorkerHealth } from './worker-health.js'
import type { WorkerNodeOptions } from './worker-node-options.js'

const nowMs = (): number => performance.now()

export interface WiringOptions extends WorkerNodeOptions {
  /** Of the package, for metrics. */
  readonly version: string
  readonly ownIndex: number
  readonly layout: Layout
}

export interface WiringHandlers {
  /** Everything is there, and nothing has asked for the end. */
  readonly isOpen: () => boolean
  /** A peer holds things up: its connection is to be closed. */
  readonly onStuck: (peer: number, why: string) => void
  /** Takes what handlers throw that the event loop calls. */
  readonly supervisor: Supervisor
  /** The worker cannot go on. */
  readonly onFailed: (error: NarvalError) => void
}

export class Wiring {
  readonly certified: CertifiedStream
  readonly frontier = new CertificationFrontier({ lowestUncertified: () => this.dissemination.lowestUncertified })
  readonly metrics: WorkerMetrics
  readonly rings: MainRings
  readonly peers: PeerTable
  readonly processor: ProcessorClient
  /** The processor's end of the port on which main asks it. */
  readonly processorPort: MessagePort
  readonly router: Router
  readonly dissemination: Dissemination
  readonly batchStreams: BatchStreams
  readonly inbound: InboundBatches
  readonly resender: Resender
  readonly healer: Healer
  readonly renewer: Renewer
  readonly retention: RetentionClock
  readonly commits: CommitWatch
  readonly stillnessLog: StillnessLog
  readonly helper: Helper
  readonly synchronizer: Synchronizer
  readonly submits: SubmitQueue
  readonly gate: SealingGate
  readonly reports: PrimaryReports
  readonly repeatedReports = new RepeatedReports()
  readonly cleanups: Cleanups
  readonly refusals: RefusalReporter
  readonly activity: ActivityLog
  readonly recent: RecentBatches
  readonly threadMessages: ThreadMessages
  readonly outside: OutsideMessages
  readonly health: WorkerHealth

  readonly processorCounters: Counters<'processor'>
  readonly own: Arena
  readonly foreign: Arena

  constructor(options: WiringOptions, handlers: WiringHandlers) {
    const { committee, layout, ownIndex, parameters, workerId } = options
    this.own = new Arena(layout.own)
    this.foreign = new Arena(layout.inbound)
    this.rings = new MainRings(layout)
    this.peers = new PeerTable(committee, ownIndex, workerId)
    const { port1, port2 } = new MessageChannel()
    this.processor = new ProcessorClient(port1, handlers.supervisor, options.gcRelief)
    this.processorPort = port2
    this.recent = new RecentBatches(options.gcRelief)
    this.processorCounters = new Counters(layout.counters.processor, 'processor')
    const names = new Set(committee.authorities.map(({ name }) => name))
    this.activity = new ActivityLog(options.log)
    this.refusals = new RefusalReporter({
      log: options.log,
      count: (kind, reason) => this.metrics.refused(kind, reason),
      nameOf: (peer) => this.nameOf(peer),
      isAuthority: (name) => names.has(name),
    })
    this.certified = new CertifiedStream(options.keys.publicKey, {
      processor: this.processor,
      frontier: this.frontier,
      onRefused: (detail) => this.refusals.refused('reader', 'too-many-readers', 'of certified batches', detail),
    })
    this.reports = new PrimaryReports({
      processor: this.processor,
      watch: handlers.supervisor.watch,
      count: (type) => this.metrics.reported(type),
      renewals: () => this.renewer,
    })
    // Where the primary says what is committed, no copy is deleted before, so no ACK grows old.
    const aging = options.isOrdered ? { ...parameters, retentionRounds: 0 } : parameters
    this.retention = new RetentionClock(aging, { nowMs, isConnected: () => this.reports.isConnected })
    this.commits = new CommitWatch(parameters, { nowMs, isConnected: () => this.reports.isConnected })
    this.stillnessLog = new StillnessLog(options.log, nowMs)
    this.router = new Router(
      () => ({ inbound: this.inbound, helper: this.helper }),
      this.refusals.ofPeer,
      (error) => handlers.supervisor.fail('a frame', error),
    )
    this.submits = new SubmitQueue(transactionBytesMax(parameters.batchBytesMax), this.rings.submit)
    this.gate = new SealingGate({
      isOpen: () => !this.reports.isFull && this.processorCounters.get('storeFull') === 0,
      aheadMax: () => this.dissemination.inFlightLimit + SEALED_AHEAD,
      pauseMs: () => this.dissemination.shareUse.pauseMs,
      nowMs,
      give: (slot) => this.rings.toBatchMaker({ kind: 'slot', slot }),
    })
    this.dissemination = wireDissemination(
      options,
      {
        arena: this.own,
        peers: this.peers,
        rings: this.rings,
        retention: this.retention,
        commits: this.commits,
        gate: this.gate,
        refusals: this.refusals,
        supervisor: handlers.supervisor,
        nowMs,
        nameOf: (peer) => this.nameOf(peer),
        onSent: (peer, bytes) => this.traffic(peer, 'out', bytes),
        onStuck: handlers.onStuck,
      },
      () => this,
    )
    this.batchStreams = new BatchStreams(
      this.dissemination,
      this.router,
      { onReceived: (peer, bytes) => this.traffic(peer.index, 'in', bytes) },
      handlers.supervisor,
    )
    const resends = wireResends(options, {
      arena: this.own,
      dissemination: this.dissemination,
      processor: this.processor,
      refusals: this.refusals,
      reports: this.reports,
      supervisor: handlers.supervisor,
      nowMs,
      isUrgent: () => this.commits.isStill,
      metrics: () => this.metrics,
    })
    this.resender = resends.resender
    this.healer = resends.healer
    this.renewer = resends.renewer
    const foreign = wireForeign(options, {
      arena: this.foreign,
      supervisor: handlers.supervisor,
      rings: this.rings,
      peers: this.peers,
      processor: this.processor,
      processorCounters: this.processorCounters,
      router: this.router,
      refusals: this.refusals,
      reports: this.reports,
      nowMs,
      nameOf: (peer) => this.nameOf(peer),
      onReceived: (peer, bytes) => this.traffic(peer, 'in', bytes),
    })
    this.inbound = foreign.inbound
    this.helper = foreign.helper
    this.synchronizer = foreign.synchronizer
    this.cleanups = new Cleanups(
      {
        processor: this.processor,
        retention: this.retention,
        nowMs,
        log: options.log,
        watch: handlers.supervisor.watch,
      },
      {
        onCommitted: () => this.commits.onCommitted(),
        onStamp: (stamp) => this.synchronizer.cleanup(stamp),
        onRefused: (reason, from, detail) => this.refusals.refused('primary', reason, from, detail),
      },
    )
    this.threadMessages = new ThreadMessages(this, { ownSlots: parameters.ownSlots, ownIndex }, handlers.supervisor)
    this.outside = new OutsideMessages(this, options, handlers)
    const { ackLevel, retentionRounds } = parameters
    const { isOrdered } = options
    this.health = new WorkerHealth({ committee, ownIndex, ackLevel, retentionRounds, isOrdered }, this, handlers.isOpen)
    this.metrics = new WorkerMetrics({
      version: options.version,
      peers: this.peers.peers.map(({ name }) => name),
      sources: metricSources({
        layout,
        authorities: committee.authorities.map(({ name }) => name),
        rings: this.rings,
        peers: this.peers,
        dissemination: this.dissemination,
        inbound: this.inbound,
        helper: this.helper,
        synchronizer: this.synchronizer,
        reports: this.reports,
        health: () => this.health.now(),
      }),
    })
  }

  private traffic(peer: number, direction: 'in' | 'out', bytes: number): void {
    this.metrics.peerBytes(this.nameOf(peer), direction, bytes)
  }

  /** The name of the authority of an index. */
  nameOf(peer: number): string {
    return this.peers.at(peer)!.name
  }
}
