/**
 * A proof that one transaction is in a batch, for somebody who has the batch's digest and not the batch.
 *
 * The transaction's frame (4-byte length, then the bytes) starts in one chunk of the batch and may run into the chunks
 * behind it. The proof carries these chunks whole, with the offset that each leaf binds to its chunk, and the nodes
 * of the tree that lead from them to the root:
 *
 * ```
 *  chunk c        ├…… ├ frame ┼ frame ┼ frame: the transaction's first bytes …┤
 *                     ▲ frameOffsets[0]       ▲ frameOffset
 *  chunk c + 1    ├… none starts here: frameOffsets[1] = 0xffffffff …………………………┤
 *  chunk c + 2    ├… its last bytes ├ frame …
 *                                   ▲ frameOffsets[2]
 * ```
 *
 * The verifier walks from the first frame of the chunk, by the lengths, and must come to the claimed frame exactly. It
 * may rely on that first offset: whoever acknowledged the digest computed the offsets itself, so a quorum of ACKs says
 * that they are right. Without them, bytes inside a transaction could be passed off as a transaction.
 *
 * What is proven is a place: (chunkIndex, frameOffset). Where a batch has the same chunk twice side by side, a proof
 * for the one is a proof for the other too, and both are true.
 */

import {
  BATCH_HEADER_BYTES,
  BATCH_SIZE_MAX,
  CHUNK_BYTES,
  DIGEST_BYTES,
  PUBLIC_KEY_BYTES,
  TRANSACTION_PREFIX_BYTES,
} from '../constants.js'
import { NarvalError } from '../errors.js'
import { chunkCount, frameEnd, NO_FRAME } from './batch.js'
import { digestOfRoot, frameOffsetsOf, leafCount, leafHash, nodeHash } from './digest.js'

export interface TransactionProof {
  /** Bytes of the encoded batch, header included. */
  readonly batchBytes: number
  /** The chunk in which the transaction's frame starts, from 0. */
  readonly chunkIndex: number
  /** Where in that chunk the frame starts, with the first byte of its length. */
  readonly frameOffset: number
  /** The chunks that the frame touches, in order: all of 16 KiB, but for the last of the batch. */
  readonly chunks: readonly Uint8Array[]
  /** For each of these chunks the offset of the first frame that starts in it, or 0xffffffff. */
  readonly frameOffsets: readonly number[]
  /**
   * From the leaves upwards, per level the neighbour left of the known nodes if their first has an odd index, then the
   * neighbour right of them if their last has an even one. 32 bytes each.
   */
  readonly path: readonly Uint8Array[]
}

/**
 * Proves a transaction of a batch. The author is not needed: it is the verifier who names it.
 *
 * @param bytes a batch that has passed `checkBatch`; the proof holds copies
 * @param index of the transaction in the batch, from 0
 * @throws NarvalError ERR_TRANSACTION_NOT_FOUND when the batch has no transaction of that index
 */
export function proveTransaction(bytes: Uint8Array, index: number): TransactionProof {
  const start = frameStart(bytes, index)
  const first = Math.floor(start / CHUNK_BYTES)
  const last = Math.floor((frameEnd(bytes, start) - 1) / CHUNK_BYTES)
  const frameOffsets = frameOffsetsOf(bytes)
  const chunks = Array.from(frameOffsets, (_, at) => bytes.subarray(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES))
  const leaves = chunks.map((chunk, at) => leafHash(frameOffsets[at]!, chunk))
  return {
    batchBytes: bytes.length,
    chunkIndex: first,
    frameOffset: start % CHUNK_BYTES,
    chunks: chunks.slice(first, last + 1).map((chunk) => Uint8Array.from(chunk)),
    frameOffsets: Array.from(frameOffsets.subarray(first, last + 1)),
    path: pathOf(leaves, first, last),
  }
}

function frameStart(bytes: Uint8Array, index: number): number {
  let at = BATCH_HEADER_BYTES
  let seen = 0
  for (; at < bytes.length && seen !== index; seen += 1) at = frameEnd(bytes, at)
  if (at < bytes.length) return at
  throw new NarvalError('ERR_TRANSACTION_NOT_FOUND', `no transaction ${index}: the batch has 0 to ${seen - 1}`)
}

function pathOf(leaves: readonly Uint8Array[], first: number, last: number): Uint8Array[] {
  const path: Uint8Array[] = []
  let level = Array.from({ length: leafCount(leaves.length) }, (_, at) => leaves[at] ?? new Uint8Array(DIGEST_BYTES))
  while (level.length > 1) {
    if (first % 2 === 1) path.push(level[first - 1]!)
    if (last % 2 === 0) path.push(level[last + 1]!)
    const below = level
    level = Array.from({ length: below.length / 2 }, (_, at) => nodeHash(below[2 * at]!, below[2 * at + 1]!))
    first = Math.floor(first / 2)
    last = Math.floor(last / 2)
  }
  return path
}

/**
 * Whether the proof shows that `transaction` is in the batch of this digest and author. The proof may come from
 * anybody, in any shape: it is never thrown at, only refused.
 *
 * @param digest 32 bytes, which a quorum has acknowledged
 * @param author the public key of the batch's author, 32 bytes
 */
export function verifyTransaction(
  digest: Uint8Array,
  author: Uint8Array,
  transaction: Uint8Array,
  proof: TransactionProof,
): boolean {
  if (digest.length !== DIGEST_BYTES || author.length !== PUBLIC_KEY_BYTES || transaction.length === 0) return false
  if (!isWellFormed(proof, transaction.length)) return false
  const root = rootOf(proof)
  if (root === undefined || !equal(digestOfRoot(proof.batchBytes, author, root), digest)) return false
  return holdsFrame(proof, transaction)
}

/** Types, and sizes as they follow from the batch's length, the place claimed and the transaction's length. */
function isWellFormed(proof: TransactionProof, transactionBytes: number): boolean {
  if (typeof proof !== 'object' || proof === null) return false
  const { batchBytes, chunkIndex, frameOffset, chunks, frameOffsets, path } = proof
  if (!Number.isInteger(batchBytes) || batchBytes <= BATCH_HEADER_BYTES || batchBytes > BATCH_SIZE_MAX) return false
  if (!Number.isInteger(chunkIndex) || chunkIndex < 0 || chunkIndex >= chunkCount(batchBytes)) return false
  if (!Number.isInteger(frameOffset) || frameOffset < 0 || frameOffset >= CHUNK_BYTES) return false
  const frameBytes = TRANSACTION_PREFIX_BYTES + transactionBytes
  if (chunkIndex * CHUNK_BYTES + frameOffset + frameBytes > batchBytes) return false
  const touched = Math.ceil((frameOffset + frameBytes) / CHUNK_BYTES)
  if (!Array.isArray(chunks) || chunks.length !== touched) return false
  if (!Array.isArray(frameOffsets) || frameOffsets.length !== touched) return false
  for (let at = 0; at < touched; at += 1) {
    const chunk: unknown = chunks[at]
    const expected = Math.min(CHUNK_BYTES, batchBytes - (chunkIndex + at) * CHUNK_BYTES)
    if (!(chunk instanceof Uint8Array) || chunk.length !== expected) return false
    const offset: unknown = frameOffsets[at]
    if (typeof offset !== 'number' || !Number.isInteger(offset) || offset < 0) return false
    if (offset !== NO_FRAME && offset >= expected) return false
  }
  return Array.isArray(path) && path.every((node) => node instanceof Uint8Array && node.length === DIGEST_BYTES)
}

/** The root that chunks and path lead to; undefined when the path has a node too few or too many. */
function rootOf(proof: TransactionProof): Uint8Array | undefined {
  let nodes = proof.chunks.map((chunk, at) => leafHash(proof.frameOffsets[at]!, chunk))
  let first = proof.chunkIndex
  let used = 0
  for (let width = leafCount(chunkCount(proof.batchBytes)); width > 1; width /= 2) {
    const left = first % 2 === 1 ? proof.path[used++] : undefined
    const right = (first + nodes.length - 1) % 2 === 0 ? proof.path[used++] : undefined
    if (used > proof.path.length) return undefined
    const level = [...(left === undefined ? [] : [left]), ...nodes, ...(right === undefined ? [] : [right])]
    nodes = Array.from({ length: level.length / 2 }, (_, at) => nodeHash(level[2 * at]!, level[2 * at + 1]!))
    first = Math.floor(first / 2)
  }
  return used === proof.path.length ? nodes[0] : undefined
}

/** Whether the walk from the first frame comes to the claimed one, and that is the transaction's. */
function holdsFrame(proof: TransactionProof, transaction: Uint8Array): boolean {
  const bytes = Buffer.concat(proof.chunks)
  let at = proof.frameOffsets[0]!
  // NO_FRAME is beyond any chunk, hence beyond the claimed frame.
  while (at < proof.frameOffset) at += TRANSACTION_PREFIX_BYTES + bytes.readUInt32BE(at)
  if (at !== proof.frameOffset || bytes.readUInt32BE(at) !== transaction.length) return false
  const end = at + TRANSACTION_PREFIX_BYTES + transaction.length
  return equal(bytes.subarray(at + TRANSACTION_PREFIX_BYTES, end), transaction)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
