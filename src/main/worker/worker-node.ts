/**
 * A worker's life: what is opened in which order, and how it is closed.
 *
 * Start-up goes from the inside out — store, threads, primary, network, clients — so that nothing is half-started when
 * something is wrong, and nobody is answered before we can keep what we say. Closing goes the other way (lifecycle.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { shortName } from '../../shared/config/short-name.js'
import { Counters } from '../../shared/memory/counters.js'
import { createLayout } from '../../shared/memory/layout.js'
import { startThreadStats } from '../../shared/runtime/thread-stats.js'
import { type Ending, Lifecycle } from '../lib/lifecycle.js'
import type { Logger } from '../lib/log.js'
import { Supervisor } from '../lib/supervisor.js'
import { VERSION } from '../lib/version.js'
import { type LinkState, NO_LINK } from '../link/link-state.js'
import type { Health } from '../metrics/health.js'
import type { WorkerMetrics } from '../metrics/metrics.js'
import { HostNames } from '../names/host-names.js'
import type { Network } from '../network/network.js'
import { demandAddresses } from '../network/node-address.js'
import { type OpenedNetwork, openNetwork } from '../network/open-network.js'
import { Threads } from '../thread-host/threads.js'
import { bootLines } from './boot-log.js'
import type { CertifiedStream } from './certified-stream.js'
import { CLOSE_GRACE_MS } from './limits.js'
import type { RecentBatches } from './recent-batches.js'
import { recover } from './recovery.js'
import { batchMakerTask, processorTask, quorumWaiterTask } from './thread-tasks.js'
import { openTicks } from './ticks.js'
import { Wiring, type WiringOptions } from './wiring.js'
import type { WorkerNodeOptions } from './worker-node-options.js'

export class WorkerNode {
  readonly certified: CertifiedStream
  readonly metrics: WorkerMetrics
  /** Resolves once the worker is closed; rejects with why it cannot go on. */
  readonly stopped: Promise<void>

  /** The logger, which does not throw. */
  readonly log: Logger
  /** What the names of the committee file stand for. */
  readonly names: HostNames

  private readonly options: WiringOptions
  private readonly lifecycle = new Lifecycle()
  private readonly closing = new AbortController()
  /** Takes what handlers throw that the event loop calls. */
  readonly supervisor = new Supervisor((error) => this.lifecycle.fail(error))
  private readonly threads: Threads
  private readonly wiring: Wiring
  private network: Network | undefined
  /** Where the sequences of this run begin. */
  private firstSequence = 0n

  constructor(options: WorkerNodeOptions) {
    const { committee, keys, parameters, workerId } = options
    this.log = this.supervisor.guardLogger(options.log)
    this.names = new HostNames({ log: this.log, supervisor: this.supervisor })
    const ownIndex = committee.ownIndexOf(keys)
    // Throws if the committee file has no such worker of ours, or lacks what is needed: before the store is touched.
    const own = committee.worker(ownIndex, workerId)
    if (options.clients) void own.transactions
    demandAddresses(committee, ownIndex, workerId, options)
    const layout = createLayout({
      ownSlots: parameters.ownSlots,
      inboundSlotsPerPeer: parameters.inboundSlotsPerPeer,
      authorities: committee.size,
      batchBytesMax: parameters.batchBytesMax,
    })
    this.threads = new Threads({
      supervisor: this.supervisor,
      layout,
      log: this.log,
      onDied: (error) => this.lifecycle.fail(error),
    })
    this.options = { ...options, log: this.log, version: VERSION, ownIndex, layout }
    this.wiring = new Wiring(this.options, {
      isOpen: () => this.lifecycle.isOpen,
      onStuck: (peer, why) => this.dropPeer(peer, why),
      onFailed: (error) => this.lifecycle.fail(error),
      supervisor: this.supervisor,
    })
    this.stopped = this.lifecycle.stopped
    this.certified = this.wiring.certified
    this.metrics = this.wiring.metrics
  }

  /** Starts everything, or nothing: rejects with why, after undoing what was done. */
  async start(): Promise<void> {
    try {
      await this.openOwnEnds()
      await this.openProcessor()
      await this.openQuorumWaiter()
      await this.openPrimary()
      const { addresses, peerId, port } = await this.openNetwork()
      await this.openClients()
      const { log } = this.options
      for (const line of bootLines({ ...this.options, addresses, peerId, port })) log.info(line)
    } catch (error) {
      await this.lifecycle.close().catch(() => {})
      throw this.lifecycle.error ?? error
    }
    this.supervisor.watch('recovery', this.recover())
  }

  /** Transactions of `submit` that wait for room. */
  get submitsWaiting(): number {
    return this.wiring.submits.waitingCount
  }

  submit(transaction: Uint8Array): Promise<void> {
    return this.wiring.submits.submit(transaction)
  }

  /** Batches that were stored just now. */
  get recent(): RecentBatches {
    return this.wiring.recent
  }

  /** A stored batch, ours or another's. */
  async read(digest: Uint8Array): Promise<{ author: Uint8Array; bytes: Uint8Array } | undefined> {
    return this.wiring.processor.ask({ type: 'get', digest })
  }

  /** The first commit whose batches are kept, under a narval primary. */
  get firstKept(): number {
    return this.wiring.processorCounters.get('storeFirstKept')
  }

  /** Whether it runs, or is on its way to: a failed worker does not come back by itself. */
  isAlive(): boolean {
    return this.lifecycle.error === undefined
  }

  /** The link to a narval primary in another process, once it is there to be tried. */
  linkState(): LinkState {
    return this.wiring.reports.remote?.state() ?? NO_LINK
  }

  health(): Health {
    return this.wiring.health.now()
  }

  /**
   * Closes in order: clients, then what is in flight (certified within a grace period, or kept in the store for the
   * next start), the network, the threads, the store.
   */
  close(): Promise<void> {
    // In a microtask, whoever waits has gone on: an orderly end waits for what is being opened.
    this.closing.abort()
    return this.lifecycle.close()
  }

  /** What lives on main alone: readers, the measurement of main, and its ends of the rings. */
  private async openOwnEnds(): Promise<void> {
    const { certified, rings, threadMessages } = this.wiring
    await this.lifecycle.open(
      'readers',
      () => {},
      () => certified.close(),
    )
    await this.lifecycle.open(
      'statistics',
      () => startThreadStats(new Counters(this.options.layout.counters.main, 'main')),
      (stop) => stop(),
    )
    await this.lifecycle.open(
      'names',
      () => {},
      () => this.names.close(),
    )
    let serving = true
    await this.lifecycle.open(
      'rings',
      () => {
        const served = rings.doorbell.serve(
          () => threadMessages.poll(),
          () => serving,
        )
        this.supervisor.watch('the rings', served)
      },
      () => {
        serving = false
        rings.doorbell.ring()
      },
    )
  }

  private async openProcessor(): Promise<void> {
    const { processor, processorPort } = this.wiring
    const task = processorTask(this.options, processorPort)
    // Whatever was asked of a processor that is gone is refused, in order or not.
    await this.lifecycle.open(
      'questions to the processor',
      () => {},
      () => processor.close(),
    )
    await this.lifecycle.open(
      'processor',
      () => this.threads.start('processor', task, [processorPort]),
      (_, ending) => {
        processor.close()
        return this.threads.end('processor', ending)
      },
    )
  }

  private async openQuorumWaiter(): Promise<void> {
    const task = quorumWaiterTask(this.options, this.wiring.retention.roundsMax)
    await this.lifecycle.open(
      'quorum-waiter',
      () => this.threads.start('quorum-waiter', task),
      (_, ending) => {
        this.wiring.rings.toQuorumWaiter({ kind: 'close' }, true)
        return this.threads.end('quorum-waiter', ending)
      },
    )
  }

  private async openPrimary(): Promise<void> {
    const { cleanups, reports, retention } = this.wiring
    await cleanups.open()
    const link = await this.lifecycle.open(
      'primary link',
      () => this.options.openPrimary(this.options.ownIndex, this.wiring.outside.ofPrimary(), this.closing.signal),
      async (opened) => {
        await opened.close()
        // What it took until its end is marked in the store.
        reports.tick()
      },
    )
    reports.attach(link)
    retention.look()
  }

  private async openNetwork(): Promise<OpenedNetwork> {
    const { batchStreams, healer, peers, renewer, resender, synchronizer } = this.wiring
    const opened = await this.lifecycle.open(
      'network',
      () =>
        openNetwork(
          this.options,
          { gcRelief: this.options.gcRelief, peers, log: this.log, names: this.names, supervisor: this.supervisor },
          this.wiring.outside.ofNetwork(),
        ),
      (opened) => opened.network.close(),
    )
    this.network = opened.network
    await this.lifecycle.open(
      'streams',
      () => {},
      () => {
        healer.close()
        renewer.close()
        resender.close()
        synchronizer.close()
        batchStreams.close()
      },
    )
    await openTicks(this.lifecycle, { hasActivityLog: !this.options.benchmark }, this.wiring, this.supervisor)
    return opened
  }

  private async openClients(): Promise<void> {
    const { frontier, gate, processor, reports, rings, submits } = this.wiring
    const { start, end } = await processor.ask({ type: 'reserve-sequences', after: reports.sequencesAfter })
    this.firstSequence = start
    frontier.begin(start)
    rings.toBatchMaker({ kind: 'range', start, end })
    for (let slot = 0; slot < this.options.parameters.ownSlots; slot += 1) gate.pass(slot)
    const task = batchMakerTask(this.options)
    await this.lifecycle.open(
      'clients',
      () => this.threads.start('batch-maker', task),
      async (_, ending) => {
        submits.close()
        await this.closeBatchMaker(ending)
      },
    )
  }

  /** What it has is sealed, stored, and certified within the grace period, or stays in the store. */
  private async closeBatchMaker(ending: Ending): Promise<void> {
    const { dissemination, rings, threadMessages } = this.wiring
    if (ending === 'in-order') rings.toBatchMaker({ kind: 'close' })
    await this.threads.end('batch-maker', ending)
    if (ending === 'failed') return
    // What it sealed last may still be in its ring, and is to be stored.
    while (threadMessages.poll() > 0) await sleep(0)
    const deadline = performance.now() + CLOSE_GRACE_MS
    while (dissemination.uncertified > 0 && performance.now() < deadline) await sleep(10)
  }

  private recover(): Promise<void> {
    const { committee, isOrdered, keys, log, parameters } = this.options
    const { certified, frontier, processor, reports, resender } = this.wiring
    const { gcDepthRounds } = parameters
    return recover(
      { gcDepthRounds, isOrdered, ownKey: keys.publicKey, firstSequence: this.firstSequence },
      {
        processor,
        reports,
        resender,
        log,
        isOpen: () => this.lifecycle.isOpen,
        indexOf: (key) => committee.indexOf(key),
        onRecovering: (sequence) => {
          frontier.onRecovering(sequence)
          certified.wake()
        },
        onLost: (sequence) => frontier.onLost(sequence),
      },
    )
  }

  private dropPeer(index: number, why: string): void {
    const peer = this.wiring.peers.at(index)!
    this.options.log.warn(`Closing the connection to ${shortName(peer.name)}: ${why}`)
    this.network?.drop(peer, why)
  }
}
