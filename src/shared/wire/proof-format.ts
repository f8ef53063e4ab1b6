/**
 * The binary form of a proof, for files and wires. Integers are little-endian.
 *
 * ```
 *  0         1              5              9              13        15        16
 *  ├ 1 ──────┼ bytes of the ┼ index of the ┼ frame offset ┼ chunks c┼ nodes p ┤ c frame offsets ‖ p nodes ‖ c chunks
 *    version   batch, u32     first chunk    u32            u16       u8          u32 each          32 each   as long as
 *                                                                                                            they are
 * ```
 *
 * The lengths of the chunks follow from the batch's: all of 16 KiB, but for the last of the batch. One proof has one form.
 */
import { arrayArgument, bytesArgument, integerArgument, objectArgument } from '../arguments.js'
import { BATCH_SIZE_MAX, CHUNK_BYTES, DIGEST_BYTES } from '../constants.js'
import { NarvalError } from '../errors.js'
import type { TransactionProof } from './verify.js'

const PROOF_VERSION = 1
const HEAD_BYTES = 16
const UINT32_MAX = 0xffffffff
/** Chunks of the largest batch. */
const CHUNKS_MAX = BATCH_SIZE_MAX / CHUNK_BYTES
/** Nodes beside the way to the root, left and right on each level. */
const PATH_NODES_MAX = 2 * Math.ceil(Math.log2(CHUNKS_MAX))

/** Encodes what `proveTransaction` made. Errors: `TypeError`, `RangeError`. */
export function encodeProof(proof: TransactionProof): Uint8Array {
  const { batchBytes, chunkIndex, frameOffset } = objectArgument(
    'proof',
    proof,
    'a proof, as proveTransaction makes it',
  )
  const uint32 = (name: string, value: unknown): number => integerArgument(`proof.${name}`, value, 0, UINT32_MAX)
  const chunks = arrayArgument('proof.chunks', proof.chunks, CHUNKS_MAX).map((chunk, at) =>
    bytesArgument(`proof.chunks[${at}]`, chunk),
  )
  const frameOffsets = arrayArgument('proof.frameOffsets', proof.frameOffsets, CHUNKS_MAX).map((offset, at) =>
    uint32(`frameOffsets[${at}]`, offset),
  )
  const path = arrayArgument('proof.path', proof.path, PATH_NODES_MAX).map((node, at) =>
    bytesArgument(`proof.path[${at}]`, node, DIGEST_BYTES),
  )
  if (frameOffsets.length !== chunks.length) {
    throw new RangeError(
      `proof.frameOffsets: expected ${chunks.length}, one for each chunk, found ${frameOffsets.length}`,
    )
  }
  const chunksAt = HEAD_BYTES + 4 * chunks.length + DIGEST_BYTES * path.length
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, chunksAt))
  const view = new DataView(bytes.buffer)
  view.setUint8(0, PROOF_VERSION)
  view.setUint32(1, uint32('batchBytes', batchBytes), true)
  view.setUint32(5, uint32('chunkIndex', chunkIndex), true)
  view.setUint32(9, uint32('frameOffset', frameOffset), true)
  view.setUint16(13, chunks.length, true)
  view.setUint8(15, path.length)
  for (const [at, offset] of frameOffsets.entries()) view.setUint32(HEAD_BYTES + 4 * at, offset, true)
  const pathAt = HEAD_BYTES + 4 * chunks.length
  for (const [at, node] of path.entries()) bytes.set(node, pathAt + DIGEST_BYTES * at)
  let at = chunksAt
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** Errors: `ERR_CODEC`. What it gives is well-formed, and says nothing yet: `verifyTransaction` judges it. */
export function decodeProof(bytes: Uint8Array): TransactionProof {
  if (bytesArgument('bytes', bytes).length < HEAD_BYTES)
    throw malformed(`${bytes.length} bytes, at least ${HEAD_BYTES}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint8(0) !== PROOF_VERSION) throw malformed(`version ${view.getUint8(0)}, expected ${PROOF_VERSION}`)
  const batchBytes = view.getUint32(1, true)
  const chunkIndex = view.getUint32(5, true)
  const chunkTotal = Math.ceil(batchBytes / CHUNK_BYTES)
  const count = view.getUint16(13, true)
  const nodes = view.getUint8(15)
  if (batchBytes > BATCH_SIZE_MAX) throw malformed(`a batch of ${batchBytes} bytes, at most ${BATCH_SIZE_MAX}`)
  if (count === 0 || chunkIndex + count > chunkTotal) {
    throw malformed(`chunks ${chunkIndex} to ${chunkIndex + count - 1}, the batch has ${chunkTotal}`)
  }
  const pathAt = HEAD_BYTES + 4 * count
  const chunksAt = pathAt + DIGEST_BYTES * nodes
  const end = chunksAt + Math.min(batchBytes, (chunkIndex + count) * CHUNK_BYTES) - chunkIndex * CHUNK_BYTES
  if (bytes.length !== end) throw malformed(`${bytes.length} bytes, expected ${end}`)
  return {
    batchBytes,
    chunkIndex,
    frameOffset: view.getUint32(9, true),
    frameOffsets: Array.from({ length: count }, (_, at) => view.getUint32(HEAD_BYTES + 4 * at, true)),
    path: Array.from({ length: nodes }, (_, at) => copyOf(bytes, pathAt + DIGEST_BYTES * at, DIGEST_BYTES)),
    chunks: Array.from({ length: count }, (_, at) =>
      copyOf(bytes, chunksAt + CHUNK_BYTES * at, Math.min(CHUNK_BYTES, end - chunksAt - CHUNK_BYTES * at)),
    ),
  }
}

function copyOf(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return Uint8Array.from(bytes.subarray(at, at + length))
}

function malformed(problem: string): NarvalError {
  return new NarvalError('ERR_CODEC', `proof: ${problem}`)
}
