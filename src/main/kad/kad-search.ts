/**
 * Finds the committee's nodes through a distributed hash table, and lets them find us: rounds, in each of which a client of
 * the table is opened, our own record published, those of authorities that are not connected looked up, and the
 * client closed. While nobody is missing, nothing is open, and our record is published again now and then.
 *
 * ```
 *  missing peers ──▶ round: dial bootstrap nodes ──▶ put our record ─┐
 *                                                └─▶ get theirs ─────┴─▶ validator: signature holds ──▶ onRecord
 * ```
 *
 * What a round costs is bounded: its time, its lookups, the dials that the table may cause, the bytes and the work of each
 * connection; and the client's memory goes with it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Committee } from '../../shared/config/committee.js'
import { shortName } from '../../shared/config/short-name.js'
import type { Sign } from '../../shared/crypto/ed25519.js'
import type { PeerRefusal } from '../../shared/refusals.js'
import {
  type AddressRecord,
  addressKey,
  checkAddressRecord,
  encodeAddressRecord,
} from '../../shared/wire/address-record.js'
import type { PeerRole } from '../../shared/wire/signed-record.js'
import type { Logger } from '../lib/log.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { HostNames } from '../names/host-names.js'
import { dialBootstraps } from './bootstraps.js'
import { BoundedDatastore } from './bounded-datastore.js'
import { DialBudget, hostsOf } from './dial-budget.js'
import { createKadNode, type KadNode, untilKnown } from './kad-node.js'
import {
  KAD_LOG_MS,
  KAD_LOOKUPS_AT_A_TIME,
  KAD_LOOKUPS_PER_ROUND,
  KAD_REPUBLISH_MS,
  KAD_ROUND_MAX_MS,
  KAD_ROUND_MIN_MS,
  KAD_ROUND_TIMEOUT_MS,
} from './limits.js'

export interface KadSearchOptions {
  readonly committee: Committee
  readonly committeeDigest: Uint8Array
  readonly ownIndex: number
  readonly role: PeerRole
  readonly peerId: string
  readonly sign: Sign
  /** Multiaddrs of bootstrap nodes. */
  readonly bootstrap: readonly string[]
}

export interface KadSearchDependencies {
  readonly log: Logger
  readonly names: HostNames
  readonly supervisor: Supervisor
  /** Multiaddrs at which others may reach us, the best first. */
  readonly ownAddresses: () => readonly string[]
  /** Authorities that are not connected. */
  readonly missing: () => readonly number[]
  /** A record of another authority's node, whose signature holds. Whether it was news. */
  readonly onRecord: (index: number, record: AddressRecord) => boolean
  readonly onRefused: (reason: PeerRefusal, from: string, detail: string) => void
  /** For tests. */
  readonly createClient?: typeof createKadNode
}

export class KadSearch {
  private readonly options: KadSearchOptions
  private readonly dependencies: KadSearchDependencies
  private readonly dials: DialBudget
  private readonly closing = new AbortController()
  private running: Promise<void> | undefined
  private wakeUp = (): void => {}
  private publishedMs = Number.NEGATIVE_INFINITY
  private problemSaidMs = Number.NEGATIVE_INFINITY
  private found = 0

  constructor(options: KadSearchOptions, dependencies: KadSearchDependencies) {
    this.options = options
    this.dependencies = dependencies
    this.dials = new DialBudget(hostsOf(options.bootstrap))
  }

  start(): void {
    this.running = this.run()
    this.dependencies.supervisor.watch('the search for addresses', this.running)
  }

  /** Somebody is missing again. */
  wake(): void {
    this.wakeUp()
  }

  async close(): Promise<void> {
    this.closing.abort()
    this.wakeUp()
    await this.running
  }

  private async run(): Promise<void> {
    const { signal } = this.closing
    // Others may be a moment late: the second round comes soon.
    let pauseMs = KAD_ROUND_MIN_MS / 2
    while (!signal.aborted) {
      this.found = 0
      await this.round(this.dependencies.missing())
      pauseMs = this.found > 0 ? KAD_ROUND_MIN_MS : Math.min(pauseMs * 2, KAD_ROUND_MAX_MS)
      await this.pause(KAD_ROUND_MIN_MS)
      const isMissing = this.dependencies.missing().length > 0
      const waitMs = isMissing ? pauseMs - KAD_ROUND_MIN_MS : this.publishedMs + KAD_REPUBLISH_MS - performance.now()
      if (waitMs <= 0) continue
      // Whoever is lost from now on is looked for at once; whoever has been missing waits for its turn.
      const woken = isMissing ? new Promise<void>(() => {}) : this.woken()
      await Promise.race([woken, this.pause(waitMs)])
    }
  }

  private woken(): Promise<void> {
    return new Promise((resolve) => {
      this.wakeUp = resolve
    })
  }

  private async pause(ms: number): Promise<void> {
    // Nodes that were started together do not come to the table together each time.
    await sleep(ms * (0.875 + Math.random() / 4), undefined, { signal: this.closing.signal }).catch(() => {})
  }

  private async round(missing: readonly number[]): Promise<void> {
    const { committee, role } = this.options
    const { log, names, supervisor } = this.dependencies
    const ended = new AbortController()
    const end = supervisor.guard('the search for addresses', () => ended.abort())
    const timer = setTimeout(end, KAD_ROUND_TIMEOUT_MS)
    this.closing.signal.addEventListener('abort', end)
    const client = await this.openClient()
    try {
      if (client === undefined) return
      const { node, table } = client
      await node.start()
      const reached = await dialBootstraps(node, this.options.bootstrap, {
        dials: this.dials,
        names,
        signal: ended.signal,
      })
      if (reached === 0) {
        this.say(`No bootstrap node is reached: ${this.options.bootstrap.join(', ')}; they are tried again`)
        return
      }
      await untilKnown(table, reached, ended.signal)
      const turns = shuffled(missing).slice(0, KAD_LOOKUPS_PER_ROUND)
      const lookUp = async (): Promise<void> => {
        for (let index = turns.pop(); index !== undefined && !ended.signal.aborted; index = turns.pop()) {
          const key = addressKey(this.options.committeeDigest, committee.authority(index).publicKey, role)
          await drained(table.get(key, { signal: ended.signal }))
        }
      }
      await Promise.all([this.publish(table, ended.signal), ...Array.from({ length: KAD_LOOKUPS_AT_A_TIME }, lookUp)])
    } catch (error) {
      log.debug(`A round of the search for addresses broke off: ${(error as Error).message}`)
    } finally {
      clearTimeout(timer)
      this.closing.signal.removeEventListener('abort', end)
      if (client !== undefined) supervisor.watch('the search for addresses', stop(client.node))
    }
  }

  /** Undefined if none can be made: the process may open no more files, for example. Then there is another round. */
  private async openClient(): Promise<KadNode | undefined> {
    const { committee } = this.options
    const { createClient = createKadNode, onRefused, supervisor } = this.dependencies
    try {
      return await createClient(
        {},
        {
          datastore: new BoundedDatastore(committee.size),
          dials: this.dials,
          takeRecord: (key, value) => this.take(key, value),
          onRefused,
          supervisor,
        },
      )
    } catch (error) {
      this.say(`Nobody can be looked for in the hash table now: ${(error as Error).message}; it is tried again`)
      return undefined
    }
  }

  /** Our own record, to the nodes of the table that are closest to its key. */
  private async publish(table: KadNode['table'], signal: AbortSignal): Promise<void> {
    const { committee, committeeDigest, ownIndex, peerId, role, sign } = this.options
    const addresses = this.dependencies.ownAddresses()
    if (addresses.length === 0) return
    const authority = committee.authority(ownIndex).publicKey
    const record = { authority, role, peerId, addresses, committeeDigest, timeMs: Date.now() }
    let kept = 0
    await drained(
      table.put(addressKey(committeeDigest, authority, role), encodeAddressRecord(record, sign), { signal }),
      (event) => {
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE') kept += 1
      },
    )
    if (kept === 0) return
    if (this.publishedMs === Number.NEGATIVE_INFINITY) {
      this.dependencies.log.info(`Published our addresses: ${addresses.join(', ')}`)
    }
    this.publishedMs = performance.now()
  }

  /** The table has a record. What it says is believed if the authority has signed it; where the record came from says nothing. */
  private take(key: Uint8Array, value: Uint8Array): void {
    const { committee, committeeDigest, ownIndex, role } = this.options
    const verdict = checkAddressRecord(value, { committee, committeeDigest, key, nowMs: Date.now() })
    if (!verdict.ok) {
      this.dependencies.onRefused(`record-${verdict.reason}`, 'the hash table', verdict.detail)
      throw new Error(verdict.reason)
    }
    const { index, record } = verdict
    if (index === ownIndex || record.role !== role || !this.dependencies.onRecord(index, record)) return
    this.found += 1
    const name = shortName(committee.authority(index).name)
    this.dependencies.log.info(`Found addresses of ${name}: ${record.addresses.join(', ')}`)
  }

  /** Why nobody can be looked for: not each time, since it may last. */
  private say(problem: string): void {
    const nowMs = performance.now()
    if (this.closing.signal.aborted || nowMs - this.problemSaidMs < KAD_LOG_MS) return
    this.problemSaidMs = nowMs
    this.dependencies.log.warn(problem)
  }
}

type Event = ReturnType<KadNode['table']['get']> extends AsyncIterable<infer E> ? E : never

/** Goes on until the query is over, however it ends: a table may refuse anything. */
async function drained(events: AsyncIterable<Event>, onEvent: (event: Event) => void = () => {}): Promise<void> {
  try {
    for await (const event of events) onEvent(event)
  } catch {
    // What was found until then is taken already.
  }
}

/** A connection whose other end does not answer keeps nobody waiting. */
async function stop(node: KadNode['node']): Promise<void> {
  for (const connection of node.getConnections()) connection.abort(new Error('the round is over'))
  await node.stop()
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
