/**
 * A bootstrap node: a server of the hash table, which keeps the signed addresses of one committee's nodes and gives them to
 * whoever asks. It has no key of the committee's and is trusted with nothing: it can withhold a record, and not change
 * one. Everything that it keeps and serves is bounded (limits.ts).
 */
import type { Libp2p } from '@libp2p/interface'
import type { TcpAddress } from '../../shared/config/address.js'
import type { Committee } from '../../shared/config/committee.js'
import { plainHost } from '../../shared/wire/source-address.js'
import { Lifecycle } from '../lib/lifecycle.js'
import type { Logger } from '../lib/log.js'
import { Supervisor } from '../lib/supervisor.js'
import { HostNames } from '../names/host-names.js'
import { Admission } from '../network/admission.js'
import { Gate } from '../network/gate.js'
import { startListening } from '../network/start-listening.js'
import { dialBootstraps } from './bootstraps.js'
import { BoundedDatastore } from './bounded-datastore.js'
import { DialBudget, hostsOf } from './dial-budget.js'
import { createKadNode, type KadNode, knownTo } from './kad-node.js'
import { KAD_CONNECTION_MS, KAD_PLACES_MAX, KAD_REJOIN_MS, KAD_REPORT_MS, KAD_SOURCE_PLACES_MAX } from './limits.js'
import { RecordKeeper } from './record-keeper.js'

export interface BootstrapNodeOptions {
  readonly committee: Committee
  /** Seed of its libp2p key, 32 bytes; a new key at each start if not given. */
  readonly seed?: Uint8Array | undefined
  /** The address that it binds, numeric. */
  readonly listen: TcpAddress
  /** Multiaddrs of other bootstrap nodes, with which it makes one table. */
  readonly bootstrap: readonly string[]
  readonly log: Logger
}

export class BootstrapNode {
  /** Resolves once it is closed; rejects with the failure that ended it. */
  readonly stopped: Promise<void>
  private readonly options: BootstrapNodeOptions
  private readonly lifecycle = new Lifecycle()
  readonly supervisor = new Supervisor((error) => this.lifecycle.fail(error))
  private readonly log: Logger
  private readonly names: HostNames
  private readonly keeper: RecordKeeper
  private readonly datastore: BoundedDatastore
  private readonly dials: DialBudget
  /** Counted since the last line about them, by reason. */
  private readonly refused = new Map<string, number>()

  constructor(options: BootstrapNodeOptions) {
    const { supervisor } = this
    this.options = options
    this.log = supervisor.guardLogger(options.log)
    this.names = new HostNames({ log: this.log, supervisor })
    this.keeper = new RecordKeeper(options.committee)
    this.datastore = new BoundedDatastore(RecordKeeper.recordsMax(options.committee))
    // Where it listens on this machine alone, whoever reaches it is on this machine too.
    const { host } = options.listen
    const isEvery = host === '0.0.0.0' || host === '::'
    this.dials = new DialBudget(new Set([...hostsOf(options.bootstrap), ...(isEvery ? [] : [plainHost(host)])]))
    this.stopped = this.lifecycle.stopped
  }

  /** Records that it keeps now. */
  get records(): number {
    return this.datastore.recordCount
  }

  /** Starts everything, or nothing. Resolves with the multiaddrs to give to `--bootstrap`. */
  async start(): Promise<readonly string[]> {
    const { lifecycle, supervisor } = this
    try {
      await lifecycle.open(
        'names',
        () => {},
        () => this.names.close(),
      )
      const gate = this.makeGate()
      const made = await this.createNode(gate)
      const { node } = made
      await lifecycle.open(
        'the hash table',
        () => this.listen(node, gate),
        async () => {
          gate.close()
          await node.stop()
        },
      )
      const interval = (name: string, ms: number, tick: () => void): Promise<NodeJS.Timeout> =>
        lifecycle.open(
          name,
          () => setInterval(supervisor.guard(name, tick), ms),
          (timer) => clearInterval(timer),
        )
      this.rejoin(made)
      await interval('other bootstrap nodes', KAD_REJOIN_MS, () => this.rejoin(made))
      await interval('reports', KAD_REPORT_MS, () => this.report())
      return node.getMultiaddrs().map(String)
    } catch (error) {
      await lifecycle.close().catch(() => {})
      throw lifecycle.error ?? error
    }
  }

  close(): Promise<void> {
    return this.lifecycle.close()
  }

  private makeGate(): Gate {
    const admission = new Admission({
      members: [],
      strangerPlaces: KAD_PLACES_MAX,
      sourcePlaces: KAD_SOURCE_PLACES_MAX,
      timeoutMs: KAD_CONNECTION_MS,
    })
    const { supervisor } = this
    return new Gate(
      { admission, nowMs: () => performance.now(), memberOf: () => undefined, supervisor },
      { onRefused: (reason) => this.count(reason) },
    )
  }

  private createNode(gate: Gate): ReturnType<typeof createKadNode> {
    const { listen, seed } = this.options
    return createKadNode(
      { seed, server: { listen, gate } },
      {
        datastore: this.datastore,
        dials: this.dials,
        takeRecord: (key, value) => {
          const refusal = this.keeper.take(key, value, Date.now())
          if (refusal === undefined) return
          this.count(`record-${refusal}`)
          throw new Error(refusal)
        },
        onRefused: (reason) => this.count(reason),
        supervisor: this.supervisor,
      },
    )
  }

  private async listen(node: Libp2p, gate: Gate): Promise<void> {
    const { listen } = this.options
    const onOpen = this.supervisor.guard('a connection', ({ detail }: Parameters<OnOpen>[0]) => {
      if (detail.direction === 'inbound') gate.onOpened(detail)
    })
    node.addEventListener('connection:open', onOpen)
    await startListening(node, 'nodes of the committee', listen, 'choose another')
  }

  private rejoin({ node, table }: KadNode): void {
    const { bootstrap } = this.options
    if (bootstrap.length === 0) return
    if (knownTo(table) < bootstrap.length) {
      // One that did not answer in time is asked again who it is only on a new connection.
      for (const connection of node.getConnections()) {
        if (connection.direction === 'outbound') connection.abort(new Error('the table does not know it yet'))
      }
    }
    const signal = AbortSignal.timeout(KAD_REJOIN_MS)
    const dialled = dialBootstraps(node, bootstrap, { dials: this.dials, names: this.names, signal })
    this.supervisor.watch('other bootstrap nodes', dialled)
  }

  private count(reason: string): void {
    // A connection that has had its time is nothing to report, and neither is one that was closed.
    if (reason === 'hello-timeout' || reason === 'left-before-hello') return
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1)
  }

  private report(): void {
    if (this.refused.size === 0) return
    const counts = Array.from(this.refused, ([reason, count]) => `${reason} ${count}`)
    this.refused.clear()
    this.log.warn(`Refused in the last minute: ${counts.join(', ')}`)
  }
}

type OnOpen = (event: CustomEvent<ReturnType<Libp2p['getConnections']>[number]>) => void
