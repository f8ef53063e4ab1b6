/**
 * The wiring of a worker: which stage hands what to which. It decides nothing itself.
 *
 * ```
 *  batch-maker ──sealed──▶ Dissemination ──▶ processor, quorum-waiter, peers ──certified──▶ primary, readers
 *  peers ──batches──▶ InboundBatches ──▶ processor ──stored──▶ ACK to the peer, primary
 *  primary ──Synchronize──▶ Synchronizer, Resender     peers ──requests──▶ Helper ──▶ processor
 * ```
 *
 * Start-up goes from the inside out — store, threads, primary, network, clients — so that nothing is half-started when
 * something is wrong, and nobody is answered before we can keep what we say. Closing goes the other way.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import { formatTcpAddress } from '../../shared/config/address.js'
import { type Committee, committeeDigest } from '../../shared/config/committee.js'
import type { Keys } from '../../shared/config/keys.js'
import type { Parameters } from '../../shared/config/parameters.js'
import {
  CLOSE_GRACE_MS,
  PRIMARY_QUEUE_MAX,
  PROTOCOL_VERSION,
  REPORT_ROOM_POLL_MS,
  RESEND_SLOTS,
  SEALED_AHEAD,
  SYNC_SLOTS_PER_PEER,
} from '../../shared/constants.js'
import { signer } from '../../shared/crypto/ed25519.js'
import { NarvalError } from '../../shared/errors.js'
import { Counters } from '../../shared/memory/counters.js'
import type { BatchMakerTask, BatchMakerToMain } from '../../shared/memory/dialogue/batch-maker.js'
import type { ProcessorTask, ProcessorToMain } from '../../shared/memory/dialogue/processor.js'
import type { QuorumWaiterTask, QuorumWaiterToMain } from '../../shared/memory/dialogue/quorum-waiter.js'
import { createLayout, type Layout, ownSlotsTotal } from '../../shared/memory/layout.js'
import { Arena } from '../../shared/memory/slots.js'
import type { PeerRefusal } from '../../shared/refusals.js'
import { LogLimiter } from '../../shared/runtime/thread-control.js'
import { startThreadStats } from '../../shared/runtime/thread-stats.js'
import { ACK_LEVELS } from '../../shared/wire/ack.js'
import { transactionBytesMax } from '../../shared/wire/batch.js'
import { encodeHello } from '../../shared/wire/hello.js'
import { checkHello } from '../../shared/wire/hello-check.js'
import type { Logger } from '../lib/log.js'
import { SlotPool } from '../lib/slot-pool.js'
import { NODE_VERSION, VERSION } from '../lib/version.js'
import { type Health, healthOf } from '../metrics/health.js'
import { WorkerMetrics } from '../metrics/metrics.js'
import type { RefusalKind, Refusals } from '../metrics/refusal-counts.js'
import type { MetricsSources } from '../metrics/sources.js'
import { createLibp2pNode, type PeerDiscovery } from '../network/libp2p-node.js'
import { Network, SYNC_PROTOCOL, short } from '../network/network.js'
import { type Peer, PeerTable } from '../network/peer-table.js'
import { MainRings } from '../thread-host/main-rings.js'
import { ProcessorClient } from '../thread-host/processor-client.js'
import { Threads } from '../thread-host/threads.js'
import { type CertifiedBatch, CertifiedStream } from './certified-stream.js'
import { BatchStreams } from './dissemination/batch-streams.js'
import { Dissemination } from './dissemination/dissemination.js'
import type { OwnBatch } from './dissemination/own-batch.js'
import { Resender } from './dissemination/resender.js'
import { GcRelief } from './gc-relief.js'
import { InboundBatches } from './inbound/inbound-batches.js'
import type { PrimaryHandlers } from './primary-link/primary-inbox.js'
import type { PrimaryLink, PrimaryLinkHandlers } from './primary-link/primary-link.js'
import { SealingGate } from './sealing-gate.js'
import { SubmitQueue } from './submit-queue.js'
import { Helper } from './sync/helper.js'
import { Synchronizer } from './sync/synchronizer.js'

export interface WorkerNodeOptions {
  readonly keys: Keys
  readonly committee: Committee
  readonly workerId: number
  /** Directory of the store. */
  readonly store: string
  readonly parameters: Parameters
  /** Seed of the worker's libp2p key, 32 bytes. */
  readonly networkKeySeed: Uint8Array
  /** The address that listeners bind. */
  readonly bind: string
  /** Log the lines that benchmark scripts read. */
  readonly benchmark: boolean
  readonly peerDiscovery?: PeerDiscovery
  /** Opens the link to the primary, both ways. */
  readonly openPrimary: (ownIndex: number, handlers: PrimaryLinkHandlers & PrimaryHandlers) => Promise<PrimaryLink>
  readonly log: Logger
  /** Fill freed slots with rubbish: tests find a slot that is used after it was freed. */
  readonly poisonFreedSlots: boolean
}

/** How often to look for what no message tells: silent peers, a store that is full or is not any more. */
const TICK_MS = 250

export class WorkerNode {
  readonly certified = new CertifiedStream()
  readonly metrics: WorkerMetrics
  /** Resolves once the worker is closed; rejects if a thread died. */
  readonly stopped: Promise<void>

  private readonly options: WorkerNodeOptions
  private readonly log: Logger
  private readonly ownIndex: number
  private readonly layout: Layout
  private readonly rings: MainRings
  private readonly threads: Threads
  private readonly peers: PeerTable
  private readonly dissemination: Dissemination
  private readonly batchStreams: BatchStreams
  private readonly inbound: InboundBatches
  private readonly processor: ProcessorClient
  private readonly resender: Resender
  private readonly helper: Helper
  private readonly synchronizer: Synchronizer
  private readonly submits: SubmitQueue
  private readonly gate: SealingGate
  private readonly gcRelief = new GcRelief()
  private readonly processorCounters: Counters<'processor'>
  private readonly refusalLog = new LogLimiter()
  private readonly processorPort: MessageChannel
  private readonly stopStats: () => void

  private primary: PrimaryLink | undefined
  private network: Network | undefined
  private tickTimer: NodeJS.Timeout | undefined
  /** Digests whose report the primary has taken: marked in the store in one go each tick. */
  private reported: Uint8Array[] = []
  private open = true
  private closing: Promise<void> | undefined
  private clientsClosed: Promise<void> | undefined
  private settleStopped!: { resolve: () => void; reject: (error: Error) => void }

  constructor(options: WorkerNodeOptions) {
    const { committee, keys, parameters, workerId } = options
    this.options = options
    this.log = options.log
    this.ownIndex = committee.indexOf(keys.publicKey)
    if (this.ownIndex === -1) {
      throw new NarvalError(
        'ERR_NOT_IN_COMMITTEE',
        `the key ${keys.name} is none of the committee's ${committee.size} authorities: check the key file and the committee file`,
      )
    }
    // Throws if the committee file has no such worker of ours: before the store is touched.
    committee.worker(this.ownIndex, workerId)
    this.layout = createLayout({
      ownSlots: parameters.ownSlots,
      inboundSlotsPerPeer: parameters.inboundSlotsPerPeer,
      authorities: committee.size,
      batchBytesMax: parameters.batchBytesMax,
    })
    this.stopped = new Promise((resolve, reject) => {
      this.settleStopped = { resolve, reject }
    })
    this.rings = new MainRings(this.layout)
    this.threads = new Threads({
      layout: this.layout,
      log: options.log,
      onDied: (error) => void this.fail(error),
    })
    this.peers = new PeerTable(committee, this.ownIndex, workerId)
    this.processorPort = new MessageChannel()
    this.processor = new ProcessorClient(this.processorPort.port1)
    this.processorCounters = new Counters(this.layout.counters.processor, 'processor')
    this.stopStats = startThreadStats(new Counters(this.layout.counters.main, 'main'))

    const own = new Arena(this.layout.own)
    const inbound = new Arena(this.layout.inbound)
    const nowMs = (): number => performance.now()
    const peerIndices = this.peers.peers.map(({ index }) => index)
    const poison = (arena: Arena, slot: number): void => {
      if (options.poisonFreedSlots) arena.poison(slot)
    }
    const onPeerRefused = (peer: number, refusal: PeerRefusal, detail: string): void =>
      this.refused('peer', refusal, this.nameOf(peer), detail)

    this.gate = new SealingGate({
      isOpen: () => !(this.primary?.isFull ?? false) && this.processorCounters.get('storeFull') === 0,
      aheadMax: () => this.dissemination.inFlightLimit + SEALED_AHEAD,
      give: (slot) => this.rings.toBatchMaker({ kind: 'slot', slot }),
    })
    this.submits = new SubmitQueue(transactionBytesMax(parameters.batchBytesMax), this.rings.submit)
    this.dissemination = new Dissemination(
      {
        authorities: committee.size,
        peers: peerIndices,
        ownSlots: parameters.ownSlots,
        ackTimeoutMs: parameters.ackTimeoutMs,
      },
      { arena: own, nowMs, toQuorumWaiter: this.rings.toQuorumWaiter, toProcessor: this.rings.toProcessorOwn },
      {
        onCertified: (batch) => this.onCertified(batch),
        onSlotFree: (slot) => {
          poison(own, slot)
          if (slot < parameters.ownSlots) this.gate.pass(slot)
          else this.resender.onSlotFree(slot)
        },
        onAckLatency: (peer, ms) => this.metrics.ackLatency(this.nameOf(peer), ms),
        onSent: (peer, bytes) => this.traffic(peer, 'out', bytes),
        onAckRefused: (peer, verdict) => this.refused('ack', verdict, this.nameOf(peer), 'an ACK'),
        onDropped: (peer) => this.metrics.dropped(this.nameOf(peer)),
        onStuck: (peer, why) => this.onStuck(this.peers.at(peer)!, why),
      },
    )
    this.batchStreams = new BatchStreams(this.dissemination, {
      onReceived: (peer, bytes) => this.traffic(peer.index, 'in', bytes),
      onRefused: (peer, refusal, detail) => this.refused('peer', refusal, peer.name, detail),
    })
    this.inbound = new InboundBatches(
      {
        batchBytesMax: parameters.batchBytesMax,
        ackLevel: parameters.ackLevel,
        peers: peerIndices,
        slotsPerPeer: parameters.inboundSlotsPerPeer,
      },
      { arena: inbound, toProcessor: this.rings.toProcessorInbound },
      {
        onReceived: (peer, bytes) => this.traffic(peer, 'in', bytes),
        onRefused: onPeerRefused,
        onSlotFree: (slot) => poison(inbound, slot),
      },
    )
    this.resender = new Resender({
      arena: own,
      slots: new SlotPool(parameters.ownSlots, ownSlotsTotal(this.layout.options) - parameters.ownSlots),
      processor: this.processor,
      dissemination: this.dissemination,
      workerId,
      ownKey: keys.publicKey,
      nowMs,
      mayReport: () => !(this.primary?.isFull ?? false),
    })
    this.helper = new Helper(
      {},
      { processor: this.processor },
      {
        onServed: (peer, found, missing) =>
          this.log.debug(`Sent ${found} batches that ${short(this.nameOf(peer))} asked for, ${missing} are not here`),
        onRefused: onPeerRefused,
      },
    )
    this.synchronizer = new Synchronizer(
      {
        batchBytesMax: parameters.batchBytesMax,
        syncRetryDelayMs: parameters.syncRetryDelayMs,
        syncRetryNodes: parameters.syncRetryNodes,
        gcDepthRounds: parameters.gcDepthRounds,
        peers: peerIndices,
        firstSlot: peerIndices.length * parameters.inboundSlotsPerPeer,
      },
      {
        arena: inbound,
        processor: this.processor,
        toProcessor: this.rings.toProcessorInbound,
        indexOf: (publicKey) => committee.indexOf(publicKey),
        openStream: async (peer) => this.peers.at(peer)!.connections.at(-1)?.newStream([SYNC_PROTOCOL]),
        nowMs,
        random: Math.random,
      },
      {
        // Also of a batch of ours: that it is stored is what the primary asked, and `OurBatch` says certified.
        onStored: (digest) => this.report('OthersBatch', digest),
        onRefused: onPeerRefused,
        onReceived: (peer, bytes) => this.traffic(peer, 'in', bytes),
        onSlotFree: (slot) => poison(inbound, slot),
      },
    )
    this.metrics = new WorkerMetrics({
      version: VERSION,
      peers: this.peers.peers.map(({ name }) => name),
      sources: this.metricSources(),
    })
  }

  /** Starts everything, or nothing: rejects with why, after undoing what was done. */
  async start(): Promise<void> {
    try {
      await this.startStore()
      await this.startQuorumWaiter()
      await this.startPrimary()
      const peerId = await this.startNetwork()
      await this.startClients()
      this.tickTimer = setInterval(() => this.tick(), TICK_MS)
      this.logBoot(peerId)
    } catch (error) {
      await this.abandon()
      throw error
    }
    void this.recover()
  }

  submit(transaction: Uint8Array): Promise<void> {
    return this.submits.submit(transaction)
  }

  /** A stored batch, ours or another's. */
  async read(digest: Uint8Array): Promise<{ author: Uint8Array; bytes: Uint8Array } | undefined> {
    return this.processor.ask({ type: 'get', digest })
  }

  health(): Health {
    return healthOf({
      quorumThreshold: this.options.committee.quorumThreshold,
      ownStake: this.options.committee.stakeOf(this.ownIndex),
      connectedStake: this.peers.connectedStake(),
      storeFull: this.processorCounters.get('storeFull') === 1,
      storeOpen: this.open,
      primaryConnected: this.primary?.isConnected ?? false,
    })
  }

  /**
   * Closes in order: clients, then what is in flight (certified within a grace period, or kept in the store for the
   * next start), the network, the threads, the store.
   */
  close(): Promise<void> {
    this.closing ??= this.closeInOrder()
    return this.closing
  }

  private async startStore(): Promise<void> {
    const { committee, keys, parameters, store, workerId } = this.options
    const task: Omit<ProcessorTask, 'port'> = {
      layout: this.layout,
      control: this.processorPort.port2,
      processor: {
        workerId,
        batchBytesMax: parameters.batchBytesMax,
        authorities: committee.authorities.map(({ publicKey }) => publicKey),
        ownIndex: this.ownIndex,
        storeBytesMax: parameters.storeBytesMax,
        benchmark: this.options.benchmark,
      },
      store: {
        directory: store,
        authority: keys.publicKey,
        workerId,
        level: parameters.ackLevel,
        retentionRounds: parameters.retentionRounds,
      },
    }
    await this.threads.startPooled('processor', task, [this.processorPort.port2])
    void this.rings.doorbell.serve(
      () => this.poll(),
      () => this.open,
    )
  }

  private async startQuorumWaiter(): Promise<void> {
    const { committee, parameters } = this.options
    await this.threads.startQuorumWaiter({
      layout: this.layout,
      tally: {
        stakes: committee.authorities.map(({ stake }) => stake),
        ownIndex: this.ownIndex,
        quorumThreshold: committee.quorumThreshold,
        entriesMax: ownSlotsTotal(this.layout.options),
        requiredLevel: ACK_LEVELS[parameters.ackLevel],
      },
    } satisfies QuorumWaiterTask)
  }

  private async startNetwork(): Promise<string> {
    const { bind, committee, keys, networkKeySeed, peerDiscovery, workerId } = this.options
    const own = committee.worker(this.ownIndex, workerId).workerToWorker
    const listen = { host: bind, port: own.port }
    const digest = committeeDigest(committee)
    const sign = signer(keys.seed)
    const libp2p = await createLibp2pNode({
      networkKeySeed,
      listen,
      authorities: committee.size,
      ...(peerDiscovery && { peerDiscovery }),
      admits: (peerId) => {
        const admitted = this.peers.admits(peerId.toString())
        if (!admitted) this.refused('peer', 'peer-id-unknown', peerId.toString(), 'the committee file names others')
        return admitted
      },
      onAsShipped: () =>
        this.log.warn('The installed versions of noise and yamux are not those that narval knows: they cost more CPU'),
    })
    const peerId = libp2p.peerId.toString()
    if (own.peerId !== undefined && own.peerId !== peerId) {
      throw new NarvalError(
        'ERR_NOT_IN_COMMITTEE',
        `the committee file names the peer id ${own.peerId} for this worker, its network key gives ${peerId}: correct one of them`,
      )
    }
    this.network = new Network(
      {
        node: libp2p,
        listen,
        peers: this.peers,
        log: this.log,
        ownKey: keys.publicKey,
        ownHello: () =>
          encodeHello(
            {
              protocolVersion: PROTOCOL_VERSION,
              authority: keys.publicKey,
              workerId,
              peerId,
              addresses: [own.multiaddr],
              committeeDigest: digest,
              timeMs: Date.now(),
              nodeVersion: NODE_VERSION,
            },
            sign,
          ),
        checkHello: (hello, connectionPeerId) =>
          checkHello(hello, {
            committee,
            committeeDigest: digest,
            workerId,
            connectionPeerId,
            ownAuthority: keys.publicKey,
            protocolVersion: PROTOCOL_VERSION,
            nowMs: Date.now(),
            namedPeerId: (index) => this.peers.at(index)?.namedPeerId,
            lastSeenTimeMs: (index) => {
              const peer = this.peers.at(index)
              return peer?.peerId === undefined ? undefined : { peerId: peer.peerId, timeMs: peer.helloTimeMs }
            },
          }),
      },
      {
        onPeerConnected: (peer) => this.batchStreams.onPeerConnected(peer),
        onPeerLost: () => {},
        onBatchStream: (peer, stream) => this.inbound.open(peer.index, stream),
        onSyncStream: (peer, stream) => this.helper.accept(peer.index, stream),
        onRefused: (reason, from, detail) => this.refused('peer', reason, from, detail),
      },
    )
    await this.network.start()
    return peerId
  }

  private async startPrimary(): Promise<void> {
    this.primary = await this.options.openPrimary(this.ownIndex, {
      onReported: (digests) => this.reported.push(...digests),
      onRoom: () => this.gate.recheck(),
      onSynchronize: (digests, target) => {
        if (target === this.ownIndex) this.resender.pushAgain(digests)
        else void this.synchronizer.synchronize(digests, target).catch(ignoreClosed)
      },
      onCleanup: (round) => {
        this.synchronizer.cleanup(round)
        void this.processor.ask({ type: 'cleanup', round }).catch(ignoreClosed)
      },
      onRefused: (reason, from, detail) => this.refused('primary', reason, from, detail),
    })
  }

  private async startClients(): Promise<void> {
    const { bind, committee, parameters, workerId } = this.options
    const { port } = committee.worker(this.ownIndex, workerId).transactions
    const { start, end } = await this.processor.ask({ type: 'reserve-sequences' })
    this.rings.toBatchMaker({ kind: 'range', start, end })
    for (let slot = 0; slot < parameters.ownSlots; slot += 1) this.gate.pass(slot)
    const task: Omit<BatchMakerTask, 'port'> = {
      layout: this.layout,
      batchMaker: {
        workerId,
        batchBytesMax: parameters.batchBytesMax,
        maxBatchDelayMs: parameters.maxBatchDelayMs,
      },
      listener: {
        host: bind,
        port,
        connectionsMax: parameters.clientConnectionsMax,
        idleTimeoutMs: parameters.clientIdleTimeoutMs,
      },
    }
    await this.threads.startPooled('batch-maker', task)
  }

  /** What an earlier run left: own batches that were not reported are sent again, others' recent ones reported again. */
  private async recover(): Promise<void> {
    try {
      const recovered = await this.resender.recover()
      if (recovered > 0) this.log.info(`Sent ${recovered} batches again that the primary was not told of`)
      await this.reportRecent()
    } catch (error) {
      ignoreClosed(error)
    }
  }

  private async reportRecent(): Promise<void> {
    const rounds = BigInt(this.options.parameters.gcDepthRounds)
    let after: Uint8Array | undefined
    do {
      // At most half of the queue, so that what is stored meanwhile is not dropped for it.
      while ((this.primary?.queued ?? 0) > PRIMARY_QUEUE_MAX / 2 && this.open) await sleep(REPORT_ROOM_POLL_MS)
      const { found, next } = await this.processor.ask({ type: 'recent', rounds, after })
      for (const { digest, author } of found) {
        if (this.options.committee.indexOf(author) !== this.ownIndex) this.report('OthersBatch', digest)
      }
      after = next
    } while (after !== undefined)
  }

  private poll(): number {
    const found = this.rings.drain({
      onBatchMaker: (message) => this.onBatchMaker(message),
      onProcessor: (message) => this.onProcessor(message),
      onQuorumWaiter: (message) => this.onQuorumWaiter(message),
    })
    this.inbound.flush()
    this.submits.proceed()
    return found
  }

  private onBatchMaker(message: BatchMakerToMain): void {
    if (message.kind === 'sealed') {
      this.metrics.sealed(message.transactions, message.byteLength)
      this.dissemination.onSealed(message)
      return
    }
    this.processor
      .ask({ type: 'reserve-sequences' })
      .then(({ start, end }) => this.rings.toBatchMaker({ kind: 'range', start, end }))
      .catch(ignoreClosed)
  }

  private onProcessor(message: ProcessorToMain): void {
    if (message.kind === 'own-stored') {
      this.dissemination.onOwnStored(message.sequence, message.digest)
      return
    }
    this.metrics.inbound(this.nameOf(message.peer), message.status)
    if (message.status !== 'ok') {
      this.refused('batch', message.status, this.nameOf(message.peer), 'a batch')
    }
    if (this.synchronizer.owns(message.slot)) {
      this.synchronizer.onDone(message)
      return
    }
    if (message.status === 'ok') {
      this.synchronizer.onStoredElsewhere(message.digest)
      this.report('OthersBatch', message.digest)
    }
    this.inbound.onDone(message)
  }

  private onQuorumWaiter(message: QuorumWaiterToMain): void {
    this.dissemination.onVerdict(message)
  }

  private onCertified(batch: OwnBatch): void {
    const digest = batch.digest!
    if (batch.slot < this.options.parameters.ownSlots) this.gate.onCertified()
    this.metrics.certified(batch.transactions, batch.transactionBytes, performance.now() - batch.takenMs)
    if (!batch.report) return
    this.report('OurBatch', digest)
    const { sequence, transactions, transactionBytes } = batch
    this.certified.push({ digest, sequence, transactions, transactionBytes } satisfies CertifiedBatch)
  }

  private report(type: 'OurBatch' | 'OthersBatch', digest: Uint8Array): void {
    this.primary?.report({ type, digest })
    this.metrics.reported(type)
  }

  private onStuck(peer: Peer, why: string): void {
    this.log.warn(`Closing the connection to ${short(peer.name)}: ${why}`)
    this.network?.drop(peer, why)
  }

  private refused<K extends RefusalKind>(kind: K, reason: Refusals[K], from: string, detail: string): void {
    this.metrics.refused(kind, reason)
    // Of strangers there is one key, or they could fill the memory of what was logged.
    const known = this.options.committee.authorities.some(({ name }) => name === from)
    const suppressed = this.refusalLog.admit(`${kind} ${reason} ${known ? from : ''}`, Date.now())
    if (suppressed === null) return
    const more = suppressed > 0 ? ` (and ${suppressed} more like it)` : ''
    this.log.warn(`Refused ${kind} ${known ? short(from) : from}: ${reason}: ${detail}${more}`)
  }

  private traffic(peer: number, direction: 'in' | 'out', bytes: number): void {
    this.gcRelief.traffic(bytes)
    this.metrics.peerBytes(this.nameOf(peer), direction, bytes)
  }

  private nameOf(peer: number): string {
    return this.peers.at(peer)!.name
  }

  private tick(): void {
    this.dissemination.tick()
    this.gate.recheck()
    this.markReported()
  }

  private markReported(): void {
    if (this.reported.length === 0) return
    const digests = this.reported
    this.reported = []
    this.processor.ask({ type: 'reported', digests }).catch(ignoreClosed)
  }

  private metricSources(): MetricsSources {
    const { counters } = this.layout
    return {
      counters: {
        main: new Counters(counters.main, 'main'),
        'batch-maker': new Counters(counters['batch-maker'], 'batch-maker'),
        processor: this.processorCounters,
        'quorum-waiter': new Counters(counters['quorum-waiter'], 'quorum-waiter'),
      },
      ringDepth: (ring) => this.rings.depth(ring),
      slotsFree: () => ({
        own: this.dissemination.slotsFree,
        inbound: this.inbound.slotsFree,
        sync: this.synchronizer.slotsFree,
      }),
      batchesInFlight: () => this.dissemination.uncertified,
      peers: () =>
        this.peers.peers.map(({ connections, index, name }) => {
          const sender = this.dissemination.senders.get(index)!
          return {
            name,
            connected: connections.length > 0,
            queued: sender.queued,
            inFlight: sender.inFlightCount,
            windowLimit: sender.window.limit,
          }
        }),
      primary: () => ({
        queued: this.primary?.queued ?? 0,
        dropped: this.primary?.dropped ?? 0,
        connected: this.primary?.isConnected ?? false,
      }),
      health: () => this.health(),
    }
  }

  private logBoot(peerId: string): void {
    const { committee, parameters, store, workerId } = this.options
    const own = committee.worker(this.ownIndex, workerId)
    const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
    const { own: ownArena, inbound } = this.layout
    this.log.info(
      `${NODE_VERSION}, protocol ${PROTOCOL_VERSION}, Node ${process.versions.node}, authority ${committee.authorities[this.ownIndex]!.name}, peer id ${peerId}`,
    )
    this.log.info(
      `Shared memory: ${mib(this.layout.bytes)} = ${ownArena.slots} own slots (${parameters.ownSlots} + ${RESEND_SLOTS}) and ${inbound.slots} inbound slots (${this.peers.peers.length} × ${parameters.inboundSlotsPerPeer} + ${this.peers.peers.length} × ${SYNC_SLOTS_PER_PEER}) of ${parameters.batchBytesMax} B, and rings`,
    )
    this.log.info(`Garbage collection depth set to ${parameters.gcDepthRounds} rounds`)
    this.log.info(`Sync retry delay set to ${parameters.syncRetryDelayMs} ms`)
    this.log.info(`Sync retry nodes set to ${parameters.syncRetryNodes} nodes`)
    this.log.info(`Batch size set to ${parameters.batchBytesMax} B`)
    this.log.info(`Max batch delay set to ${parameters.maxBatchDelayMs} ms`)
    this.log.info(`ACK level set to ${parameters.ackLevel}, store ${store}`)
    this.log.info(
      `Listening for transactions on ${formatTcpAddress(own.transactions)}, for workers on ${own.workerToWorker.multiaddr}/p2p/${peerId}, for the primary on ${formatTcpAddress(own.primaryToWorker)}`,
    )
    this.log.info(`Worker ${workerId} successfully booted on ${own.transactions.host}`)
  }

  private async closeInOrder(): Promise<void> {
    await this.closeClients()
    const deadline = performance.now() + CLOSE_GRACE_MS
    while (this.dissemination.uncertified > 0 && performance.now() < deadline) await sleep(10)
    await this.abandon()
    this.settleStopped.resolve()
  }

  private closeClients(): Promise<void> {
    this.clientsClosed ??= (async () => {
      this.submits.close()
      this.threads.expectEnd()
      this.rings.toBatchMaker({ kind: 'close' })
      await this.threads.ended('batch-maker')
      // What it sealed last may still be in its ring, and is to be stored.
      while (this.poll() > 0) await sleep(0)
    })()
    return this.clientsClosed
  }

  /** Closes what there is, from the outside in. */
  private async abandon(): Promise<void> {
    this.threads.expectEnd()
    clearInterval(this.tickTimer)
    this.stopStats()
    this.resender.close()
    this.synchronizer.close()
    this.batchStreams.close()
    await this.network?.close()
    await this.primary?.close()
    this.markReported()
    await this.closeClients()
    this.rings.toQuorumWaiter({ kind: 'close' })
    await this.threads.ended('quorum-waiter')
    this.processor.close()
    await this.threads.ended('processor')
    this.open = false
    this.rings.doorbell.ring()
    this.certified.close()
  }

  private async fail(error: NarvalError): Promise<void> {
    if (!this.open) return
    this.open = false
    this.settleStopped.reject(error)
    clearInterval(this.tickTimer)
    this.stopStats()
    this.resender.close()
    this.synchronizer.close()
    this.batchStreams.close()
    this.certified.close()
    this.submits.close()
    await this.threads.terminate()
    await this.network?.close()
    await this.primary?.close()
  }
}

/** The worker closes while something is asked of the store: that is all there is to say. */
function ignoreClosed(error: unknown): void {
  if (!(error instanceof NarvalError && error.code === 'ERR_CLOSED')) throw error
}
