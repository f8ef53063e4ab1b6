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
 *
 * Nothing here needs Node: this is what `narval-node/verify` exports, for browsers and whoever else only verifies.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesArgument, isBytes } from '../arguments.js'
import {
  BATCH_HEADER_BYTES,
  BATCH_SIZE_MAX,
  CHUNK_BYTES,
  DIGEST_BYTES,
  PUBLIC_KEY_BYTES,
  TRANSACTION_PREFIX_BYTES,
} from '../constants.js'
import { NarvalError } from '../errors.js'
import { decodeProof } from './proof-format.js'

/** In place of a chunk's frame offset: no frame starts in it. */
const NO_FRAME = 0xffffffff
const DOMAIN = new TextEncoder().encode('narval/batch/v1'.padEnd(32, '\0'))

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
 * Whether the proof shows that `transaction` is in the batch of this digest and author. The proof may come from
 * anybody, in any shape: it is never thrown at, only refused.
 *
 * @param digest 32 bytes, which a quorum has acknowledged
 * @param author the public key of the batch's author, 32 bytes
 * @param proof as `proveTransaction` made it, or in its binary form
 * @throws TypeError, RangeError if `digest`, `author` or `transaction` are not what they should be
 */
export function verifyTransaction(
  digest: Uint8Array,
  author: Uint8Array,
  transaction: Uint8Array,
  proof: TransactionProof | Uint8Array,
): boolean {
  bytesArgument('digest', digest, DIGEST_BYTES)
  bytesArgument('author', author, PUBLIC_KEY_BYTES)
  if (bytesArgument('transaction', transaction).length === 0) return false
  if (isBytes(proof)) {
    const decoded = tryDecode(proof)
    return decoded !== undefined && verifyTransaction(digest, author, transaction, decoded)
  }
  if (!isWellFormed(proof, transaction.length)) return false
  const root = rootOf(proof)
  if (root === undefined || !equal(digestOfRoot(proof.batchBytes, author, root), digest)) return false
  return holdsFrame(proof, transaction)
}

function tryDecode(bytes: Uint8Array): TransactionProof | undefined {
  try {
    return decodeProof(bytes)
  } catch (error) {
    if (error instanceof NarvalError) return undefined
    throw error
  }
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
    if (!isBytes(chunk) || chunk.length !== expected) return false
    const offset: unknown = frameOffsets[at]
    if (typeof offset !== 'number' || !Number.isInteger(offset) || offset < 0) return false
    if (offset !== NO_FRAME && offset >= expected) return false
  }
  return Array.isArray(path) && path.every((node) => isBytes(node) && node.length === DIGEST_BYTES)
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
  const bytes = concat(...proof.chunks)
  const view = new DataView(bytes.buffer)
  let at = proof.frameOffsets[0]!
  // NO_FRAME is beyond any chunk, hence beyond the claimed frame.
  while (at < proof.frameOffset) at += TRANSACTION_PREFIX_BYTES + view.getUint32(at)
  if (at !== proof.frameOffset || view.getUint32(at) !== transaction.length) return false
  const start = at + TRANSACTION_PREFIX_BYTES
  return equal(bytes.subarray(start, start + transaction.length), transaction)
}

// The digest again, as digest.ts describes it: that one is for bulk, and Node's.

function chunkCount(batchBytes: number): number {
  return Math.ceil(batchBytes / CHUNK_BYTES)
}

function leafCount(chunks: number): number {
  return chunks === 1 ? 1 : 2 ** (32 - Math.clz32(chunks - 1))
}

function leafHash(frameOffset: number, chunk: Uint8Array): Uint8Array {
  return sha256(concat(u32(frameOffset), chunk))
}

function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concat(left, right))
}

function digestOfRoot(batchBytes: number, author: Uint8Array, root: Uint8Array): Uint8Array {
  // A u64 whose upper half is zero: a batch is far smaller than 4 GiB.
  return sha256(concat(DOMAIN, author, u32(batchBytes), u32(0), root))
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}
