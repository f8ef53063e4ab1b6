/**
 * An authority's life: its primary, its workers, and the readers of its commits, in one ordered list.
 *
 * ```
 *  submit ──▶ worker ──OurBatch, OthersBatch──▶ WorkerLink ──▶ primary ──▶ commit log ──▶ commits()
 *               ▲                                                 │                          │
 *               └── missing, committed ◀────── WorkerLink ◀───────┘        bytes ◀── worker ─┘
 * ```
 *
 * The primary is opened first, since workers report to it, and closed last, since it takes what they report until their
 * end. Each part closes what it has in its own order. A part that fails ends all others.
 */
import { commitsKept } from '../../shared/config/parameters.js'
import type { GatewayStatus } from '../../shared/memory/dialogue/gateway.js'
import { LastApplied } from '../../shared/memory/last-applied.js'
import { primaryDirectory } from '../../shared/store/authority-directories.js'
import { transactionBytesMax } from '../../shared/wire/batch.js'
import { GatewayNode } from '../gateway/gateway-node.js'
import { MetricsServer } from '../http/http-server.js'
import { GcRelief } from '../lib/gc-relief.js'
import type { Logger } from '../lib/log.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { PrimaryNode } from '../primary/primary-node.js'
import { WorkerLink } from '../primary/worker-link.js'
import { ApplicationRunner } from '../runner/application-runner.js'
import { RunnerMetrics } from '../runner/runner-metrics.js'
import type { MadeWorker } from '../worker/make-worker.js'
import { type AuthorityHealth, answerOfAuthority, authorityHealth } from './authority-health.js'
import type { CheckedAuthorityOptions } from './authority-options.js'
import type { Commits } from './commits.js'
import { makeOwnWorker, makePrimary } from './make-parts.js'
import { type MetricsText, mergeMetrics } from './merge-metrics.js'
import { OrderReaders } from './order-readers.js'
import { Parts } from './parts.js'
import { Submits } from './submits.js'

/** The addresses that listeners bind. */
export interface Binds {
  readonly primary: string
  /** By worker id. */
  readonly workers: ReadonlyMap<number, string>
  readonly metrics: string | undefined
}

export class AuthorityNode {
  /** Resolves once all is closed; rejects with the failure that ended it. */
  readonly stopped: Promise<void>
  readonly submits: Submits
  /** What the program has run on the order. */
  readonly application: ApplicationRunner
  /** How far it is. */
  readonly lastApplied = new LastApplied()
  /** The logger, which does not throw. */
  readonly log: Logger
  private readonly options: CheckedAuthorityOptions
  /** Workers that cannot tell a primary that failed fail too: what it failed with is the reason. */
  private readonly parts = new Parts((error) => this.primary.failure ?? error)
  private readonly primary: PrimaryNode
  private readonly workers: ReadonlyMap<number, MadeWorker>
  private readonly links: ReadonlyMap<number, WorkerLink>
  private readonly readers: OrderReaders
  private readonly ofApplication: RunnerMetrics
  private readonly http: MetricsServer | undefined
  private readonly gateway: GatewayNode | undefined

  constructor(options: CheckedAuthorityOptions, binds: Binds) {
    const { metrics } = options
    this.options = options
    this.log = this.supervisor.guardLogger(options.log)
    const gcRelief = new GcRelief()
    this.primary = makePrimary(options, binds.primary, this.log, gcRelief, {
      onRequest: (request) => {
        for (const link of this.links.values()) link.onRequest(request)
      },
      onNotice: () => {},
    })
    this.links = new Map(Array.from(binds.workers.keys(), (id) => [id, this.linkOf(id)]))
    this.workers = new Map(
      Array.from(binds.workers, ([id, bind]) => [
        id,
        makeOwnWorker(options, id, bind, this.log, gcRelief, this.links.get(id)!),
      ]),
    )
    this.submits = new Submits(Array.from(this.workers.values(), ({ node }) => node))
    this.readers = new OrderReaders(options, {
      primary: this.primary,
      log: this.log,
      workers: new Map(
        Array.from(this.workers, ([id, { node }]) => [
          id,
          {
            read: (digest) => node.read(digest),
            recent: node.recent,
            firstKept: () => node.firstKept,
            fetch: this.links.get(id)!.fetch,
          },
        ]),
      ),
    })
    this.application = new ApplicationRunner({
      commits: (options) => this.readers.commits.read(options),
      lastApplied: this.lastApplied,
      lastCommit: () => this.primary.counters.get('lastCommit'),
      firstKept: () => this.readers.firstKept,
      commitsKept: commitsKept(options.parameters, options.committee.size) || Number.POSITIVE_INFINITY,
      log: this.log,
    })
    this.ofApplication = new RunnerMetrics(this.application)
    this.http =
      metrics &&
      new MetricsServer(
        { ...metrics, host: binds.metrics! },
        {
          metrics: { contentType: METRICS_CONTENT_TYPE, text: () => this.metrics() },
          health: () => answerOfAuthority(this.health()),
          isAlive: () => this.isAlive(),
          supervisor: this.supervisor,
        },
      )
    this.gateway = this.makeGateway()
    this.stopped = this.parts.lifecycle.stopped
  }

  /** Starts everything, or nothing: rejects with why, after undoing what was done. */
  async start(): Promise<void> {
    const { http, parts } = this
    try {
      await parts.openHttp(http)
      await parts.open('primary', this.primary)
      await this.readers.open(parts.lifecycle)
      // They need nothing of each other.
      await Promise.all(Array.from(this.workers, ([id, { node }]) => parts.open(`worker ${id}`, node)))
      // Closed before the workers: what it applies reads batches.
      await parts.lifecycle.open(
        'application',
        () => this.application,
        (opened, ending) => opened.close(ending === 'in-order'),
      )
      // It reads the stores of all of them.
      if (this.gateway !== undefined) await parts.open('gateway', this.gateway)
    } catch (error) {
      // Those that are still being opened are told to end.
      await parts.close().catch(() => {})
      await http?.close()
      throw parts.lifecycle.error ?? error
    }
  }

  get supervisor(): Supervisor {
    return this.parts.supervisor
  }

  /** What is ordered, for readers. After the start. */
  get commits(): Commits {
    return this.readers.commits
  }

  /** Closes in order, also while it starts. */
  close(): Promise<void> {
    return this.parts.close()
  }

  isAlive(): boolean {
    return this.parts.isAlive
  }

  /** A stored batch, ours or another's, of whichever worker has it. */
  async read(digest: Uint8Array): Promise<{ author: Uint8Array; bytes: Uint8Array } | undefined> {
    const found = await Promise.all(Array.from(this.workers.values(), ({ node }) => node.read(digest)))
    return found.find((batch) => batch !== undefined)
  }

  health(): AuthorityHealth {
    const workers = new Map(Array.from(this.workers, ([id, { node }]) => [id, node.health()]))
    return authorityHealth(this.primary.health(), workers, this.readers.late, this.application.problem)
  }

  /** Those of the primary, of each worker with the label `worker`, and of the application if there is one. */
  async metrics(): Promise<string> {
    const ofWorkers = Array.from(
      this.workers,
      async ([id, { node }]): Promise<MetricsText> => ({
        text: await node.metrics.text(),
        labels: { worker: String(id) },
      }),
    )
    const ofApplication = this.application.isKnown ? [{ text: await this.ofApplication.registry.metrics() }] : []
    const ofGateway = this.gateway === undefined ? [] : [{ text: await this.gateway.metrics.text() }]
    return mergeMetrics([
      { text: await this.primary.metrics.text() },
      ...(await Promise.all(ofWorkers)),
      ...ofApplication,
      ...ofGateway,
    ])
  }

  private makeGateway(): GatewayNode | undefined {
    const { api, apiOrigins, apiToken, committee, ownIndex, parameters, store } = this.options
    if (api === undefined) return undefined
    return new GatewayNode(
      {
        ...{ listen: api, token: apiToken, origins: apiOrigins, committee, ownIndex, store, log: this.log },
        transactionBytesMax: transactionBytesMax(parameters.batchBytesMax),
      },
      {
        commitLogHead: this.primary.headMemory,
        lastApplied: this.lastApplied.buffer,
        status: () => this.status(),
        health: () => ({ ...answerOfAuthority(this.health()), isAlive: this.isAlive() }),
        metrics: async () => ({ contentType: METRICS_CONTENT_TYPE, text: await this.metrics() }),
        submit: (transaction) => this.submits.submit(transaction),
        batch: this.readers.arrived,
      },
    )
  }

  private status(): GatewayStatus {
    const { ok, primary, problems } = this.health()
    const connected = this.primary.peers.peers.filter(({ connections }) => connections.length > 0)
    return {
      ok,
      ordering: primary.ordering,
      round: primary.round,
      problems,
      connected: connected.map(({ name }) => name),
    }
  }

  private linkOf(workerId: number): WorkerLink {
    const { committee, store } = this.options
    return new WorkerLink({ committee, workerId, directory: primaryDirectory(store) }, this.primary, {
      onStored: (digest) => this.readers.stored(digest),
    })
  }
}

/** Prometheus' text format, as prom-client writes it. */
const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
