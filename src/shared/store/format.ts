/**
 * How batches lie in LMDB. One environment, seven databases, all keys and values binary:
 *
 * ```
 *  index       digest 32                      →  stamp u64 BE ‖ placed u64 BE ‖ author 32 ‖ bytes u32 BE
 *                                                ‖ sequence u64 BE ‖ kind u8: 1 of an own batch, 2 of one that its
 *                                                author's worker itself handed over, else 0
 *  batches     placed u64 BE ‖ digest 32      →  the batch, as on the wire; nothing if it lies in a segment
 *  stamps      stamp u64 BE ‖ digest 32       →  nothing
 *  own         sequence u64 BE                →  digest 32 ‖ transactions u32 BE ‖ their bytes u32 BE
 *  unreported  sequence u64 BE ‖ digest 32    →  nothing: the primary has not been told of this own batch
 *  uncommitted sequence u64 BE ‖ digest 32    →  nothing: no commit that the primary told of has this batch
 *  meta        name                           →  format, owner, store id, reserved sequence, stamp, the primary's round,
 *                                                the last commit that was applied, the highest sequence of the own
 *                                                batches that were deleted
 * ```
 *
 * `own` says which batches there were in which order, without reading them: for readers of certified batches.
 *
 * The stamp is the age of a batch, counted in the primary's Cleanup rounds. A batch gets the newest stamp when it is
 * stored, and again when a Synchronize names it. As long as the rounds never began anew, the stamp is the last round.
 * Where the primary says what is committed, the stamp is the index of the commit that has the batch. Until then the batch
 * is in `uncommitted`, and has no place in `stamps`: what is deleted is found by `stamps` alone. A
 * new stamp moves none of the batch's bytes: they lie at `placed`. For a small batch that is its first stamp. So batches
 * that are written together lie together and are mostly freed together, and the file's free space stays in long runs. For
 * a larger one `placed` is the place of its cell in a segment (segments/cell.ts). `batches` then lists what lies in each
 * segment, in the order of the cells.
 */

import type { RootDatabase } from 'lmdb'
import { DIGEST_BYTES, PUBLIC_KEY_BYTES } from '../constants.js'
import { NarvalError } from '../errors.js'
import { type BinaryDatabase, openBinary, openEnvironment } from './environment.js'

/** In stores of format 1 and 2 the digests are those of version 1 of the batch; in 3 the index has no sequences of others. */
export const STORE_FORMAT = 4
/** Formats of primaries' stores (primary/format.ts) are greater than this, so that neither is taken for the other. */
export const PRIMARY_FORMATS_FROM = 1_000_000

const STAMP_BYTES = 8
const PLACED_AT = STAMP_BYTES
const AUTHOR_AT = 2 * STAMP_BYTES
const LENGTH_AT = AUTHOR_AT + PUBLIC_KEY_BYTES
const SEQUENCE_AT = LENGTH_AT + 4
const KIND_AT = SEQUENCE_AT + 8
const INDEX_BYTES = KIND_AT + 1
const KIND_OWN = 1
const KIND_DELIVERED = 2

/** The stamp of a batch that no commit has yet: it is in `uncommitted`, and not in `stamps`. */
export const UNCOMMITTED = 2n ** 64n - 1n

const OWN_COUNT_AT = DIGEST_BYTES
const OWN_BYTES_AT = OWN_COUNT_AT + 4
const OWN_ENTRY_BYTES = OWN_BYTES_AT + 4

export type { BinaryDatabase } from './environment.js'

export interface StoreDatabases {
  readonly root: RootDatabase
  readonly index: BinaryDatabase
  readonly batches: BinaryDatabase
  readonly stamps: BinaryDatabase
  readonly own: BinaryDatabase
  readonly unreported: BinaryDatabase
  readonly uncommitted: BinaryDatabase
  readonly meta: BinaryDatabase
}

export interface IndexEntry {
  /** The Cleanup round, or the commit, from which its retention counts; UNCOMMITTED if no commit has it yet. */
  readonly stamp: bigint
  /** The first part of its key in `batches`: a stamp, or the place of a cell. */
  readonly placed: bigint
  /** The author's public key. */
  readonly author: Uint8Array
  readonly byteLength: number
  /** Its author's number of it. */
  readonly sequence: bigint
  /** It was stored as our own. A copy of one that another worker sent is not. */
  readonly isOwn: boolean
  /** Of another's: its worker itself handed it over, by a connection that proves who it is. Fetched ones were not. */
  readonly isDelivered: boolean
}

/** What `own` says of a batch. */
export interface OwnEntry {
  readonly digest: Uint8Array
  readonly transactions: number
  readonly transactionBytes: number
}

/** A key of `batches` or of `stamps`, with a round in front; or of `unreported` or `uncommitted`, with a sequence. */
export function roundKey(round: bigint, digest: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(STAMP_BYTES + DIGEST_BYTES)
  key.writeBigUInt64BE(round, 0)
  key.set(digest, STAMP_BYTES)
  return key
}

/** A key of `own`. */
export function sequenceKey(sequence: bigint): Buffer {
  const key = Buffer.allocUnsafe(8)
  key.writeBigUInt64BE(sequence)
  return key
}

/** The number in front of a key of `batches`, `stamps`, `own`, `unreported` or `uncommitted`. */
export function numberOfKey(key: Uint8Array): bigint {
  return new DataView(key.buffer, key.byteOffset, 8).getBigUint64(0)
}

/** The least key of a round. */
export function leastKey(round: bigint): Buffer {
  return roundKey(round, new Uint8Array(DIGEST_BYTES))
}

export function digestOfKey(key: Uint8Array): Uint8Array {
  return new Uint8Array(key.subarray(STAMP_BYTES))
}

export function encodeIndexEntry(entry: IndexEntry): Buffer {
  const value = Buffer.allocUnsafe(INDEX_BYTES)
  value.writeBigUInt64BE(entry.stamp, 0)
  value.writeBigUInt64BE(entry.placed, PLACED_AT)
  value.set(entry.author, AUTHOR_AT)
  value.writeUInt32BE(entry.byteLength, LENGTH_AT)
  value.writeBigUInt64BE(entry.sequence, SEQUENCE_AT)
  value.writeUInt8(entry.isOwn ? KIND_OWN : entry.isDelivered ? KIND_DELIVERED : 0, KIND_AT)
  return value
}

/** @throws NarvalError ERR_STORE_DAMAGED */
export function decodeIndexEntry(value: Uint8Array): IndexEntry {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  if (value.length !== INDEX_BYTES) {
    throw new NarvalError('ERR_STORE_DAMAGED', `an index entry of ${value.length} bytes, expected ${INDEX_BYTES}`)
  }
  return {
    stamp: view.getBigUint64(0),
    placed: view.getBigUint64(PLACED_AT),
    // `slice` of a Buffer would be a view.
    author: new Uint8Array(value.subarray(AUTHOR_AT, LENGTH_AT)),
    byteLength: view.getUint32(LENGTH_AT),
    sequence: view.getBigUint64(SEQUENCE_AT),
    isOwn: view.getUint8(KIND_AT) === KIND_OWN,
    isDelivered: view.getUint8(KIND_AT) === KIND_DELIVERED,
  }
}

export function encodeOwnEntry({ digest, transactionBytes, transactions }: OwnEntry): Buffer {
  const value = Buffer.allocUnsafe(OWN_ENTRY_BYTES)
  value.set(digest)
  value.writeUInt32BE(transactions, OWN_COUNT_AT)
  value.writeUInt32BE(transactionBytes, OWN_BYTES_AT)
  return value
}

/** @throws NarvalError ERR_STORE_DAMAGED */
export function decodeOwnEntry(value: Uint8Array): OwnEntry {
  if (value.length !== OWN_ENTRY_BYTES) {
    throw new NarvalError('ERR_STORE_DAMAGED', `an entry of own of ${value.length} bytes, expected ${OWN_ENTRY_BYTES}`)
  }
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  return {
    digest: new Uint8Array(value.subarray(0, DIGEST_BYTES)),
    transactions: view.getUint32(OWN_COUNT_AT),
    transactionBytes: view.getUint32(OWN_BYTES_AT),
  }
}

/** The key in `meta` of the format. */
export const META_FORMAT = Buffer.from('format')
/** Of this store alone, 16 bytes: whoever remembers it knows whether it meets the same one. */
export const META_STORE_ID = Buffer.from('store-id')
export const STORE_ID_BYTES = 16
/** The highest sequence of the own batches that were deleted; of a worker's store. */
export const META_OWN_DELETED = Buffer.from('own-deleted')
/** Only in a store that is, or was begun with, a backup: when it was made, unix ms, u64. */
export const META_BACKUP = Buffer.from('backup')

/** The format as `meta` has it. */
export function formatOf(found: Uint8Array): bigint {
  return new DataView(found.buffer, found.byteOffset, found.byteLength).getBigUint64(0)
}

/** For what opens a worker's store. `found` is the format as `meta` has it. @throws NarvalError ERR_STORE_FORMAT */
export function checkFormat(found: Uint8Array, where: string): void {
  const version = formatOf(found)
  if (version === BigInt(STORE_FORMAT)) return
  if (version > BigInt(PRIMARY_FORMATS_FROM)) {
    throw new NarvalError('ERR_STORE_FORMAT', `${where} is the store of a primary: give the --store of a worker`)
  }
  const why = version < 3n ? ', whose batches have other digests' : ''
  throw new NarvalError(
    'ERR_STORE_FORMAT',
    `the store ${where} has format ${version}${why}; this version of narval reads ${STORE_FORMAT}: give this node a --store of its own, or run the version that wrote it`,
  )
}

/** Behind `prepareFile`: LMDB believes what is in the file. @throws what LMDB throws */
export function openDatabases(directory: string): StoreDatabases {
  const root = openEnvironment(directory, 7)
  return {
    root,
    index: openBinary(root, 'index'),
    batches: openBinary(root, 'batches'),
    stamps: openBinary(root, 'stamps'),
    own: openBinary(root, 'own'),
    unreported: openBinary(root, 'unreported'),
    uncommitted: openBinary(root, 'uncommitted'),
    meta: openBinary(root, 'meta'),
  }
}
