/**
 * The hello: who a worker says it is, signed by its authority's key (docs/protocol.md). Both ends of a connection present
 * one before anything else is taken; nothing in it is believed but the key until the signature holds.
 *
 * ```
 *  MessagePack {record: bin, signature: bin 64}
 *  record = MessagePack [protocol version, authority: bin 32, worker id, peer id, [address …],
 *                        committee digest: bin 32, time in unix ms, node version]
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

export interface HelloRecord {
  /** The version of the protocols between workers. */
  readonly protocolVersion: number
  /** The authority's public key. */
  readonly authority: Uint8Array
  readonly workerId: number
  /** The PeerId of the connection it is presented on. */
  readonly peerId: string
  /** Multiaddrs to try. */
  readonly addresses: readonly string[]
  readonly committeeDigest: Uint8Array
  /** When it was made, in unix ms: of two PeerIds for one worker, the later holds. */
  readonly timeMs: number
  /** The program and its version, for logs. */
  readonly nodeVersion: string
}

export interface DecodedHello {
  readonly record: HelloRecord
  /** What the signature is over, behind the domain tag. */
  readonly recordBytes: Uint8Array
  readonly signature: Uint8Array
}

const DOMAIN_TAG = 'narval/hello/v1'
const DOMAIN_TAG_BYTES = 32

/** Errors: `ERR_CODEC` if a field is over its limit, which decoding would refuse. */
export function encodeHello(record: HelloRecord, sign: Sign): Uint8Array {
  const packr = newPackr()
  const recordBytes = packr.pack([
    record.protocolVersion,
    record.authority,
    record.workerId,
    record.peerId,
    record.addresses,
    record.committeeDigest,
    // As a bigint it is packed as an integer: a number above 2^32 would be packed as a double.
    BigInt(record.timeMs),
    record.nodeVersion,
  ])
  const hello = packr.pack({ record: recordBytes, signature: sign(helloMessage(recordBytes)) })
  decodeHello(hello)
  return hello
}

/** Decodes strictly, and verifies nothing. Errors: `ERR_CODEC`. */
export function decodeHello(bytes: Uint8Array): DecodedHello {
  const { recordBytes, signature } = decodeEnvelope(bytes)
  const record = unpack(recordBytes, 'record')
  if (!Array.isArray(record)) throw malformed('record', 'an array', record)
  if (record.length !== 8) throw malformed('record', '8 fields', record.length)
  const [protocolVersion, authority, workerId, peerId, addresses, committeeDigest, timeMs, nodeVersion] = record
  return {
    record: {
      protocolVersion: integerOf('protocol version', protocolVersion, Number.MAX_SAFE_INTEGER),
      authority: bytesOf('authority', authority, PUBLIC_KEY_BYTES),
      workerId: integerOf('worker id', workerId, WORKER_ID_MAX),
      peerId: stringOf('peer id', peerId),
      addresses: addressesOf(addresses),
      committeeDigest: bytesOf('committee digest', committeeDigest, DIGEST_BYTES),
      timeMs: integerOf('time', timeMs, Number.MAX_SAFE_INTEGER),
      nodeVersion: stringOf('node version', nodeVersion),
    },
    recordBytes,
    signature,
  }
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
    const record = unpack(decodeEnvelope(bytes).recordBytes, 'record')
    return Array.isArray(record) ? integerOf('version', record[0], Number.MAX_SAFE_INTEGER) : undefined
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
  const envelope = unpack(bytes, 'hello')
  if (typeof envelope !== 'object' || envelope === null || Object.keys(envelope).join() !== 'record,signature') {
    throw malformed('hello', 'a map of record and signature', envelope)
  }
  const { record, signature } = envelope as { record: unknown; signature: unknown }
  if (!(record instanceof Uint8Array)) throw malformed('record', 'bytes', record)
  return { recordBytes: new Uint8Array(record), signature: bytesOf('signature', signature, SIGNATURE_BYTES) }
}

function newPackr(): Packr {
  return new Packr({ useRecords: false })
}

function unpack(bytes: Uint8Array, what: string): unknown {
  try {
    // msgpackr leaves a property on what it reads: it gets a view of its own.
    return newPackr().unpack(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } catch (error) {
    throw new NarvalError('ERR_CODEC', `${what}: not one MessagePack value`, { cause: error })
  }
}

function addressesOf(value: unknown): string[] {
  if (!Array.isArray(value)) throw malformed('addresses', 'an array', value)
  if (value.length > HELLO_ADDRESSES_MAX) {
    throw new NarvalError('ERR_CODEC', `hello: ${value.length} addresses, at most ${HELLO_ADDRESSES_MAX}`)
  }
  return value.map((address) => stringOf('address', address))
}

function bytesOf(field: string, value: unknown, length: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw malformed(field, `${length} bytes`, value)
  if (value.length !== length) throw malformed(field, `${length} bytes`, value.length)
  return new Uint8Array(value)
}

function integerOf(field: string, value: unknown, max: number): number {
  // 64-bit integers are unpacked as bigints.
  const integer = typeof value === 'bigint' ? Number(value) : value
  if (typeof integer === 'number' && Number.isSafeInteger(integer) && integer >= 0 && integer <= max) return integer
  throw malformed(field, `an integer from 0 to ${max}`, value)
}

/** Printable ASCII: these strings go to logs. */
function stringOf(field: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[\x20-\x7e]*$/.test(value)) throw malformed(field, 'printable ASCII', value)
  if (value.length <= HELLO_STRING_CHARS_MAX) return value
  throw new NarvalError('ERR_CODEC', `hello: ${field} of ${value.length} characters, at most ${HELLO_STRING_CHARS_MAX}`)
}

function malformed(field: string, expected: string, found: unknown): NarvalError {
  const shown = typeof found === 'number' ? found : typeof found
  return new NarvalError('ERR_CODEC', `hello: ${field}: expected ${expected}, found ${shown}`)
}
