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
import {
  DIGEST_BYTES,
  HELLO_ADDRESSES_MAX,
  HELLO_BYTES_MAX,
  HELLO_STRING_CHARS_MAX,
  PUBLIC_KEY_BYTES,
} from '../constants.js'
import type { Sign } from '../crypto/ed25519.js'
import { NarvalError } from '../errors.js'
import { type AckLevelCode, isAckLevel } from './ack.js'
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

export type { PeerRole } from './signed-record.js'

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

export interface DecodedHello extends SignedRecord {
  readonly record: HelloRecord
}

const HELLO: RecordKind = { name: 'hello', domainTag: 'narval/hello/v1', bytesMax: HELLO_BYTES_MAX }
const RECORD_FIELDS = 10

/** Errors: `ERR_CODEC` if a field is over its limit, which decoding would refuse. */
export function encodeHello(record: HelloRecord, sign: Sign): Uint8Array {
  const fields = [
    record.protocolVersion,
    record.authority,
    packedRole(record.workerId),
    record.peerId,
    record.addresses,
    record.committeeDigest,
    // As a bigint it is packed as an integer: a number above 2^32 would be packed as a double.
    BigInt(record.timeMs),
    record.nodeVersion,
    record.batchBytesMax,
    record.ackLevel,
  ]
  const hello = signRecord(HELLO, fields, sign)
  decodeHello(hello)
  return hello
}

/** Decodes strictly, and verifies nothing. Errors: `ERR_CODEC`. */
export function decodeHello(bytes: Uint8Array): DecodedHello {
  const { recordBytes, signature } = openRecord(HELLO, bytes)
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
    addresses: readAddresses(reader, HELLO_ADDRESSES_MAX),
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
  return verifyRecord(HELLO, hello.record.authority, hello)
}

/**
 * The protocol version of a hello whose record may have another layout than ours: it comes first in every version.
 * `undefined` if there is none to be found.
 */
export function helloProtocolVersion(bytes: Uint8Array): number | undefined {
  try {
    const reader = new MessagePackReader(openRecord(HELLO, bytes).recordBytes)
    reader.array('record')
    return reader.uint('protocol version', Number.MAX_SAFE_INTEGER)
  } catch (error) {
    if (error instanceof NarvalError) return undefined
    throw error
  }
}

function readAckLevel(reader: MessagePackReader): AckLevelCode {
  const code = reader.uint('ACK level', 255)
  if (isAckLevel(code)) return code
  throw new NarvalError('ERR_CODEC', `ACK level: expected 1 or 2, found ${code}`)
}
