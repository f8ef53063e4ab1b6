/**
 * The binary form of a proof, for files and wires. Integers are little-endian.
 *
 * ```
 *  0         1              5              9              13
 *  ├ 2 ──────┼ bytes of the ┼ index of the ┼ frame offset ┼ page: the other chunks' ┼ path: a hash for ┼ chunk ┤
 *    version   batch, u32     chunk, u32     u32            hashes, 32 each            each level, 32 each
 * ```
 *
 * How many hashes there are follows from the bytes of the batch and the index. One proof has one form.
 */
import { arrayArgument, bytesArgument, integerArgument, objectArgument } from '../arguments.js'
import { BATCH_HEADER_BYTES, BATCH_SIZE_MAX, DIGEST_BYTES } from '../constants.js'
import { NarvalError } from '../errors.js'
import { chunkBytesMax, chunkCount, proofShape } from './digest-shape.js'
import type { TransactionProof } from './verify.js'

const PROOF_VERSION = 2
const HEAD_BYTES = 13
const UINT32_MAX = 0xffffffff

/** Encodes what `proveTransaction` made. Errors: `TypeError`, `RangeError`. */
export function encodeProof(proof: TransactionProof): Uint8Array {
  const fields = objectArgument('proof', proof, 'a proof, as proveTransaction makes it')
  const uint32 = (name: string, value: unknown, max = UINT32_MAX): number =>
    integerArgument(`proof.${name}`, value, 0, max)
  const batchBytes = integerArgument('proof.batchBytes', fields.batchBytes, BATCH_HEADER_BYTES + 1, BATCH_SIZE_MAX)
  const chunkIndex = uint32('chunkIndex', fields.chunkIndex, chunkCount(batchBytes) - 1)
  const shape = proofShape(batchBytes, chunkIndex)
  const hashes = [
    ...hashesArgument('proof.page', fields.page, shape.page),
    ...hashesArgument('proof.path', fields.path, shape.path),
  ]
  const chunk = bytesArgument('proof.chunk', fields.chunk)
  const chunkAt = HEAD_BYTES + DIGEST_BYTES * hashes.length
  const bytes = new Uint8Array(chunkAt + chunk.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, PROOF_VERSION)
  view.setUint32(1, batchBytes, true)
  view.setUint32(5, chunkIndex, true)
  view.setUint32(9, uint32('frameOffset', fields.frameOffset), true)
  for (const [at, hash] of hashes.entries()) bytes.set(hash, HEAD_BYTES + DIGEST_BYTES * at)
  bytes.set(chunk, chunkAt)
  return bytes
}

function hashesArgument(name: string, value: unknown, count: number): Uint8Array[] {
  const hashes = arrayArgument(name, value, count)
  if (hashes.length !== count) throw new RangeError(`${name}: expected ${count} hashes, found ${hashes.length}`)
  return hashes.map((hash, at) => bytesArgument(`${name}[${at}]`, hash, DIGEST_BYTES))
}

/** Errors: `ERR_CODEC`. What it gives is well-formed, and says nothing yet: `verifyTransaction` judges it. */
export function decodeProof(bytes: Uint8Array): TransactionProof {
  if (bytesArgument('bytes', bytes).length < HEAD_BYTES)
    throw malformed(`${bytes.length} bytes, at least ${HEAD_BYTES}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint8(0) !== PROOF_VERSION) throw malformed(`version ${view.getUint8(0)}, expected ${PROOF_VERSION}`)
  const batchBytes = view.getUint32(1, true)
  const chunkIndex = view.getUint32(5, true)
  if (batchBytes <= BATCH_HEADER_BYTES || batchBytes > BATCH_SIZE_MAX) {
    throw malformed(`a batch of ${batchBytes} bytes, expected ${BATCH_HEADER_BYTES + 1} to ${BATCH_SIZE_MAX}`)
  }
  const chunks = chunkCount(batchBytes)
  if (chunkIndex >= chunks) throw malformed(`chunk ${chunkIndex}, the batch has ${chunks}`)
  const shape = proofShape(batchBytes, chunkIndex)
  const pathAt = HEAD_BYTES + DIGEST_BYTES * shape.page
  const chunkAt = pathAt + DIGEST_BYTES * shape.path
  const end = chunkAt + chunkBytesMax(batchBytes, chunkIndex)
  if (bytes.length <= chunkAt || bytes.length > end) {
    throw malformed(`${bytes.length} bytes, expected ${chunkAt + 1} to ${end}`)
  }
  return {
    batchBytes,
    chunkIndex,
    frameOffset: view.getUint32(9, true),
    chunk: Uint8Array.from(bytes.subarray(chunkAt)),
    page: hashesAt(bytes, HEAD_BYTES, shape.page),
    path: hashesAt(bytes, pathAt, shape.path),
  }
}

function hashesAt(bytes: Uint8Array, from: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const at = from + DIGEST_BYTES * index
    return Uint8Array.from(bytes.subarray(at, at + DIGEST_BYTES))
  })
}

function malformed(problem: string): NarvalError {
  return new NarvalError('ERR_CODEC', `proof: ${problem}`)
}
