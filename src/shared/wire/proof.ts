/** Makes proofs: verify.ts says what they are, and judges them. */
import { bytesArgument, wrongType } from '../arguments.js'
import { BATCH_HEADER_BYTES, CHUNK_BYTES, DIGEST_BYTES } from '../constants.js'
import { NarvalError } from '../errors.js'
import { frameEnd } from './batch.js'
import { frameOffsetsOf, leafCount, leafHash, nodeHash } from './digest.js'
import type { TransactionProof } from './verify.js'

/**
 * Proves a transaction of a batch. The author is not needed: it is the verifier who names it.
 *
 * @param bytes a batch that has passed `checkBatch`; the proof holds copies
 * @param index of the transaction in the batch, from 0
 * @throws TypeError, RangeError if the arguments are not what they should be
 * @throws NarvalError ERR_TRANSACTION_NOT_FOUND when the batch has no transaction of that index
 */
export function proveTransaction(bytes: Uint8Array, index: number): TransactionProof {
  if (bytesArgument('bytes', bytes).length <= BATCH_HEADER_BYTES) {
    throw new RangeError(`bytes: expected more than ${BATCH_HEADER_BYTES} bytes, found ${bytes.length}`)
  }
  if (typeof index !== 'number') throw wrongType('index', 'an integer', index)
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
