/**
 * The batch: one layout for wire, memory and store, written once and never re-serialized.
 *
 * ```
 *  0      4        6       8          12         16            24           32        40         64
 *  ├ magic┼ version┼ flags ┼ workerId ┼ tx count ┼ body length ┼ sequence   ┼ epoch   ┼ reserved ┤ body
 *    NRVB   u16 = 2  u16 = 0 u32        u32        u64           u64          u64 = 0   zeros
 *
 *  body: one frame per transaction, nothing between them and nothing behind the last
 *
 *   +0             +4                       +4+n = the next frame, or the end of the batch
 *   ├ length n     ┼ transaction: n bytes   ┤
 *     u32 BIG endian, n ≥ 1
 * ```
 *
 * Integers of the header are little-endian. The length in front of a transaction is big-endian because it is the very
 * frame that a client sent: runs of frames go from socket to slot in one copy. The author is not in the bytes; it is
 * bound to the digest (digest.ts).
 *
 * The decoder is strict: one batch has one encoding, hence one digest. Nothing here allocates per transaction, except
 * what is marked as being for tools and consumers. All views may stand over a SharedArrayBuffer, on condition that
 * nobody writes to it meanwhile.
 */

import assert from 'node:assert'
import { bytesArgument } from '../arguments.js'
import { BATCH_HEADER_BYTES, CHUNK_BYTES, TRANSACTION_PREFIX_BYTES } from '../constants.js'
import { NarvalError } from '../errors.js'
import { chunkCount, clearChunks, startChunk } from './digest-shape.js'
import { readUint32Be } from './uint32.js'

export { chunkCount }

/** "NRVB", as the u32 that a little-endian read of bytes 0–3 gives. */
export const BATCH_MAGIC = 0x4256524e
/** Says by which rule the digest is taken, too (digest.ts). */
export const BATCH_VERSION = 2

// Where the header's fields stand, in bytes from the start of the batch.
export const BATCH_MAGIC_AT = 0
export const BATCH_VERSION_AT = 4
export const BATCH_FLAGS_AT = 6
export const BATCH_WORKER_ID_AT = 8
export const BATCH_COUNT_AT = 12
export const BATCH_BODY_BYTES_AT = 16
export const BATCH_SEQUENCE_AT = 24
export const BATCH_EPOCH_AT = 32
export const BATCH_RESERVED_AT = 40

const UINT32_MAX = 0xffffffff
const UINT32_RANGE = 2 ** 32

/** The fields of a header that are not constant. */
export interface BatchHeader {
  readonly workerId: number
  /** Transactions in the body. */
  readonly count: number
  /** Bytes behind the header: all frames, with their lengths. */
  readonly bodyBytes: number
  /** Rises strictly with each batch of a worker, with gaps; u64. */
  readonly sequence: bigint
}

export interface BatchLimits {
  /** Bytes of the largest encoded batch, header included: the committee's `batch_size`. */
  readonly batchBytesMax: number
  /** The worker id that the batch must carry: workers talk to workers of their own id. */
  readonly workerId: number
}

/** Why a batch is refused. Stable words: they label a counter. */
export type BatchRefusal =
  | 'too-short'
  | 'too-long'
  | 'magic'
  | 'version'
  | 'flags'
  | 'reserved'
  | 'worker-id'
  | 'length'
  | 'empty-batch'
  | 'empty-transaction'
  | 'transaction-overruns'
  | 'count'
  | 'epoch'

export type BatchCheck =
  | {
      readonly ok: true
      /** Transactions in the batch. */
      readonly count: number
      /** Bytes of the transactions, without their lengths and without the header. */
      readonly transactionBytes: number
      readonly sequence: bigint
    }
  | { readonly ok: false; readonly reason: BatchRefusal }

/** Bytes of the largest transaction that fits a batch of `batchBytesMax` bytes. */
export function transactionBytesMax(batchBytesMax: number): number {
  return batchBytesMax - BATCH_HEADER_BYTES - TRANSACTION_PREFIX_BYTES
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Writes all 64 bytes of the header, so that nothing of a slot's last batch is left in it. */
export function writeBatchHeader(bytes: Uint8Array, header: BatchHeader): void {
  assert(bytes.length >= BATCH_HEADER_BYTES, 'room for the header')
  assert(header.workerId >= 0 && header.workerId <= UINT32_MAX, 'workerId is a u32')
  assert(header.count >= 0 && header.count <= UINT32_MAX, 'count is a u32')
  assert(Number.isSafeInteger(header.bodyBytes) && header.bodyBytes >= 0, 'bodyBytes is a length')
  const view = viewOf(bytes)
  view.setUint32(BATCH_MAGIC_AT, BATCH_MAGIC, true)
  view.setUint16(BATCH_VERSION_AT, BATCH_VERSION, true)
  view.setUint16(BATCH_FLAGS_AT, 0, true)
  view.setUint32(BATCH_WORKER_ID_AT, header.workerId, true)
  view.setUint32(BATCH_COUNT_AT, header.count, true)
  view.setUint32(BATCH_BODY_BYTES_AT, header.bodyBytes % UINT32_RANGE, true)
  view.setUint32(BATCH_BODY_BYTES_AT + 4, Math.floor(header.bodyBytes / UINT32_RANGE), true)
  view.setBigUint64(BATCH_SEQUENCE_AT, header.sequence, true)
  // The epoch, which is 0 for now, and what is reserved.
  bytes.fill(0, BATCH_EPOCH_AT, BATCH_HEADER_BYTES)
}

/** The header of a batch, as it stands there: what it says is true only if `checkBatch` has passed it. */
export function readBatchHeader(bytes: Uint8Array): BatchHeader {
  if (bytesArgument('bytes', bytes).length < BATCH_HEADER_BYTES) {
    throw new RangeError(`bytes: expected at least ${BATCH_HEADER_BYTES} bytes, found ${bytes.length}`)
  }
  const view = viewOf(bytes)
  return {
    workerId: view.getUint32(BATCH_WORKER_ID_AT, true),
    count: view.getUint32(BATCH_COUNT_AT, true),
    bodyBytes: bodyBytesOf(view),
    sequence: view.getBigUint64(BATCH_SEQUENCE_AT, true),
  }
}

function bodyBytesOf(view: DataView): number {
  // Above 2^53 this rounds, which no limit lets through.
  return view.getUint32(BATCH_BODY_BYTES_AT + 4, true) * UINT32_RANGE + view.getUint32(BATCH_BODY_BYTES_AT, true)
}

/**
 * Judges the first 64 bytes of a batch alone, before the body has arrived: whether a slot should be spent on it. When
 * this passes, `readBatchHeader(bytes).bodyBytes` is within the limit and says how many bytes follow.
 */
export function checkBatchHeader(bytes: Uint8Array, limits: BatchLimits): BatchRefusal | undefined {
  if (bytes.length < BATCH_HEADER_BYTES) return 'too-short'
  return headerRefusal(viewOf(bytes), limits)
}

function headerRefusal(view: DataView, limits: BatchLimits): BatchRefusal | undefined {
  if (view.getUint32(BATCH_MAGIC_AT, true) !== BATCH_MAGIC) return 'magic'
  if (view.getUint16(BATCH_VERSION_AT, true) !== BATCH_VERSION) return 'version'
  if (view.getUint16(BATCH_FLAGS_AT, true) !== 0) return 'flags'
  if (view.getUint32(BATCH_WORKER_ID_AT, true) !== limits.workerId) return 'worker-id'
  if (view.getUint32(BATCH_EPOCH_AT, true) !== 0 || view.getUint32(BATCH_EPOCH_AT + 4, true) !== 0) return 'epoch'
  for (let at = BATCH_RESERVED_AT; at < BATCH_HEADER_BYTES; at += 4) {
    if (view.getUint32(at, true) !== 0) return 'reserved'
  }
  const bodyBytes = bodyBytesOf(view)
  if (bodyBytes > limits.batchBytesMax - BATCH_HEADER_BYTES) return 'too-long'
  if (bodyBytes === 0 || view.getUint32(BATCH_COUNT_AT, true) === 0) return 'empty-batch'
  return undefined
}

/**
 * Judges an encoded batch in one walk over its frames.
 *
 * @param bytes exactly the batch, from its first to its last byte
 * @param chunkStarts when given, has room for `chunkCount(bytes.length)` entries, which are filled for the digest: where
 * each chunk starts in the batch, or `EMPTY_CHUNK` (digest.ts). After a refusal they mean nothing.
 */
export function checkBatch(bytes: Uint8Array, limits: BatchLimits, chunkStarts?: Uint32Array): BatchCheck {
  const end = bytes.length
  if (end < BATCH_HEADER_BYTES) return { ok: false, reason: 'too-short' }
  if (end > limits.batchBytesMax) return { ok: false, reason: 'too-long' }
  const view = viewOf(bytes)
  const refusal = headerRefusal(view, limits)
  if (refusal !== undefined) return { ok: false, reason: refusal }
  if (bodyBytesOf(view) !== end - BATCH_HEADER_BYTES) return { ok: false, reason: 'length' }
  if (chunkStarts !== undefined) {
    assert(chunkStarts.length >= chunkCount(end), 'chunkStarts has an entry for each chunk')
    clearChunks(chunkStarts, chunkCount(end))
  }

  let at = BATCH_HEADER_BYTES
  let count = 0
  let nextStretchAt = CHUNK_BYTES
  while (at < end) {
    if (end - at < TRANSACTION_PREFIX_BYTES) return { ok: false, reason: 'transaction-overruns' }
    const transactionBytes = view.getUint32(at)
    if (transactionBytes === 0) return { ok: false, reason: 'empty-transaction' }
    const next = at + TRANSACTION_PREFIX_BYTES + transactionBytes
    if (chunkStarts !== undefined && next >= nextStretchAt) nextStretchAt = startChunk(chunkStarts, at, next, end)
    at = next
    count += 1
  }
  if (at !== end) return { ok: false, reason: 'transaction-overruns' }
  if (view.getUint32(BATCH_COUNT_AT, true) !== count) return { ok: false, reason: 'count' }
  return {
    ok: true,
    count,
    transactionBytes: end - BATCH_HEADER_BYTES - count * TRANSACTION_PREFIX_BYTES,
    sequence: view.getBigUint64(BATCH_SEQUENCE_AT, true),
  }
}

/**
 * The transactions of a batch in order, as views of its bytes: for consumers of a stored batch, not for the data path.
 *
 * @throws NarvalError ERR_BATCH_MALFORMED at the first frame that does not fit: the bytes never passed `checkBatch`
 */
export function transactions(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  if (bytesArgument('bytes', bytes).length >= BATCH_HEADER_BYTES) return walk(bytes)
  throw new NarvalError(
    'ERR_BATCH_MALFORMED',
    `bytes: ${bytes.length} bytes, a batch has more than ${BATCH_HEADER_BYTES}`,
  )
}

function* walk(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  let at = BATCH_HEADER_BYTES
  while (at < bytes.length) {
    const next = frameEnd(bytes, at)
    yield bytes.subarray(at + TRANSACTION_PREFIX_BYTES, next)
    at = next
  }
}

/**
 * Where the frame that starts at `at` ends, in a batch that has passed `checkBatch` before.
 *
 * @throws NarvalError ERR_BATCH_MALFORMED when it has not, and this shows
 */
export function frameEnd(bytes: Uint8Array, at: number): number {
  const start = at + TRANSACTION_PREFIX_BYTES
  const length = start > bytes.length ? 0 : readUint32Be(bytes, at)
  if (length === 0 || start + length > bytes.length) {
    throw new NarvalError(
      'ERR_BATCH_MALFORMED',
      `the frame at byte ${at} of a batch of ${bytes.length} bytes says ${length} bytes, expected 1 to ${Math.max(bytes.length - start, 0)}`,
    )
  }
  return start + length
}

/**
 * Encodes a batch from single transactions: for tests, tools and library users. The batch-maker writes into its slot.
 *
 * @throws NarvalError ERR_BATCH_MALFORMED without transactions, or ERR_TRANSACTION_EMPTY
 */
export function encodeBatch(
  transactions: readonly Uint8Array[],
  fields: { readonly workerId: number; readonly sequence: bigint },
): Uint8Array {
  if (transactions.length === 0) throw new NarvalError('ERR_BATCH_MALFORMED', 'no transactions, a batch has at least 1')
  let bodyBytes = 0
  for (const [index, transaction] of transactions.entries()) {
    if (transaction.length === 0) {
      throw new NarvalError('ERR_TRANSACTION_EMPTY', `transaction ${index} has 0 bytes, at least 1`)
    }
    bodyBytes += TRANSACTION_PREFIX_BYTES + transaction.length
  }
  const bytes = new Uint8Array(BATCH_HEADER_BYTES + bodyBytes)
  writeBatchHeader(bytes, { ...fields, count: transactions.length, bodyBytes })
  const view = viewOf(bytes)
  let at = BATCH_HEADER_BYTES
  for (const transaction of transactions) {
    view.setUint32(at, transaction.length)
    bytes.set(transaction, at + TRANSACTION_PREFIX_BYTES)
    at += TRANSACTION_PREFIX_BYTES + transaction.length
  }
  return bytes
}
