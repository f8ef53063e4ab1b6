/**
 * What a node of the table remembers, in memory: libp2p keeps nodes and their addresses here, and the table its records.
 *
 * ```
 *  /peers/…        nodes: KAD_PEERS_MAX of them, those written longest ago are forgotten
 *  …/record/…      records: each was checked by the validator, which takes one for each node of the committee
 *  anything else   is refused: a table of ours has nothing else
 * ```
 */
import { NotFoundError } from '@libp2p/interface'
import type { Libp2pInit } from 'libp2p'
import { ADDRESS_RECORD_AGE_MS_MAX, ADDRESS_RECORD_BYTES_MAX } from '../../shared/constants.js'
import { KAD_PEER_BYTES_MAX, KAD_PEERS_MAX } from './limits.js'

type Datastore = NonNullable<Libp2pInit['datastore']>
type Key = Parameters<Datastore['put']>[0]
type Pair = { readonly key: Key; readonly value: Uint8Array }
type Query = Parameters<Datastore['query']>[0]

interface Entry {
  readonly key: Key
  readonly value: Uint8Array
  readonly writtenMs: number
}

const PEERS_PREFIX = '/peers/'
const RECORD = '/record/'
/** Bytes of the key, the time and the frame that the table stores with a record. */
const RECORD_FRAME_BYTES = 256

export class BoundedDatastore implements Datastore {
  /** The one written longest ago comes first. */
  private readonly peers = new Map<string, Entry>()
  private readonly records = new Map<string, Entry>()
  private readonly recordsMax: number
  private readonly nowMs: () => number

  /** @param recordsMax as many as there can be that the validator takes */
  constructor(recordsMax: number, nowMs: () => number = () => performance.now()) {
    this.recordsMax = recordsMax
    this.nowMs = nowMs
  }

  get recordCount(): number {
    return this.records.size
  }

  get peerCount(): number {
    return this.peers.size
  }

  put(key: Key, value: Uint8Array): Key {
    const name = key.toString()
    const entries = this.entriesOf(name)
    if (entries === undefined) throw new Error(`${name} is nothing that is kept here`)
    const isPeer = entries === this.peers
    const bytesMax = isPeer ? KAD_PEER_BYTES_MAX : ADDRESS_RECORD_BYTES_MAX + RECORD_FRAME_BYTES
    if (value.byteLength > bytesMax) throw new Error(`${name} has ${value.byteLength} bytes, at most ${bytesMax}`)
    if (!isPeer && !entries.has(name) && entries.size >= this.recordsMax) throw new Error('no room for more records')
    entries.delete(name)
    entries.set(name, { key, value: Uint8Array.from(value), writtenMs: this.nowMs() })
    if (isPeer && entries.size > KAD_PEERS_MAX) entries.delete(entries.keys().next().value!)
    return key
  }

  get(key: Key): Uint8Array {
    const name = key.toString()
    const entries = this.entriesOf(name)
    const entry = entries?.get(name)
    if (entry === undefined) throw new NotFoundError(`${name} is not there`)
    if (entries === this.records && this.nowMs() - entry.writtenMs > ADDRESS_RECORD_AGE_MS_MAX) {
      entries.delete(name)
      throw new NotFoundError(`${name} is too old`)
    }
    return entry.value
  }

  has(key: Key): boolean {
    return this.entriesOf(key.toString())?.has(key.toString()) ?? false
  }

  delete(key: Key): void {
    this.entriesOf(key.toString())?.delete(key.toString())
  }

  async *putMany(source: Iterable<Pair> | AsyncIterable<Pair>): AsyncGenerator<Key> {
    for await (const { key, value } of source) yield this.put(key, value)
  }

  async *getMany(source: Iterable<Key> | AsyncIterable<Key>): AsyncGenerator<Pair> {
    for await (const key of source) yield { key, value: this.get(key) }
  }

  async *deleteMany(source: Iterable<Key> | AsyncIterable<Key>): AsyncGenerator<Key> {
    for await (const key of source) {
      this.delete(key)
      yield key
    }
  }

  batch(): ReturnType<Datastore['batch']> {
    const steps: (() => void)[] = []
    return {
      put: (key, value) => void steps.push(() => this.put(key, value)),
      delete: (key) => void steps.push(() => this.delete(key)),
      commit: async () => {
        for (const step of steps.splice(0)) step()
      },
    }
  }

  async *query({ filters = [], limit, offset = 0, orders = [], prefix = '' }: Query): AsyncGenerator<Pair> {
    let found: Pair[] = [...this.peers.values(), ...this.records.values()].filter(({ key }) =>
      key.toString().startsWith(prefix),
    )
    for (const filter of filters) found = found.filter((pair) => filter(pair))
    for (const order of orders) found.sort(order)
    yield* found.slice(offset, limit === undefined ? undefined : offset + limit)
  }

  async *queryKeys({
    filters = [],
    limit,
    offset = 0,
    orders = [],
    prefix = '',
  }: Parameters<Datastore['queryKeys']>[0]) {
    const keys: Key[] = []
    for await (const { key } of this.query({ prefix })) keys.push(key)
    const found = keys.filter((key) => filters.every((filter) => filter(key)))
    for (const order of orders) found.sort(order)
    yield* found.slice(offset, limit === undefined ? undefined : offset + limit)
  }

  private entriesOf(name: string): Map<string, Entry> | undefined {
    if (name.startsWith(PEERS_PREFIX)) return this.peers
    return name.includes(RECORD) ? this.records : undefined
  }
}
