/**
 * The hello: who a worker says it is, signed by its authority's key (docs/protocol.md). Both ends of a connection present
 * one before anything else is taken; nothing in it is believed but the key until the signature holds.
 *
 * ```
 *  MessagePack {record: bin, signature: bin 64}
 *  record = MessagePack [protocol version, authority: bin 32, worker id, peer id, [address …],
 *                        committee digest: bin 32, time in unix ms, node version, batch size, ACK level]
 * ```
 *
 * The signature is over `"narval/hello/v1"`, zeros to 32 bytes, and the record's bytes as they came.
 */
import { Packr } from 'msgpackr'
import {
  DIGEST_BYTES,
  HELLO_ADDRESSES_MAX,
  HELLO_BYTES_MAX,
  HELLO_STRING_CHARS_MAX,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  WORKER_ID_MAX,
} from '../constants.js'
import { type Sign, verify } from '../crypto/ed25519.js'
import { NarvalError } from '../errors.js'
import { type AckLevelCode, isAckLevel } from './ack.js'
import { MessagePackReader } from './messagepack.js'

/** Whose node it is: the authority's worker with this id, or its primary. Each speaks to those of its own role. */
export type PeerRole = number | 'primary'

/** A primary on the wire: it stands in the place of a worker id, and is none. */
const PRIMARY_ROLE = WORKER_ID_MAX + 1

export interface HelloRecord {
  /** The version of the protocols between workers, and between primaries. */
  readonly protocolVersion: number
  /** The authority's public key. */
  readonly authority: Uint8Array
  readonly workerId: PeerRole
  /** The PeerId of the connection it is presented on. */
  readonly peerId: string
  /** Multiaddrs to try. */
  readonly addresses: readonly string[]
  readonly committeeDigest: Uint8Array
  /** When it was made, in unix ms: of two PeerIds for one worker, the later holds. */
  readonly timeMs: number
  /** The program and its version, for logs. */
  readonly nodeVersion: string
  /** `batch_size`, which must be the same everywhere: bytes of a batch that it sends and takes, at most. 0 of a primary. */
  readonly batchBytesMax: number
  /** The level of its ACKs. */
  readonly ackLevel: AckLevelCode
}

export interface DecodedHello {
  readonly record: HelloRecord
  /** What the signature is over, behind the domain tag. */
  readonly recordBytes: Uint8Array
  readonly signature: Uint8Array
}

const RECORD_FIELDS = 10
const DOMAIN_TAG = 'narval/hello/v1'
const DOMAIN_TAG_BYTES = 32

/** Errors: `ERR_CODEC` if a field is over its limit, which decoding would refuse. */
export function encodeHello(record: HelloRecord, sign: Sign): Uint8Array {
  const packr = new Packr({ useRecords: false })
  const recordBytes = packr.pack([
    record.protocolVersion,
    record.authority,
    // As a bigint, as below.
    record.workerId === 'primary' ? BigInt(PRIMARY_ROLE) : record.workerId,
    record.peerId,
    record.addresses,
    record.committeeDigest,
    // As a bigint it is packed as an integer: a number above 2^32 would be packed as a double.
    BigInt(record.timeMs),
    record.nodeVersion,
    record.batchBytesMax,
    record.ackLevel,
  ])
  const hello = packr.pack({ record: recordBytes, signature: sign(helloMessage(recordBytes)) })
  decodeHello(hello)
  return hello
}

/** Decodes strictly, and verifies nothing. Errors: `ERR_CODEC`. */
export function decodeHello(bytes: Uint8Array): DecodedHello {
  const { recordBytes, signature } = decodeEnvelope(bytes)
  const reader = new MessagePackReader(recordBytes)
  const fields = reader.array('record')
  if (fields !== RECORD_FIELDS) {
    throw new NarvalError('ERR_CODEC', `record: expected ${RECORD_FIELDS} fields, found ${fields}`)
  }
  // In the order of the wire.
  const record: HelloRecord = {
    protocolVersion: reader.uint('protocol version', Number.MAX_SAFE_INTEGER),
    authority: reader.bin('authority', PUBLIC_KEY_BYTES),
    workerId: readRole(reader),
    peerId: reader.ascii('peer id', HELLO_STRING_CHARS_MAX),
    addresses: readAddresses(reader),
    committeeDigest: reader.bin('committee digest', DIGEST_BYTES),
    timeMs: reader.uint('time', Number.MAX_SAFE_INTEGER),
    nodeVersion: reader.ascii('node version', HELLO_STRING_CHARS_MAX),
    batchBytesMax: reader.uint('batch size', Number.MAX_SAFE_INTEGER),
    ackLevel: readAckLevel(reader),
  }
  reader.end('record')
  return { record, recordBytes, signature }
}

/** Whether the hello was signed by the key that it names. */
export function verifyHello(hello: DecodedHello): boolean {
  return verify(hello.record.authority, helloMessage(hello.recordBytes), hello.signature)
}

/**
 * The protocol version of a hello whose record may have another layout than ours: it comes first in every version.
 * `undefined` if there is none to be found.
 */
export function helloProtocolVersion(bytes: Uint8Array): number | undefined {
  try {
    const reader = new MessagePackReader(decodeEnvelope(bytes).recordBytes)
    reader.array('record')
    return reader.uint('protocol version', Number.MAX_SAFE_INTEGER)
  } catch (error) {
    if (error instanceof NarvalError) return undefined
    throw error
  }
}

/** What is signed. */
function helloMessage(recordBytes: Uint8Array): Uint8Array {
  const message = Buffer.alloc(DOMAIN_TAG_BYTES + recordBytes.length)
  message.write(DOMAIN_TAG, 'ascii')
  message.set(recordBytes, DOMAIN_TAG_BYTES)
  return message
}

function decodeEnvelope(bytes: Uint8Array): { recordBytes: Uint8Array; signature: Uint8Array } {
  if (bytes.length > HELLO_BYTES_MAX) {
    throw new NarvalError('ERR_CODEC', `hello of ${bytes.length} bytes, at most ${HELLO_BYTES_MAX}`)
  }
  const reader = new MessagePackReader(bytes)
  const pairs = reader.map('hello')
  if (pairs !== 2) throw new NarvalError('ERR_CODEC', `hello: expected 2 keys, found ${pairs}`)
  readKey(reader, 'record')
  const recordBytes = reader.bin('record')
  readKey(reader, 'signature')
  const signature = reader.bin('signature', SIGNATURE_BYTES)
  reader.end('hello')
  return { recordBytes, signature }
}

function readKey(reader: MessagePackReader, expected: string): void {
  const key = reader.ascii('key of the hello', HELLO_STRING_CHARS_MAX)
  if (key !== expected) throw new NarvalError('ERR_CODEC', `hello: expected the key ${expected}, found ${key}`)
}

function readAddresses(reader: MessagePackReader): string[] {
  const count = reader.array('addresses')
  if (count > HELLO_ADDRESSES_MAX) {
    throw new NarvalError('ERR_CODEC', `addresses: expected at most ${HELLO_ADDRESSES_MAX}, found ${count}`)
  }
  return Array.from({ length: count }, () => reader.ascii('address', HELLO_STRING_CHARS_MAX))
}

function readRole(reader: MessagePackReader): PeerRole {
  const role = reader.uint('worker id', PRIMARY_ROLE)
  return role === PRIMARY_ROLE ? 'primary' : role
}

function readAckLevel(reader: MessagePackReader): AckLevelCode {
  const code = reader.uint('ACK level', 255)
  if (isAckLevel(code)) return code
  throw new NarvalError('ERR_CODEC', `ACK level: expected 1 or 2, found ${code}`)
}
