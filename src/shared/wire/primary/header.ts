/**
 * The header of the dialect `narval`. Integers are little-endian; an authority is its index in the committee, whose digest
 * is in all that is hashed and signed.
 *
 * ```
 *  0     1     2        4         12        20           28          30          32
 *  ├ 1 ──┼ 1 ──┼ author ┼ epoch ──┼ round ──┼ created at ┼ parents p ┼ batches b ┤
 *  version kind  u16      u64       u64       u64, ms      u16         u16
 *
 *  32                       then                          then
 *  ├ p parents, 32 each ────┼ b batches, 48 each ─────────┼ signature 64 ┤
 *    digests, ascending       digest 32 ‖ author u16 ‖ 2 zeros ‖ worker u32 ‖ sequence u64
 *                             ascending by (author, worker, sequence)
 *
 *  id         SHA-256("narval/header/v1", zeros to 32 ‖ committee digest ‖ the record without its signature)
 *  signature  over "narval/header-signature/v1", zeros to 32 ‖ id
 * ```
 *
 * Parents and batches are in strict order, so each of them is there once, and one header has one form. Decoding checks
 * that and no more: signature, quorum of parents and the batches' existence are for whoever knows the committee.
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES, SIGNATURE_BYTES } from '../../constants.js'
import {
  HEADER_BYTES_MAX,
  HEADER_HEAD_BYTES,
  HEADER_PARENTS_MAX,
  HEADER_PAYLOAD_MAX,
  PAYLOAD_ENTRY_BYTES,
} from './limits.js'
import * as record from './record.js'

/** In front of what is hashed to the id of a header (`header-id.ts`). */
export const HEADER_ID_DOMAIN = record.domain('narval/header/v1')
const SIGNATURE_DOMAIN = record.domain('narval/header-signature/v1')
const ROUND_AT = 12

export interface BatchEntry {
  /** 32 bytes. */
  readonly digest: Uint8Array
  /** The index of the authority whose worker made the batch. */
  readonly author: number
  readonly worker: number
  readonly sequence: bigint
}

export interface UnsignedHeader {
  readonly author: number
  readonly epoch: number
  /** From 1: genesis is never sent. */
  readonly round: number
  /** Unix ms. */
  readonly createdAt: number
  /** Digests of certificates, which are the ids of their headers, 32 bytes each, ascending. */
  readonly parents: readonly Uint8Array[]
  readonly payload: readonly BatchEntry[]
}

export interface SignedHeader extends UnsignedHeader {
  /** 64 bytes. */
  readonly signature: Uint8Array
}

/** The record without its signature: what the id is taken of. */
export function encodeUnsignedHeader(header: UnsignedHeader): Uint8Array {
  const { author, epoch, round, createdAt, parents, payload } = header
  assert(parents.length <= HEADER_PARENTS_MAX && payload.length <= HEADER_PAYLOAD_MAX, 'a header within its limits')
  assert(round >= 1, 'genesis is never sent')
  const payloadAt = HEADER_HEAD_BYTES + parents.length * DIGEST_BYTES
  const bytes = new Uint8Array(payloadAt + payload.length * PAYLOAD_ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  bytes.set([record.RECORD_VERSION, record.RECORD_KINDS.header])
  record.writeAuthority(view, 2, author)
  record.writeWhole(view, 4, epoch)
  record.writeWhole(view, ROUND_AT, round)
  record.writeWhole(view, 20, createdAt)
  view.setUint16(28, parents.length, true)
  view.setUint16(30, payload.length, true)
  for (const [at, parent] of parents.entries()) {
    assert(at === 0 || record.compareBytes(parents[at - 1]!, parent) < 0, 'parents ascend')
    record.writeDigest(bytes, HEADER_HEAD_BYTES + at * DIGEST_BYTES, parent)
  }
  for (const [at, entry] of payload.entries()) {
    assert(at === 0 || compareEntries(payload[at - 1]!, entry) < 0, 'batches ascend')
    writeEntry(bytes, view, payloadAt + at * PAYLOAD_ENTRY_BYTES, entry)
  }
  return bytes
}

/** The header with its signature: 64 bytes over `headerSignatureMessage`. */
export function encodeHeader(header: SignedHeader): Uint8Array {
  assert(header.signature.length === SIGNATURE_BYTES, 'a signature has 64 bytes')
  const unsigned = encodeUnsignedHeader(header)
  const bytes = new Uint8Array(unsigned.length + SIGNATURE_BYTES)
  bytes.set(unsigned)
  bytes.set(header.signature, unsigned.length)
  return bytes
}

/**
 * @param bytes exactly one record
 * @param authorities how many there are in the committee
 * @throws NarvalError ERR_CODEC
 */
export function decodeHeader(bytes: Uint8Array, authorities: number): SignedHeader {
  const view = record.open('header', bytes, HEADER_HEAD_BYTES + SIGNATURE_BYTES, HEADER_BYTES_MAX)
  const [parentCount, entryCount] = [view.getUint16(28, true), view.getUint16(30, true)]
  if (parentCount > HEADER_PARENTS_MAX) throw tooMany('parents', parentCount, HEADER_PARENTS_MAX)
  if (entryCount > HEADER_PAYLOAD_MAX) throw tooMany('batches', entryCount, HEADER_PAYLOAD_MAX)
  const payloadAt = HEADER_HEAD_BYTES + parentCount * DIGEST_BYTES
  const signatureAt = payloadAt + entryCount * PAYLOAD_ENTRY_BYTES
  if (bytes.length !== signatureAt + SIGNATURE_BYTES) {
    throw record.malformed('header', `${bytes.length} bytes, expected ${signatureAt + SIGNATURE_BYTES}`)
  }
  const parents = Array.from({ length: parentCount }, (_, at) =>
    record.readBytes(bytes, HEADER_HEAD_BYTES + at * DIGEST_BYTES, DIGEST_BYTES),
  )
  const payload = Array.from({ length: entryCount }, (_, at) =>
    readEntry(bytes, view, payloadAt + at * PAYLOAD_ENTRY_BYTES, authorities),
  )
  refuseDisorder('parents', parents, record.compareBytes)
  refuseDisorder('batches', payload, compareEntries)
  return {
    author: record.readAuthority('header', view, 2, 'author', authorities),
    epoch: record.readWhole('header', view, 4, 'epoch'),
    round: record.readWhole('header', view, ROUND_AT, 'round', 1),
    createdAt: record.readWhole('header', view, 20, 'created at'),
    parents,
    payload,
    signature: record.readBytes(bytes, signatureAt, SIGNATURE_BYTES),
  }
}

/** What the author signs. */
export function headerSignatureMessage(id: Uint8Array): Uint8Array {
  const message = new Uint8Array(SIGNATURE_DOMAIN.length + DIGEST_BYTES)
  message.set(SIGNATURE_DOMAIN)
  record.writeDigest(message, SIGNATURE_DOMAIN.length, id)
  return message
}

/** By (author, worker, sequence). */
export function compareEntries(a: BatchEntry, b: BatchEntry): number {
  if (a.author !== b.author) return a.author - b.author
  if (a.worker !== b.worker) return a.worker - b.worker
  return a.sequence < b.sequence ? -1 : a.sequence > b.sequence ? 1 : 0
}

function readEntry(bytes: Uint8Array, view: DataView, at: number, authorities: number): BatchEntry {
  record.readZeros('header', bytes, at + 34, 2)
  return {
    digest: record.readBytes(bytes, at, DIGEST_BYTES),
    author: record.readAuthority('header', view, at + 32, 'a batch of authority', authorities),
    worker: view.getUint32(at + 36, true),
    sequence: view.getBigUint64(at + 40, true),
  }
}

function writeEntry(bytes: Uint8Array, view: DataView, at: number, entry: BatchEntry): void {
  record.writeDigest(bytes, at, entry.digest)
  record.writeAuthority(view, at + 32, entry.author)
  view.setUint32(at + 36, entry.worker, true)
  view.setBigUint64(at + 40, entry.sequence, true)
}

function refuseDisorder<T>(what: string, items: readonly T[], compare: (a: T, b: T) => number): void {
  const wrong = items.findIndex((item, at) => at > 0 && compare(items[at - 1]!, item) >= 0)
  if (wrong >= 0) throw record.malformed('header', `${what} ${wrong - 1} and ${wrong} are not in order, or the same`)
}

function tooMany(what: string, count: number, most: number): Error {
  return record.malformed('header', `${count} ${what}, at most ${most}`)
}

/** The round of a header's record, without the rest of it. */
export function roundOfHeader(bytes: Uint8Array): number {
  return record.readWhole(
    'header',
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    ROUND_AT,
    'round',
    1,
  )
}
