/**
 * The life of a primary whose workers are other processes: the primary, its port for them, and the readers of its commits, in
 * one ordered list.
 *
 * ```
 *  worker ══/narval/link/1══▶ LinkListener ──▶ WorkerLink ──▶ primary ──▶ commit log ──▶ commits()
 *         ◀══════════════════            ◀──            ◀──┘                              │
 *         ◀═══════ read ═══════════════════════════════════════════════════ bytes ◀───────┘
 * ```
 *
 * The port is opened last, when the log can be read, and closed first.
 */
import { primaryDirectory } from '../../shared/store/authority-directories.js'
import { MetricsServer } from '../http/http-server.js'
import { GcRelief } from '../lib/gc-relief.js'
import type { Logger } from '../lib/log.js'
import type { Supervisor } from '../lib/supervisor.js'
import { LinkListener } from '../link/link-listener.js'
import type { LinkState } from '../link/link-state.js'
import { addLinkMetrics } from '../metrics/link-metrics.js'
import { HostNames } from '../names/host-names.js'
import type { PrimaryNode } from '../primary/primary-node.js'
import { WorkerLink } from '../primary/worker-link.js'
import { RefusalReporter } from '../worker/refusal-reporter.js'
import type { CheckedAuthorityOptions } from './authority-options.js'
import type { Commits } from './commits.js'
import { makePrimary } from './make-parts.js'
import { OrderReaders } from './order-readers.js'
import { Parts } from './parts.js'
import { answerOfPrimary, type PrimaryAloneHealth, primaryAloneHealth } from './primary-alone-health.js'

export interface PrimaryBinds {
  readonly primary: string
  readonly workers: string
  readonly metrics: string | undefined
}

export class PrimaryAlone {
  /** Resolves once all is closed; rejects with the failure that ended it. */
  readonly stopped: Promise<void>
  /** The logger, which does not throw. */
  readonly log: Logger
  private readonly parts = new Parts()
  private readonly names: HostNames
  private readonly primary: PrimaryNode
  private readonly links: ReadonlyMap<number, WorkerLink>
  private readonly listener: LinkListener
  private readonly readers: OrderReaders
  private readonly http: MetricsServer | undefined

  /** Errors: `ERR_ADDRESS_MISSING` if the committee file does not say where workers find their primary. */
  constructor(options: CheckedAuthorityOptions, binds: PrimaryBinds) {
    const { committee, keys, metrics, ownIndex, store } = options
    const { port } = committee.primary(ownIndex).workerToPrimary
    this.log = this.supervisor.guardLogger(options.log)
    this.names = new HostNames({ log: this.log, supervisor: this.supervisor })
    const gcRelief = new GcRelief()
    this.primary = makePrimary(options, binds.primary, this.log, gcRelief, {
      onRequest: (request) => {
        for (const link of this.links.values()) link.onRequest(request)
      },
      onNotice: () => {},
    })
    const ids = [...committee.authority(ownIndex).workers.keys()]
    const directory = primaryDirectory(store)
    this.links = new Map(
      ids.map((workerId) => [
        workerId,
        new WorkerLink({ committee, workerId, directory }, this.primary, {
          onStored: (digest) => this.readers.stored(digest),
        }),
      ]),
    )
    this.readers = new OrderReaders(options, {
      primary: this.primary,
      log: this.log,
      workers: new Map(
        ids.map((id) => [
          id,
          {
            read: (digest, signal) => this.listener.read(id, digest, 'commits', signal),
            firstKept: () => this.listener.firstKept(id),
            fetch: this.links.get(id)!.fetch,
          },
        ]),
      ),
    })
    const reporter = new RefusalReporter({
      log: this.log,
      count: (kind, reason) => this.primary.refusals.add(kind, reason),
      nameOf: (index) => committee.authority(index).name,
      isAuthority: () => false,
    })
    this.listener = new LinkListener(
      { keys, committee, ownIndex, listen: { host: binds.workers, port } },
      { gcRelief, links: this.links, log: this.log, names: this.names, supervisor: this.supervisor },
      this.supervisor.guardAll('the port for workers', {
        onRefused: (reason, from, detail) => reporter.refused('peer', reason, from, detail),
        onWorkerRefused: (reason, id, detail) => reporter.refused('worker', reason, `worker ${id}`, detail),
      }),
    )
    addLinkMetrics(this.primary.metrics.registry, () => this.linkStates())
    this.http =
      metrics &&
      new MetricsServer(
        { ...metrics, host: binds.metrics! },
        {
          metrics: this.primary.metrics,
          health: () => answerOfPrimary(this.health()),
          isAlive: () => this.parts.isAlive,
          supervisor: this.supervisor,
        },
      )
    this.stopped = this.parts.lifecycle.stopped
  }

  /** Starts everything, or nothing: rejects with why, after undoing what was done. */
  async start(): Promise<void> {
    const { http, listener, names, parts, primary, readers } = this
    const { lifecycle } = parts
    try {
      await parts.openHttp(http)
      await lifecycle.open(
        'names',
        () => {},
        () => names.close(),
      )
      await parts.open('primary', primary)
      await readers.open(lifecycle)
      await lifecycle.open(
        'links to workers',
        () => listener.listen(),
        () => listener.close(),
      )
    } catch (error) {
      await lifecycle.close().catch(() => {})
      // A port that was taken has a node behind it.
      await listener.close()
      await http?.close()
      throw lifecycle.error ?? error
    }
  }

  get supervisor(): Supervisor {
    return this.parts.supervisor
  }

  get commits(): Commits {
    return this.readers.commits
  }

  /** A stored batch, ours or another's, of whichever worker has it and is connected. Rejects with `ERR_BUSY`. */
  async read(digest: Uint8Array): Promise<{ author: Uint8Array; bytes: Uint8Array } | undefined> {
    const found = await Promise.all(Array.from(this.links.keys(), (id) => this.listener.read(id, digest, 'call')))
    return found.find((batch) => batch !== undefined)
  }

  health(): PrimaryAloneHealth {
    return primaryAloneHealth(this.primary.health(), this.linkStates(), this.readers.late)
  }

  metrics(): Promise<string> {
    return this.primary.metrics.text()
  }

  private linkStates(): ReadonlyMap<number, LinkState> {
    return new Map(Array.from(this.links.keys(), (id) => [id, this.listener.state(id)] as const))
  }

  close(): Promise<void> {
    return this.parts.close()
  }
}
