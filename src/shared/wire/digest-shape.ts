/**
 * The shape of a batch's digest: how many chunks, pages and nodes a batch of some length has (digest.ts). The length is
 * in the digest, so nobody can claim another shape.
 *
 * Nothing here needs Node: verify.ts reads it too.
 */
import { assert } from '../assert.js'
import { CHUNK_BYTES, PAGE_CHUNKS } from '../constants.js'

/** In front of everything that a batch digest is taken of, so that no other hash of narval's can be one. */
export const DIGEST_DOMAIN = new TextEncoder().encode('narval/batch/v2'.padEnd(32, '\0'))
/** In front of a page's chunk hashes. No chunk begins so: a chunk begins with the batch's magic or with a frame's length. */
export const PAGE_TAG = new Uint8Array(4)

/** In place of where a chunk starts: it is empty. */
export const EMPTY_CHUNK = 0xffffffff

/** Chunks of an encoded batch, those that are empty included: the entries that `chunkStarts` needs. */
export function chunkCount(batchBytes: number): number {
  return Math.ceil(batchBytes / CHUNK_BYTES)
}

/** No chunk starts yet, but the first, which has the batch's header. */
export function clearChunks(chunkStarts: Uint32Array, chunks: number): void {
  chunkStarts.fill(EMPTY_CHUNK, 0, chunks)
  chunkStarts[0] = 0
}

/**
 * Says that the frame at `at` ends at `next`, behind its stretch, in a batch that ends at `end`. Where no frame starts in
 * the stretch behind, this one is its chunk. Returns where the stretch of `next` ends: from there on it is told again.
 */
export function startChunk(chunkStarts: Uint32Array, at: number, next: number, end: number): number {
  const own = Math.floor(at / CHUNK_BYTES)
  const following = next < end ? Math.floor(next / CHUNK_BYTES) : chunkCount(end)
  if (own + 1 < following) {
    // It was the only frame that starts in its own stretch.
    if (chunkStarts[own] === at) chunkStarts[own] = EMPTY_CHUNK
    chunkStarts[own + 1] = at
  }
  if (next < end) chunkStarts[following] = next
  return (following + 1) * CHUNK_BYTES
}

/** Bytes that a chunk has at most: its last frame may start in the stretch before it. */
export function chunkBytesMax(batchBytes: number, chunk: number): number {
  return batchBytes - Math.max(0, chunk - 1) * CHUNK_BYTES
}

/** Pages of a batch of so many chunks. */
export function pageCount(chunks: number): number {
  return Math.ceil(chunks / PAGE_CHUNKS)
}

/** Chunks of one page: all pages are full, except perhaps the last. */
export function chunksOfPage(chunks: number, page: number): number {
  return Math.min(PAGE_CHUNKS, chunks - page * PAGE_CHUNKS)
}

/** Nodes of the level of pages: it is filled up to a power of two. */
export function pageNodes(pages: number): number {
  assert(Number.isInteger(pages) && pages >= 1 && pages <= 2 ** 31, 'a batch has at least one page')
  return pages === 1 ? 1 : 2 ** (32 - Math.clz32(pages - 1))
}

/** How many hashes a proof has: those of the other chunks on its page, and one on each level from there to the root. */
export function proofShape(batchBytes: number, chunkIndex: number): { readonly page: number; readonly path: number } {
  const chunks = chunkCount(batchBytes)
  const page = chunksOfPage(chunks, Math.floor(chunkIndex / PAGE_CHUNKS)) - 1
  return { page, path: Math.log2(pageNodes(pageCount(chunks))) }
}
