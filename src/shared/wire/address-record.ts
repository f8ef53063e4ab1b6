/**
 * Where an authority's node is, as the authority says and signs it, for a distributed hash table to keep
 * (docs/protocol.md). Whoever keeps it can neither change it nor make one.
 *
 * ```
 *  record = MessagePack [version, authority: bin 32, worker id, peer id, [address …],
 *                        committee digest: bin 32, time in unix ms]
 * ```
 *
 * It is signed as a hello is, with the tag `narval/address/v1`. Its key in the table is
 *
 * ```
 *  "/narval/" ‖ hex of SHA-256("narval/address-key/v1", zeros to 32 ‖ committee digest ‖ authority ‖ u64 LE worker id)
 * ```
 */
import { createHash } from 'node:crypto'
import type { Committee } from '../config/committee.js'
import {
  ADDRESS_RECORD_ADDRESSES_MAX,
  ADDRESS_RECORD_AGE_MS_MAX,
  ADDRESS_RECORD_BYTES_MAX,
  DIGEST_BYTES,
  HELLO_AHEAD_MS_MAX,
  HELLO_STRING_CHARS_MAX,
  PUBLIC_KEY_BYTES,
} from '../constants.js'
import type { Sign } from '../crypto/ed25519.js'
import { encodeBase64 } from '../crypto/public-key.js'
import { NarvalError } from '../errors.js'
import { MessagePackReader } from './messagepack.js'
import {
  openRecord,
  type PeerRole,
  packedRole,
  type RecordKind,
  readAddresses,
  readRole,
  type SignedRecord,
  signRecord,
  verifyRecord,
} from './signed-record.js'

export interface AddressRecord {
  /** The authority's public key. */
  readonly authority: Uint8Array
  readonly role: PeerRole
  readonly peerId: string
  /** Multiaddrs to try, the best first. */
  readonly addresses: readonly string[]
  readonly committeeDigest: Uint8Array
  /** When it was made, in unix ms: of two, the later holds. */
  readonly timeMs: number
}

/** Why a record is not believed, in the order in which it is checked: counted as `record-…`. */
export const ADDRESS_RECORD_REFUSALS = [
  'malformed',
  'not-in-committee',
  /** Of another committee. */
  'wrong-committee',
  /** The committee has the authority, and no such worker of it. */
  'unknown-worker',
  /** Under the key of another record. */
  'wrong-key',
  'time-ahead',
  'too-old',
  'bad-signature',
] as const
export type AddressRecordRefusal = (typeof ADDRESS_RECORD_REFUSALS)[number]

export type AddressRecordVerdict =
  | { readonly ok: true; readonly index: number; readonly record: AddressRecord }
  | { readonly ok: false; readonly reason: AddressRecordRefusal; readonly detail: string }

export interface AddressRecordExpectations {
  readonly committee: Committee
  readonly committeeDigest: Uint8Array
  /** The key that it was found or is to be stored under. */
  readonly key: Uint8Array
  /** Our clock, in unix ms. */
  readonly nowMs: number
}

/** The first part of a key: what the table takes for the kind of the record. */
export const ADDRESS_KEY_KIND = 'narval'
const KIND: RecordKind = {
  name: 'address record',
  domainTag: 'narval/address/v1',
  bytesMax: ADDRESS_RECORD_BYTES_MAX,
}
const VERSION = 1
const FIELDS = 7
const KEY_TAG = Buffer.alloc(32)
KEY_TAG.write('narval/address-key/v1')

/** Errors: `ERR_CODEC` if a field is over its limit, which decoding would refuse. */
export function encodeAddressRecord(record: AddressRecord, sign: Sign): Uint8Array {
  const { addresses, authority, committeeDigest, peerId, role, timeMs } = record
  const fields = [VERSION, authority, packedRole(role), peerId, addresses, committeeDigest, BigInt(timeMs)]
  const bytes = signRecord(KIND, fields, sign)
  decodeAddressRecord(bytes)
  return bytes
}

/** Decodes strictly, and verifies nothing. Errors: `ERR_CODEC`. */
export function decodeAddressRecord(bytes: Uint8Array): SignedRecord & { readonly record: AddressRecord } {
  const { recordBytes, signature } = openRecord(KIND, bytes)
  const reader = new MessagePackReader(recordBytes)
  const fields = reader.array('record')
  const version = reader.uint('version', Number.MAX_SAFE_INTEGER)
  if (version !== VERSION || fields !== FIELDS) {
    throw new NarvalError('ERR_CODEC', `address record: version ${version} with ${fields} fields, we know ${VERSION}`)
  }
  // In the order of the wire.
  const record: AddressRecord = {
    authority: reader.bin('authority', PUBLIC_KEY_BYTES),
    role: readRole(reader),
    peerId: reader.ascii('peer id', HELLO_STRING_CHARS_MAX),
    addresses: readAddresses(reader, ADDRESS_RECORD_ADDRESSES_MAX),
    committeeDigest: reader.bin('committee digest', DIGEST_BYTES),
    timeMs: reader.uint('time', Number.MAX_SAFE_INTEGER),
  }
  reader.end('record')
  return { record, recordBytes, signature }
}

/** The key under which a table keeps the record of this node. */
export function addressKey(committeeDigest: Uint8Array, authority: Uint8Array, role: PeerRole): Uint8Array {
  const id = Buffer.alloc(8)
  id.writeBigUInt64LE(BigInt(packedRole(role)))
  const hash = createHash('sha256').update(KEY_TAG).update(committeeDigest).update(authority).update(id)
  return new Uint8Array(Buffer.from(`/${ADDRESS_KEY_KIND}/${hash.digest('hex')}`))
}

/** Whether to believe a record that a table gave, or is to keep: a pure function. */
export function checkAddressRecord(bytes: Uint8Array, expectations: AddressRecordExpectations): AddressRecordVerdict {
  const { committee, committeeDigest, key, nowMs } = expectations
  let decoded: ReturnType<typeof decodeAddressRecord>
  try {
    decoded = decodeAddressRecord(bytes)
  } catch (error) {
    if (!(error instanceof NarvalError)) throw error
    return refuse('malformed', error.message)
  }
  const { record } = decoded
  const name = encodeBase64(record.authority)
  const index = committee.indexOf(record.authority)
  if (index === -1) return refuse('not-in-committee', `${name} is none of the ${committee.size} authorities`)
  if (Buffer.compare(record.committeeDigest, committeeDigest) !== 0) {
    return refuse('wrong-committee', `${name} made it for another committee`)
  }
  if (record.role !== 'primary' && !committee.authority(index).workers.has(record.role)) {
    return refuse('unknown-worker', `${name} has no worker ${record.role}`)
  }
  if (Buffer.compare(addressKey(committeeDigest, record.authority, record.role), key) !== 0) {
    return refuse('wrong-key', `it is under the key of another record`)
  }
  const ageMs = nowMs - record.timeMs
  if (-ageMs > HELLO_AHEAD_MS_MAX) return refuse('time-ahead', `it is dated ${-ageMs} ms ahead of our clock`)
  if (ageMs > ADDRESS_RECORD_AGE_MS_MAX) return refuse('too-old', `it is ${ageMs} ms old`)
  // Last, since it costs most.
  if (!verifyRecord(KIND, record.authority, decoded)) return refuse('bad-signature', `not signed by ${name}`)
  return { ok: true, index, record }
}

function refuse(reason: AddressRecordRefusal, detail: string): AddressRecordVerdict {
  return { ok: false, reason, detail }
}
