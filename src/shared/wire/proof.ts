/** Makes proofs: verify.ts says what they are, and judges them. */
import { bytesArgument, wrongType } from '../arguments.js'
import { BATCH_HEADER_BYTES, CHUNK_BYTES, DIGEST_BYTES, PAGE_CHUNKS } from '../constants.js'
import { NarvalError } from '../errors.js'
import { frameEnd } from './batch.js'
import { chunkStartsOf, sha256 } from './digest.js'
import { EMPTY_CHUNK, PAGE_TAG, pageNodes } from './digest-shape.js'
import type { TransactionProof } from './verify.js'

const ZEROS = new Uint8Array(DIGEST_BYTES)

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
  const starts = chunkStartsOf(bytes)
  const chunks = chunksOf(bytes, starts)
  const chunkIndex = chunkOf(starts, start)
  const pages = pagesOf(chunks.map((chunk) => (chunk.length === 0 ? ZEROS : sha256(chunk))))
  const page = Math.floor(chunkIndex / PAGE_CHUNKS)
  return {
    batchBytes: bytes.length,
    chunkIndex,
    frameOffset: start - starts[chunkIndex]!,
    chunk: Uint8Array.from(chunks[chunkIndex]!),
    page: pages[page]!.filter((_, at) => at !== chunkIndex % PAGE_CHUNKS).map((hash) => Uint8Array.from(hash)),
    path: pathOf(
      pages.map((hashes) => sha256(Buffer.concat([PAGE_TAG, ...hashes]))),
      page,
    ),
  }
}

function frameStart(bytes: Uint8Array, index: number): number {
  let at = BATCH_HEADER_BYTES
  let seen = 0
  for (; at < bytes.length && seen !== index; seen += 1) at = frameEnd(bytes, at)
  if (at < bytes.length) return at
  throw new NarvalError('ERR_TRANSACTION_NOT_FOUND', `no transaction ${index}: the batch has 0 to ${seen - 1}`)
}

/** The chunk of the frame at `at`: that of its stretch, or that of the next if it is this frame alone. */
function chunkOf(starts: Uint32Array, at: number): number {
  const chunk = Math.floor(at / CHUNK_BYTES)
  return starts[chunk + 1] === at ? chunk + 1 : chunk
}

function chunksOf(bytes: Uint8Array, starts: Uint32Array): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let end = bytes.length
  for (let chunk = starts.length - 1; chunk >= 0; chunk -= 1) {
    const start = starts[chunk] === EMPTY_CHUNK ? end : starts[chunk]!
    chunks.unshift(bytes.subarray(start, end))
    end = start
  }
  return chunks
}

function pagesOf(hashes: readonly Uint8Array[]): Uint8Array[][] {
  const pages: Uint8Array[][] = []
  for (let at = 0; at < hashes.length; at += PAGE_CHUNKS) pages.push(hashes.slice(at, at + PAGE_CHUNKS))
  return pages
}

/** The neighbour on each level, from the pages upwards. */
function pathOf(pages: readonly Uint8Array[], page: number): Uint8Array[] {
  const path: Uint8Array[] = []
  let level = Array.from({ length: pageNodes(pages.length) }, (_, at) => pages[at] ?? ZEROS)
  for (let at = page; level.length > 1; at = Math.floor(at / 2)) {
    path.push(Uint8Array.from(level[at % 2 === 0 ? at + 1 : at - 1]!))
    const below = level
    level = Array.from({ length: below.length / 2 }, (_, node) =>
      sha256(Buffer.concat([below[2 * node]!, below[2 * node + 1]!])),
    )
  }
  return path
}
