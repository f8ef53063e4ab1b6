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

/** Chunks of an encoded batch, those that are empty included: the entries that `frameOffsets` needs. */
export function chunkCount(batchBytes: number): number {
  return Math.ceil(batchBytes / CHUNK_BYTES)
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
