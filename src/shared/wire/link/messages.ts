/**
 * What a worker and its own primary say to each other where they are two processes: `/narval/link/1`, one message in each
 * frame (docs/protocol.md draws them). The first byte says which one it is. Integers are little-endian.
 *
 * Both ends have the authority's secret, so nobody else speaks here. The messages are checked all the same: the other
 * process may be of another version, or its machine may be broken.
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES } from '../../constants.js'
import { NarvalError } from '../../errors.js'
import { LINK_DIGESTS_MAX, LINK_REFUSAL_CHARS_MAX } from './limits.js'

export const LINK_VERSION = 2
export const STORE_ID_BYTES = 16

export interface LinkOpen {
  readonly type: 'open'
  readonly version: number
  readonly workerId: number
  /** 32 bytes. */
  readonly committeeDigest: Uint8Array
  /** Of the worker's store alone, 16 bytes. */
  readonly storeId: Uint8Array
  /** The last commit whose batches the worker's store knows to be committed. */
  readonly applied: number
  /** The store has no batch that is not known to be committed. */
  readonly isSettled: boolean
}

export interface LinkReport {
  readonly type: 'report'
  /** Certified, or stored. */
  readonly isOwn: boolean
  /** Of another's: its worker itself handed it over. */
  readonly isDelivered: boolean
  readonly author: number
  readonly sequence: bigint
  readonly digest: Uint8Array
}

export type FromWorker =
  | LinkOpen
  | LinkReport
  /** So many more of the `committed` messages, in their order, are in the worker's store. */
  | { readonly type: 'applied'; readonly count: number }
  /** What `read` asked for. */
  | { readonly type: 'found'; readonly id: number; readonly author: number; readonly bytes: Uint8Array }
  /** It is not here. `firstKept`: batches of commits before that one were let go, or are about to be. */
  | { readonly type: 'absent'; readonly id: number; readonly firstKept: number }
  | { readonly type: 'ping' }

export type LinkPlace = { readonly applied: number } | { readonly partOf: number } | undefined

export type FromPrimary =
  /** `sequencesAfter`: the highest sequence of the worker's batches that the primary knows of, 0 for none. */
  | { readonly type: 'opened'; readonly version: number; readonly isFull: boolean; readonly sequencesAfter: bigint }
  | { readonly type: 'refused'; readonly detail: string }
  /** So many more of the reports, in their order, are in the primary's store. */
  | { readonly type: 'taken'; readonly count: number }
  /** These batches are in the order. */
  | { readonly type: 'committed'; readonly digests: readonly Uint8Array[]; readonly place: LinkPlace }
  /** The log has gone on; it has lost what the worker did not apply; all is said that it had at the beginning. */
  | { readonly type: 'commits' | 'gap' | 'replayed' }
  | { readonly type: 'synchronize'; readonly author: number; readonly digests: readonly Uint8Array[] }
  /** Whether too many own batches are not ordered yet. */
  | { readonly type: 'room'; readonly isFull: boolean }
  | { readonly type: 'read'; readonly id: number; readonly digest: Uint8Array }
  /** Headers that the primary voted for, or certificates, list these, and no commit has them; with `isAnew`, no others. */
  | { readonly type: 'named'; readonly isAnew: boolean; readonly digests: readonly Uint8Array[] }
  /** They did, and nothing that can still be ordered does. */
  | { readonly type: 'unnamed'; readonly digests: readonly Uint8Array[] }
  | { readonly type: 'ping' }

/** The first byte. Those of the two directions differ, so that a message that comes back is none. */
export const LINK_KINDS = {
  open: 1,
  report: 2,
  applied: 3,
  found: 4,
  absent: 5,
  'ping-of-worker': 6,
  opened: 33,
  refused: 34,
  taken: 35,
  committed: 36,
  commits: 37,
  gap: 38,
  replayed: 39,
  synchronize: 40,
  room: 41,
  read: 42,
  'ping-of-primary': 43,
  named: 44,
  unnamed: 45,
} as const
type KindName = keyof typeof LINK_KINDS
const NAMES = new Map<number, KindName>(Object.entries(LINK_KINDS).map(([name, kind]) => [kind, name as KindName]))

const PLACES = ['none', 'applied', 'partOf'] as const

export function encodeFromWorker(message: FromWorker): Uint8Array {
  switch (message.type) {
    case 'open':
      assert(
        message.storeId.length === STORE_ID_BYTES && message.committeeDigest.length === DIGEST_BYTES,
        'their length',
      )
      return new Fields('open', 1 + 4 + DIGEST_BYTES + STORE_ID_BYTES + 8 + 1)
        .u8(message.version)
        .u32(message.workerId)
        .bytes(message.committeeDigest)
        .bytes(message.storeId)
        .whole(message.applied)
        .u8(Number(message.isSettled)).out
    case 'report':
      assert(message.digest.length === DIGEST_BYTES, 'a digest')
      return new Fields('report', 1 + 4 + 8 + DIGEST_BYTES)
        .u8(message.isOwn ? 1 : message.isDelivered ? 2 : 0)
        .u32(message.author)
        .u64(message.sequence)
        .bytes(message.digest).out
    case 'applied':
      return new Fields('applied', 4).u32(message.count).out
    case 'found':
      return new Fields('found', 4 + 4 + message.bytes.length).u32(message.id).u32(message.author).bytes(message.bytes)
        .out
    case 'absent':
      return new Fields('absent', 4 + 8).u32(message.id).whole(message.firstKept).out
    case 'ping':
      return new Fields('ping-of-worker', 0).out
  }
}

export function encodeFromPrimary(message: FromPrimary): Uint8Array {
  switch (message.type) {
    case 'opened':
      return new Fields('opened', 1 + 1 + 8).u8(message.version).u8(Number(message.isFull)).u64(message.sequencesAfter)
        .out
    case 'refused': {
      const text = Buffer.from(message.detail.replace(/[^\x20-\x7e]/g, '?').slice(0, LINK_REFUSAL_CHARS_MAX), 'latin1')
      return new Fields('refused', text.length).bytes(text).out
    }
    case 'taken':
      return new Fields('taken', 4).u32(message.count).out
    case 'committed': {
      const { digests, place } = message
      const name = place === undefined ? 'none' : 'applied' in place ? 'applied' : 'partOf'
      const index = place === undefined ? 0 : 'applied' in place ? place.applied : place.partOf
      return new Fields('committed', 1 + 8 + digests.length * DIGEST_BYTES)
        .u8(PLACES.indexOf(name))
        .whole(index)
        .digests(digests).out
    }
    case 'synchronize':
      return new Fields('synchronize', 4 + message.digests.length * DIGEST_BYTES)
        .u32(message.author)
        .digests(message.digests).out
    case 'named':
      return new Fields('named', 1 + message.digests.length * DIGEST_BYTES)
        .u8(Number(message.isAnew))
        .digests(message.digests).out
    case 'unnamed':
      return new Fields('unnamed', message.digests.length * DIGEST_BYTES).digests(message.digests).out
    case 'room':
      return new Fields('room', 1).u8(Number(message.isFull)).out
    case 'read':
      return new Fields('read', 4 + DIGEST_BYTES).u32(message.id).bytes(message.digest).out
    case 'ping':
      return new Fields('ping-of-primary', 0).out
    default:
      return new Fields(message.type, 0).out
  }
}

/** Of the version of an `open` or `opened`, nothing else is believed before the versions are compared. */
export function decodeFromWorker(bytes: Uint8Array, authorities: number): FromWorker {
  const fields = new Reader(bytes)
  switch (fields.name) {
    case 'open':
      return fields.end({
        type: 'open',
        version: fields.version(),
        workerId: fields.u32(),
        committeeDigest: fields.bytes(DIGEST_BYTES),
        storeId: fields.bytes(STORE_ID_BYTES),
        applied: fields.whole(),
        isSettled: fields.flag(),
      })
    case 'report':
      return fields.end({
        type: 'report',
        ...fields.kindOfReport(),
        author: fields.below(authorities),
        sequence: fields.u64(),
        digest: fields.bytes(DIGEST_BYTES),
      })
    case 'applied':
      return fields.end({ type: 'applied', count: fields.count() })
    case 'found':
      return { type: 'found', id: fields.u32(), author: fields.below(authorities), bytes: fields.rest() }
    case 'absent':
      return fields.end({ type: 'absent', id: fields.u32(), firstKept: fields.whole() })
    case 'ping-of-worker':
      return fields.end({ type: 'ping' })
    default:
      throw malformed(`a message of kind ${bytes[0] ?? 'none'} from a worker`)
  }
}

export function decodeFromPrimary(bytes: Uint8Array, authorities: number): FromPrimary {
  const fields = new Reader(bytes)
  switch (fields.name) {
    case 'opened':
      return fields.end({
        type: 'opened',
        version: fields.version(),
        isFull: fields.flag(),
        sequencesAfter: fields.u64(),
      })
    case 'refused':
      return { type: 'refused', detail: fields.text(LINK_REFUSAL_CHARS_MAX) }
    case 'taken':
      return fields.end({ type: 'taken', count: fields.count() })
    case 'committed': {
      const place = PLACES[fields.below(PLACES.length, 1)]!
      const index = fields.whole()
      const digests = fields.digests(0)
      if (place === 'none') return { type: 'committed', digests, place: undefined }
      return { type: 'committed', digests, place: place === 'applied' ? { applied: index } : { partOf: index } }
    }
    case 'synchronize':
      return { type: 'synchronize', author: fields.below(authorities), digests: fields.digests(1) }
    case 'named':
      return { type: 'named', isAnew: fields.flag(), digests: fields.digests(0) }
    case 'unnamed':
      return { type: 'unnamed', digests: fields.digests(1) }
    case 'room':
      return fields.end({ type: 'room', isFull: fields.flag() })
    case 'read':
      return fields.end({ type: 'read', id: fields.u32(), digest: fields.bytes(DIGEST_BYTES) })
    case 'ping-of-primary':
      return fields.end({ type: 'ping' })
    case 'commits':
    case 'gap':
    case 'replayed':
      return fields.end({ type: fields.name })
    default:
      throw malformed(`a message of kind ${bytes[0] ?? 'none'} from a primary`)
  }
}

function malformed(problem: string): NarvalError {
  return new NarvalError('ERR_CODEC', `link: ${problem}`)
}

/** Writes one field behind the other. */
class Fields {
  readonly out: Uint8Array
  private readonly view: DataView
  private at = 1

  constructor(name: KindName, bytes: number) {
    this.out = new Uint8Array(1 + bytes)
    this.view = new DataView(this.out.buffer)
    this.out[0] = LINK_KINDS[name]
  }

  u8(value: number): this {
    this.view.setUint8(this.at, value)
    this.at += 1
    return this
  }

  u32(value: number): this {
    this.view.setUint32(this.at, value, true)
    this.at += 4
    return this
  }

  u64(value: bigint): this {
    this.view.setBigUint64(this.at, value, true)
    this.at += 8
    return this
  }

  whole(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, 'a whole number')
    return this.u64(BigInt(value))
  }

  bytes(value: Uint8Array): this {
    this.out.set(value, this.at)
    this.at += value.length
    return this
  }

  digests(values: readonly Uint8Array[]): this {
    assert(values.length <= LINK_DIGESTS_MAX, 'no more in one message')
    for (const value of values) this.bytes(value)
    return this
  }
}

/** Reads one field behind the other. Errors: `ERR_CODEC`. What it returns is copied. */
class Reader {
  readonly name: KindName | undefined
  private readonly input: Uint8Array
  private readonly view: DataView
  private at = 1

  constructor(input: Uint8Array) {
    this.input = input
    this.view = new DataView(input.buffer, input.byteOffset, input.byteLength)
    this.name = NAMES.get(input[0] ?? -1)
  }

  u8(): number {
    return this.view.getUint8(this.take(1))
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true)
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8), true)
  }

  /** What another version says behind it is not looked at. */
  version(): number {
    const version = this.u8()
    if (version !== LINK_VERSION) {
      throw new LinkVersionError(`the other end speaks version ${version} of the link, we speak ${LINK_VERSION}`)
    }
    return version
  }

  flag(): boolean {
    return this.below(2, 1) === 1
  }

  kindOfReport(): Pick<LinkReport, 'isDelivered' | 'isOwn'> {
    const kind = this.below(3, 1)
    return { isOwn: kind === 1, isDelivered: kind === 2 }
  }

  /** An index of `width` bytes. */
  below(end: number, width: 1 | 4 = 4): number {
    const value = width === 1 ? this.u8() : this.u32()
    if (value >= end) throw malformed(`${this.name}: ${value}, expected 0 to ${end - 1}`)
    return value
  }

  count(): number {
    const value = this.u32()
    if (value === 0) throw malformed(`${this.name}: a count of 0`)
    return value
  }

  whole(): number {
    const value = this.u64()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(`${this.name}: ${value} is no index of a commit`)
    return Number(value)
  }

  bytes(length: number): Uint8Array {
    const from = this.take(length)
    return new Uint8Array(this.input.subarray(from, from + length))
  }

  rest(): Uint8Array {
    return this.input.subarray(this.at)
  }

  text(charsMax: number): string {
    const text = Buffer.from(this.rest()).toString('latin1')
    if (text.length > charsMax || !/^[\x20-\x7e]*$/.test(text)) throw malformed(`${this.name}: no line of text`)
    return text
  }

  /** All that follows. */
  digests(min: number): Uint8Array[] {
    const bytes = this.input.length - this.at
    const count = bytes / DIGEST_BYTES
    if (!Number.isInteger(count) || count < min || count > LINK_DIGESTS_MAX) {
      throw malformed(
        `${this.name}: ${bytes} bytes of digests, expected ${min} to ${LINK_DIGESTS_MAX} of ${DIGEST_BYTES}`,
      )
    }
    return Array.from({ length: count }, () => this.bytes(DIGEST_BYTES))
  }

  end<T>(message: T): T {
    if (this.at !== this.input.length) throw malformed(`${this.name}: ${this.input.length - this.at} bytes behind it`)
    return message
  }

  private take(length: number): number {
    const from = this.at
    if (from + length > this.input.length) throw malformed(`${this.name}: it ends after ${this.input.length} bytes`)
    this.at = from + length
    return from
  }
}

/** The other end speaks another version: what it says is not malformed. */
export class LinkVersionError extends NarvalError {
  constructor(message: string) {
    super('ERR_CODEC', message)
  }
}
