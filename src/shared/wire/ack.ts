/**
 * The ACK: what a worker says about one batch that it was sent. Fixed, binary, 48 bytes; integers little-endian.
 *
 * ```
 *  0          8                                        40      41       42     44         48
 *  ├ sequence ┼ digest ────────────────────────────────┼ level ┼ status ┼ used ┼ reserved ┤
 *    u64        32 bytes                                 u8      u8       u16    4 zeros
 * ```
 *
 * `status` ok means: the batch is valid, has this digest, and I have stored it at this level. Any other status says why
 * it was not stored; its digest says nothing (a batch may be refused before it is hashed) and is written as zeros, and
 * its level is the one that the peer would have stored it at.
 *
 * `used` is how much of the author's share of the peer's store is used, in thousandths; 1,000 says that there is no room for
 * another batch of the largest size, and 0 also that the peer does not say.
 */
import { assert } from '../assert.js'
import { ACK_BYTES, COMMITTEE_SIZE_MAX, DIGEST_BYTES, PEER_MASK_BYTES } from '../constants.js'

/** `stored`: survives the process (committed). `durable`: survives a power cut (fsynced). Greater is stronger. */
export const ACK_LEVELS = { stored: 1, durable: 2 } as const
export type AckLevel = keyof typeof ACK_LEVELS
/** A level as it stands in a record. */
export type AckLevelCode = (typeof ACK_LEVELS)[AckLevel]

export const ACK_STATUSES = { ok: 0, invalid: 1, quota: 2, 'store-full': 3 } as const
export type AckStatus = keyof typeof ACK_STATUSES
/** A status as it stands in a record. */
export type AckStatusCode = (typeof ACK_STATUSES)[AckStatus]

const SEQUENCE_AT = 0
const DIGEST_AT = 8
const LEVEL_AT = 40
const STATUS_AT = 41
const USED_AT = 42
const RESERVED_AT = 44
/** A share that is full. */
export const ACK_USED_MAX = 1000

export interface Ack {
  readonly sequence: bigint
  /** 32 bytes; a view of the record that was read. */
  readonly digest: Uint8Array
  readonly level: AckLevelCode
  readonly status: AckStatusCode
  /** Of our share of the peer's store, in thousandths. */
  readonly used: number
}

/** Why a record is refused. */
export type AckRefusal = 'truncated' | 'unknown-level' | 'unknown-status' | 'used-beyond-all' | 'reserved'

export type AckRead = { readonly ok: true; readonly ack: Ack } | { readonly ok: false; readonly reason: AckRefusal }

export function isAckLevel(code: number): code is AckLevelCode {
  return code === ACK_LEVELS.stored || code === ACK_LEVELS.durable
}

export function isAckStatus(code: number): code is AckStatusCode {
  return Number.isInteger(code) && code >= ACK_STATUSES.ok && code <= ACK_STATUSES['store-full']
}

/** Writes one record of `ACK_BYTES` at `offset`. */
export function writeAck(
  out: Uint8Array,
  offset: number,
  sequence: bigint,
  digest: Uint8Array,
  level: AckLevelCode,
  status: AckStatusCode,
  used = 0,
): void {
  assert(offset >= 0 && offset + ACK_BYTES <= out.length, 'room for the record')
  assert(digest.length === DIGEST_BYTES, 'a digest has 32 bytes')
  assert(isAckLevel(level) && isAckStatus(status), 'a known level and status')
  assert(used >= 0 && used <= ACK_USED_MAX, 'thousandths')
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
  view.setBigUint64(offset + SEQUENCE_AT, sequence, true)
  view.setUint16(offset + USED_AT, used, true)
  if (status === ACK_STATUSES.ok) out.set(digest, offset + DIGEST_AT)
  else out.fill(0, offset + DIGEST_AT, offset + LEVEL_AT)
  out[offset + LEVEL_AT] = level
  out[offset + STATUS_AT] = status
  out.fill(0, offset + RESERVED_AT, offset + ACK_BYTES)
}

/** Reads the record at `offset`, strictly: what is not known, or not zero where it should be, is refused. */
export function readAck(bytes: Uint8Array, offset: number): AckRead {
  if (offset + ACK_BYTES > bytes.length) return { ok: false, reason: 'truncated' }
  const level = bytes[offset + LEVEL_AT]!
  const status = bytes[offset + STATUS_AT]!
  if (!isAckLevel(level)) return { ok: false, reason: 'unknown-level' }
  if (!isAckStatus(status)) return { ok: false, reason: 'unknown-status' }
  for (let at = offset + RESERVED_AT; at < offset + ACK_BYTES; at += 1) {
    if (bytes[at] !== 0) return { ok: false, reason: 'reserved' }
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const used = view.getUint16(offset + USED_AT, true)
  if (used > ACK_USED_MAX) return { ok: false, reason: 'used-beyond-all' }
  const sequence = view.getBigUint64(offset + SEQUENCE_AT, true)
  const digest = bytes.subarray(offset + DIGEST_AT, offset + LEVEL_AT)
  return { ok: true, ack: { sequence, digest, level, status, used } }
}

/** A set of authorities by their index: bit `i % 8` of byte `i / 8`. */
export function peerMask(peers: Iterable<number>): Uint8Array {
  const mask = new Uint8Array(PEER_MASK_BYTES)
  for (const peer of peers) {
    assert(Number.isInteger(peer) && peer >= 0 && peer < COMMITTEE_SIZE_MAX, 'a peer is an authority index')
    mask[peer >>> 3]! |= 1 << (peer & 7)
  }
  return mask
}

export function isInMask(mask: Uint8Array, peer: number): boolean {
  return ((mask[peer >>> 3] ?? 0) & (1 << (peer & 7))) !== 0
}
