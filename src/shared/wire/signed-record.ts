/**
 * A record that an authority has signed, as hellos and address records are (docs/protocol.md):
 *
 * ```
 *  MessagePack {record: bin, signature: bin 64}
 * ```
 *
 * The signature is over a domain tag, zeros to 32 bytes, and the record's bytes as they came.
 */
import { Packr } from 'msgpackr'
import { HELLO_STRING_CHARS_MAX, SIGNATURE_BYTES, WORKER_ID_MAX } from '../constants.js'
import { type Sign, verify } from '../crypto/ed25519.js'
import { NarvalError } from '../errors.js'
import { MessagePackReader } from './messagepack.js'

/** Whose node it is: the authority's worker with this id, or its primary. Each speaks to those of its own role. */
export type PeerRole = number | 'primary'

export interface SignedRecord {
  readonly recordBytes: Uint8Array
  readonly signature: Uint8Array
}

/** A kind of signed record. */
export interface RecordKind {
  /** For errors. */
  readonly name: string
  readonly domainTag: string
  /** Bytes of the whole, at most. */
  readonly bytesMax: number
}

/** A primary on the wire: it stands in the place of a worker id, and is none. */
const PRIMARY_ROLE = WORKER_ID_MAX + 1
const DOMAIN_TAG_BYTES = 32

/** A role as MessagePack takes it: as a bigint what is packed as a double otherwise. */
export function packedRole(role: PeerRole): number | bigint {
  return role === 'primary' ? BigInt(PRIMARY_ROLE) : role
}

export function readRole(reader: MessagePackReader): PeerRole {
  const role = reader.uint('worker id', PRIMARY_ROLE)
  return role === PRIMARY_ROLE ? 'primary' : role
}

/** Multiaddrs, at most `countMax`. */
export function readAddresses(reader: MessagePackReader, countMax: number): string[] {
  const count = reader.array('addresses')
  if (count > countMax) {
    throw new NarvalError('ERR_CODEC', `addresses: expected at most ${countMax}, found ${count}`)
  }
  return Array.from({ length: count }, () => reader.ascii('address', HELLO_STRING_CHARS_MAX))
}

export function signRecord(kind: RecordKind, fields: readonly unknown[], sign: Sign): Uint8Array {
  const packr = new Packr({ useRecords: false })
  const recordBytes = packr.pack(fields)
  return packr.pack({ record: recordBytes, signature: sign(signedMessage(kind, recordBytes)) })
}

/** Decodes strictly, and verifies nothing. Errors: `ERR_CODEC`. */
export function openRecord({ bytesMax, name }: RecordKind, bytes: Uint8Array): SignedRecord {
  if (bytes.length > bytesMax) {
    throw new NarvalError('ERR_CODEC', `${name} of ${bytes.length} bytes, at most ${bytesMax}`)
  }
  const reader = new MessagePackReader(bytes)
  const pairs = reader.map(name)
  if (pairs !== 2) throw new NarvalError('ERR_CODEC', `${name}: expected 2 keys, found ${pairs}`)
  readKey(reader, name, 'record')
  const recordBytes = reader.bin('record')
  readKey(reader, name, 'signature')
  const signature = reader.bin('signature', SIGNATURE_BYTES)
  reader.end(name)
  return { recordBytes, signature }
}

/** Whether this key has signed it. */
export function verifyRecord(
  kind: RecordKind,
  authority: Uint8Array,
  { recordBytes, signature }: SignedRecord,
): boolean {
  return verify(authority, signedMessage(kind, recordBytes), signature)
}

/** What is signed. */
function signedMessage({ domainTag }: RecordKind, recordBytes: Uint8Array): Uint8Array {
  const message = Buffer.alloc(DOMAIN_TAG_BYTES + recordBytes.length)
  message.write(domainTag, 'ascii')
  message.set(recordBytes, DOMAIN_TAG_BYTES)
  return message
}

function readKey(reader: MessagePackReader, name: string, expected: string): void {
  const key = reader.ascii(`key of the ${name}`, HELLO_STRING_CHARS_MAX)
  if (key !== expected) throw new NarvalError('ERR_CODEC', `${name}: expected the key ${expected}, found ${key}`)
}
