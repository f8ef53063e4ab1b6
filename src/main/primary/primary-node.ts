/**
 * A primary: its thread, its streams to the others, and a libp2p node of its own at `primary_to_primary`. What is opened in
 * which order, and how it is closed. A node of its own, since a worker's hello, places and table of peers are those of
 * workers with its id; and a worker that is flooded keeps no primary waiting.
 */
import { MessageChannel } from 'node:worker_threads'
import { type Committee, committeeDigest } from '../../shared/config/committee.js'
import type { Keys } from '../../shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../shared/config/network-key.js'
import { defaultParameters, type Parameters } from '../../shared/config/parameters.js'
import { NarvalError } from '../../shared/errors.js'
import { CommitLogHead } from '../../shared/memory/commit-log-head.js'
import { Counters } from '../../shared/memory/counters.js'
import type {
  PrimaryNotice,
  PrimaryStoreTask,
  PrimaryTask,
  PrimaryThreadOptions,
  PrimaryToMain,
  PrimaryWorkerRequest,
} from '../../shared/memory/dialogue/primary.js'
import { createPrimaryMemory, type PrimaryMemory } from '../../shared/memory/primary-memory.js'
import { primaryAgreement } from '../../shared/wire/primary/agreement.js'
import type { KadOptions } from '../kad/kad-options.js'
import type { GcRelief } from '../lib/gc-relief.js'
import { Lifecycle } from '../lib/lifecycle.js'
import type { Logger } from '../lib/log.js'
import { Supervisor } from '../lib/supervisor.js'
import type { PrimaryMetrics } from '../metrics/primary-metrics.js'
import { RefusalCounts } from '../metrics/refusal-counts.js'
import { HostNames } from '../names/host-names.js'
import type { NetworkHandlers } from '../network/network.js'
import { demandAddresses } from '../network/node-address.js'
import { openNetwork } from '../network/open-network.js'
import type { PeerDiscovery } from '../network/peer-discovery.js'
import { PeerTable } from '../network/peer-table.js'
import { Router } from '../network/router.js'
import { Threads } from '../thread-host/threads.js'
import { RefusalReporter } from '../worker/refusal-reporter.js'
import { PRIMARY_GC_DEPTH_MAX, PRIMARY_GC_DEPTH_MIN } from './limits.js'
import { PrimaryClient } from './primary-client.js'
import { PrimaryStreams } from './primary-streams.js'
import { primaryBootLines } from './watch/boot-log.js'
import { WATCH_MS } from './watch/limits.js'
import type { PrimaryHealth } from './watch/primary-health.js'
import { PrimaryMonitor } from './watch/primary-monitor.js'

export interface PrimaryNodeOptions {
  readonly keys: Keys
  readonly committee: Committee
  readonly store: PrimaryStoreTask
  readonly rule: PrimaryThreadOptions['rule']
  readonly gcDepth: number
  readonly maxHeaderDelayMs: number
  /** Said at boot, for scripts: the defaults if they are not given. Those that the primary uses are above. */
  readonly parameters?: Parameters
  /** Log the lines that benchmark scripts read. Default: false. */
  readonly benchmark?: boolean
  /** The address that it listens on. */
  readonly bind: string
  readonly peerDiscovery?: PeerDiscovery
  readonly kad?: KadOptions
  /** That of this process. */
  readonly gcRelief: GcRelief
  readonly log: Logger
}

export interface PrimaryNodeHandlers {
  /** The primary asks something of our own workers, or tells them. */
  readonly onRequest: (request: PrimaryWorkerRequest) => void
  readonly onNotice: (notice: PrimaryNotice) => void
}

export class PrimaryNode {
  /** Resolves once all is closed; rejects with the failure that ended it. */
  readonly stopped: Promise<void>
  /** Takes the batches of our workers. */
  readonly client: PrimaryClient
  readonly counters: Counters<'primary'>
  /** Readers of the log in this process wait for it. */
  readonly head: CommitLogHead
  readonly refusals = new RefusalCounts()
  readonly peers: PeerTable
  private readonly options: PrimaryNodeOptions
  private readonly handlers: PrimaryNodeHandlers
  private readonly lifecycle = new Lifecycle()
  private readonly supervisor = new Supervisor((error) => this.lifecycle.fail(error))
  private readonly log: Logger
  private readonly ownIndex: number
  private readonly memory = createPrimaryMemory()
  private readonly channel = new MessageChannel()
  private readonly threads: Threads
  private readonly names: HostNames
  private readonly router: Router
  private readonly streams: PrimaryStreams
  private readonly reporter: RefusalReporter
  private readonly monitor: PrimaryMonitor
  private isStarted = false

  /** @throws NarvalError ERR_NOT_IN_COMMITTEE, ERR_PARAMETERS_MALFORMED */
  constructor(options: PrimaryNodeOptions, handlers: PrimaryNodeHandlers) {
    const { committee, keys } = options
    const { memory, supervisor } = this
    this.options = options
    this.handlers = handlers
    checkGcDepth(options.gcDepth)
    this.ownIndex = committee.ownIndexOf(keys)
    demandAddresses(committee, this.ownIndex, 'primary', options)
    this.log = supervisor.guardLogger(options.log)
    this.names = new HostNames({ log: this.log, supervisor })
    this.threads = new Threads({
      supervisor,
      layout: memory,
      log: this.log,
      onDied: (error) => this.lifecycle.fail(error),
    })
    this.counters = new Counters(memory.counters.primary, 'primary')
    this.head = new CommitLogHead(memory.commitLogHead.buffer, memory.commitLogHead.byteOffset)
    this.peers = new PeerTable(committee, this.ownIndex, 'primary')
    this.reporter = new RefusalReporter({
      log: this.log,
      count: (kind, reason) => this.refusals.add(kind, reason),
      nameOf: (index) => committee.authority(index).name,
      isAuthority: (name) => committee.authorities.some((authority) => authority.name === name),
    })
    this.client = new PrimaryClient(
      this.channel.port1,
      committee.size,
      {
        onOutput: (output) => this.take(output),
        onCredit: (peer) => this.streams.onCredit(peer),
        onBatch: (type, batch) => this.monitor.onBatch(type, batch),
      },
      supervisor,
    )
    this.router = new Router(
      () => ({ primary: this.streams }),
      this.reporter.ofPeer,
      (error) => supervisor.fail('a stream between primaries', error),
    )
    this.streams = new PrimaryStreams({ peers: this.peers, router: this.router, client: this.client, supervisor })
    this.monitor = new PrimaryMonitor(
      { committee, ownIndex: this.ownIndex, gcDepth: options.gcDepth, benchmark: options.benchmark ?? false },
      {
        ...{ log: this.log, counters: this.counters, refusals: this.refusals, peers: this.peers, supervisor },
        lifecycle: this.lifecycle,
        streams: () => this.streams,
        client: () => this.client,
        isOpen: () => this.isStarted && this.lifecycle.isOpen,
      },
    )
    this.stopped = this.lifecycle.stopped
  }

  /** Of `head`, for another thread. */
  get headMemory(): PrimaryMemory['commitLogHead'] {
    return this.memory.commitLogHead
  }

  /** Why it ended, if it failed: from the first moment on. */
  get failure(): Error | undefined {
    return this.lifecycle.error
  }

  /** Of this primary alone. */
  get metrics(): PrimaryMetrics {
    return this.monitor.metrics
  }

  health(): PrimaryHealth {
    return this.monitor.health()
  }

  /** Whether it runs, or is on its way to: a failed primary does not come back by itself. */
  isAlive(): boolean {
    return this.lifecycle.error === undefined
  }

  /** Records that were dropped because a peer did not take them, since the start. */
  get dropped(): number {
    return this.streams.dropped
  }

  /** Starts everything, or nothing: rejects with why, after undoing what was done. */
  async start(): Promise<void> {
    const { lifecycle, monitor, names, streams, supervisor, threads } = this
    try {
      await lifecycle.open(
        'names',
        () => {},
        () => names.close(),
      )
      await lifecycle.open(
        'primary',
        () => threads.start('primary', this.task(), [this.channel.port2]),
        (_, ending) => {
          this.client.close()
          return threads.end('primary', ending)
        },
      )
      await lifecycle.open(
        'streams',
        () => {},
        () => {
          streams.close()
          monitor.close()
        },
      )
      const { peerId, port } = await lifecycle.open(
        'network',
        () => this.openNetwork(),
        ({ network }) => network.close(),
      )
      await lifecycle.open(
        'monitor',
        () =>
          setInterval(
            supervisor.guard('a look at the primary', () => this.monitor.tick()),
            WATCH_MS,
          ),
        (timer) => clearInterval(timer),
      )
      this.isStarted = true
      for (const line of this.bootLines(peerId, port)) this.log.info(line)
    } catch (error) {
      await lifecycle.close().catch(() => {})
      await threads.end('primary', 'failed')
      this.client.close()
      throw lifecycle.error ?? error
    }
  }

  close(): Promise<void> {
    return this.lifecycle.close()
  }

  /** A reader of this program's was refused: there are as many as may be. */
  readonly readerRefused = (detail: string): void =>
    this.reporter.refused('reader', 'too-many-readers', 'of commits', detail)

  private openNetwork(): ReturnType<typeof openNetwork> {
    const { bind, committee, gcDepth, gcRelief, kad, keys, peerDiscovery, rule } = this.options
    const { log, names, ownIndex, peers, supervisor } = this
    const handlers: NetworkHandlers = supervisor.guardAll('the network of the primary', {
      onPeerConnected: (peer) => this.streams.onPeerConnected(peer),
      onPeerLost: () => {},
      onStream: (protocol, peer, stream) => this.router.accept(protocol, peer.index, stream),
      onRefused: (reason, from, detail) => this.reporter.refused('peer', reason, from, detail),
    } satisfies NetworkHandlers)
    return openNetwork(
      {
        keys,
        committee,
        ownIndex,
        workerId: 'primary',
        agreement: primaryAgreement(committeeDigest(committee), rule, gcDepth),
        networkKeySeed: deriveNetworkKeySeed(keys.seed, 'primary'),
        bind,
        kad,
        peerDiscovery,
        // A primary sends no batches, and what it promises is on the disk.
        parameters: { batchBytesMax: 0, ackLevel: 'durable' },
      },
      { gcRelief, log, names, peers, supervisor },
      handlers,
    )
  }

  private task(): Omit<PrimaryTask, 'port'> {
    const { committee, gcDepth, keys, maxHeaderDelayMs, rule, store } = this.options
    const { authorities } = committee
    return {
      memory: this.memory,
      events: this.channel.port2,
      primary: {
        authority: this.ownIndex,
        committeeDigest: committeeDigest(committee),
        stakes: authorities.map(({ stake }) => stake),
        publicKeys: authorities.map(({ publicKey }) => publicKey),
        workers: authorities.map(({ workers }) => [...workers.keys()]),
        rule,
        gcDepth,
        maxHeaderDelayMs,
      },
      seed: keys.seed,
      store,
    }
  }

  private bootLines(peerId: string, port: number): readonly string[] {
    const { gcDepth, maxHeaderDelayMs, parameters = defaultParameters(), store } = this.options
    return primaryBootLines({
      ...this.options,
      ownIndex: this.ownIndex,
      peerId,
      port,
      store: store.directory,
      parameters: { ...parameters, gcDepthRounds: gcDepth, maxHeaderDelayMs },
    })
  }

  private take({ notices, refusals, requests, sends }: PrimaryToMain): void {
    this.streams.send(sends)
    for (const notice of notices) {
      this.monitor.onNotice(notice)
      this.handlers.onNotice(notice)
    }
    for (const request of requests) {
      this.monitor.onRequest(request)
      this.handlers.onRequest(request)
    }
    for (const { count, detail, from, reason } of refusals) {
      for (let more = count - 1; more > 0; more -= 1) this.refusals.add('authority', reason)
      this.reporter.refused('authority', reason, this.options.committee.authority(from).name, detail)
    }
  }
}

function checkGcDepth(gcDepth: number): void {
  if (gcDepth >= PRIMARY_GC_DEPTH_MIN && gcDepth <= PRIMARY_GC_DEPTH_MAX) return
  throw new NarvalError(
    'ERR_PARAMETERS_MALFORMED',
    `gc_depth: a primary takes ${PRIMARY_GC_DEPTH_MIN} to ${PRIMARY_GC_DEPTH_MAX} rounds, all of the committee the same; found ${gcDepth}`,
  )
}
