/**
 * What the records of primaries have in common: their first two bytes, numbers, and what is hashed and signed. It needs no
 * Node: whoever verifies a checkpoint in a browser reads its record with this.
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES, PEER_MASK_BYTES, SIGNATURE_BYTES } from '../../constants.js'
import { NarvalError } from '../../errors.js'

export const RECORD_VERSION = 1
export const RECORD_KINDS = {
  header: 1,
  vote: 2,
  certificate: 3,
  'certificates-request': 4,
  'range-request': 5,
  'highest-request': 6,
  highest: 7,
  'range-answer': 8,
  'signed-checkpoint': 9,
  'attested-checkpoint': 10,
  'checkpoint-request': 11,
  'history-request': 12,
  'history-piece': 13,
  'history-end': 14,
} as const
export type RecordKind = keyof typeof RECORD_KINDS
const KINDS = Object.keys(RECORD_KINDS) as RecordKind[]

/** A tag of 32 bytes in front of what is hashed or signed, so that it can be nothing else. */
export function domain(name: string): Uint8Array {
  const tag = new Uint8Array(32)
  const bytes = new TextEncoder().encode(name)
  assert(bytes.length < tag.length, `${name} fits`)
  tag.set(bytes)
  return tag
}

/** What `decode` returns; undefined if it finds that the bytes are malformed. */
export function ifWellFormed<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof NarvalError && error.code === 'ERR_CODEC') return undefined
    throw error
  }
}

export function malformed(kind: RecordKind | StoredKind, problem: string): NarvalError {
  return new NarvalError('ERR_CODEC', `${kind}: ${problem}`)
}

/** The kind that the first two bytes say, `undefined` if they say none. */
export function kindOf(bytes: Uint8Array): RecordKind | undefined {
  if (bytes[0] !== RECORD_VERSION) return undefined
  return KINDS.find((kind) => RECORD_KINDS[kind] === bytes[1])
}

/** Looks at the first two bytes, and at the length of what must be there at least. */
export function open(kind: RecordKind | StoredKind, bytes: Uint8Array, bytesMin: number, bytesMax: number): DataView {
  if (bytes.length > bytesMax) throw malformed(kind, `${bytes.length} bytes, at most ${bytesMax}`)
  if (bytes.length < bytesMin) throw malformed(kind, `${bytes.length} bytes, at least ${bytesMin}`)
  if (bytes[0] !== RECORD_VERSION) throw malformed(kind, `version ${bytes[0]}, expected ${RECORD_VERSION}`)
  if (bytes[1] !== { ...RECORD_KINDS, ...STORED_KINDS }[kind]) throw malformed(kind, `a record of kind ${bytes[1]}`)
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Kinds of records that are stored, and never sent as messages. */
const STORED_KINDS = { commit: 16, evidence: 17 } as const
export const COMMIT_KIND = STORED_KINDS.commit
export const EVIDENCE_KIND = STORED_KINDS.evidence
export type StoredKind = keyof typeof STORED_KINDS

/** A u64 that fits a number: rounds, epochs and times that do not are absurd. */
export function readWhole(kind: RecordKind | StoredKind, view: DataView, at: number, what: string, min = 0): number {
  const value = view.getBigUint64(at, true)
  if (value < BigInt(min) || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw malformed(kind, `${what} ${value}, expected ${min} to ${Number.MAX_SAFE_INTEGER}`)
  }
  return Number(value)
}

export function writeWhole(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a whole number')
  view.setBigUint64(at, BigInt(value), true)
}

/** An index of an authority. */
export function readAuthority(
  kind: RecordKind | StoredKind,
  view: DataView,
  at: number,
  what: string,
  authorities: number,
): number {
  const index = view.getUint16(at, true)
  if (index >= authorities) throw malformed(kind, `${what} ${index} of a committee of ${authorities}`)
  return index
}

export function writeAuthority(view: DataView, at: number, index: number): void {
  assert(Number.isInteger(index) && index >= 0 && index < 2 ** 16, 'an index of an authority')
  view.setUint16(at, index, true)
}

export function readZeros(kind: RecordKind | StoredKind, bytes: Uint8Array, at: number, length: number): void {
  for (const byte of bytes.subarray(at, at + length)) {
    if (byte !== 0) throw malformed(kind, `byte ${byte} where zeros are reserved`)
  }
}

/** A copy: a record is a part of a frame, whose memory is used again. */
export function readBytes(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return Uint8Array.from(bytes.subarray(at, at + length))
}

export function writeDigest(out: Uint8Array, at: number, digest: Uint8Array): void {
  assert(digest.length === DIGEST_BYTES, 'a digest has 32 bytes')
  out.set(digest, at)
}

/** The members of a set of authorities (`peerMask`), all of the committee. */
export function readAuthorities(
  kind: RecordKind | StoredKind,
  bytes: Uint8Array,
  at: number,
  what: string,
  authorities: number,
): number[] {
  const members: number[] = []
  for (const [octet, byte] of bytes.subarray(at, at + PEER_MASK_BYTES).entries()) {
    for (let bit = 0; byte >> bit !== 0; bit += 1) if (((byte >> bit) & 1) === 1) members.push(8 * octet + bit)
  }
  const last = members.at(-1) ?? 0
  if (last >= authorities) throw malformed(kind, `${what} ${last} of a committee of ${authorities}`)
  return members
}

/** One signature for each of so many authorities. */
export function readSignatures(bytes: Uint8Array, at: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, n) => readBytes(bytes, at + n * SIGNATURE_BYTES, SIGNATURE_BYTES))
}

/** Bytes compared as numbers are, the first difference decides: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) {
    if (a[at] !== b[at]) return a[at]! - b[at]!
  }
  return a.length - b.length
}
