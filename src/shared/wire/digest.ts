/**
 * The digest of a batch: 32 bytes that name the batch and its author, and under which one transaction can be proven
 * without the rest (proof.ts).
 *
 * Every 4 KiB of a batch are a stretch. A chunk is the frames that start in one stretch, whole; chunk 0 has the batch's
 * header in front. One exception keeps long frames apart from short ones: where no frame starts in a stretch, the last
 * frame of the stretch before it, which goes on through it, is its chunk. If it goes on through several stretches, it is
 * the chunk of the first of them, and the others have an empty one.
 *
 * ```
 *  byte   0                       4096                    8192                    12288
 *  batch  ├ header ┼ frame ┼ frame ──┼ frame ┼ a long frame ──────────────────────────┼ frame ┼ frame ┤
 *  chunk  ├ chunk 0 ─────────────────┼ 1 ────┼ chunk 2 ───────────────────────────────┼ chunk 3 ──────┤
 *
 *  chunk    SHA-256(chunk); 32 zeros if it is empty
 *  page     SHA-256(4 zeros ‖ the hashes of its chunks): 16 of them, fewer on the last page
 *           the level of pages is filled up with 32-byte zeros to a power of two
 *  node     SHA-256(left ‖ right)
 *  root     the last node; of a batch of one page, that page
 *  digest   SHA-256("narval/batch/v2" and zeros to 32 bytes ‖ author's public key ‖ u64 LE bytes of the batch ‖ root)
 * ```
 *
 * The batch's length is in the digest, and with it the shape of all levels, so that nothing on one level can pass for
 * something on another. The hashes differ by themselves too: a chunk never begins with 4 zeros, since no frame is empty,
 * and a page is never 64 bytes long, as a node is.
 */
import assert from 'node:assert'
import { hash } from 'node:crypto'
import { hashInto } from '@chainsafe/as-sha256'
import { BATCH_HEADER_BYTES, CHUNK_BYTES, DIGEST_BYTES, PAGE_CHUNKS, PUBLIC_KEY_BYTES } from '../constants.js'
import { frameEnd } from './batch.js'
import {
  chunkCount,
  chunksOfPage,
  clearChunks,
  DIGEST_DOMAIN,
  EMPTY_CHUNK,
  PAGE_TAG,
  pageCount,
  pageNodes,
  startChunk,
} from './digest-shape.js'

/** Bytes of a full page: its tag and the hashes of its chunks. */
const PAGE_BYTES = PAGE_TAG.length + PAGE_CHUNKS * DIGEST_BYTES

/** SHA-256, for what is hashed once. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}

/**
 * The digest from the root of the tree.
 *
 * @param batchBytes bytes of the encoded batch, header included
 * @param author the author's public key, 32 bytes
 */
export function digestOfRoot(batchBytes: number, author: Uint8Array, root: Uint8Array): Uint8Array {
  assert(author.length === PUBLIC_KEY_BYTES, 'an author is a public key of 32 bytes')
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(batchBytes))
  return sha256(Buffer.concat([DIGEST_DOMAIN, author, length, root]))
}

/**
 * Where each chunk of a batch starts, as `checkBatch` fills it in.
 *
 * @param bytes a batch that has passed `checkBatch` before
 * @throws NarvalError ERR_BATCH_MALFORMED when it has not, and this shows
 */
export function chunkStartsOf(bytes: Uint8Array): Uint32Array {
  const chunks = chunkCount(bytes.length)
  const starts = new Uint32Array(chunks)
  clearChunks(starts, chunks)
  let nextStretchAt = CHUNK_BYTES
  for (let at = BATCH_HEADER_BYTES, next = at; at < bytes.length; at = next) {
    next = frameEnd(bytes, at)
    if (next >= nextStretchAt) nextStretchAt = startChunk(starts, at, next, bytes.length)
  }
  return starts
}

/**
 * Computes digests of batches up to a size, with the memory for all levels allocated once. Not for two callers at once.
 *
 * What it costs beside one flat hash is a call of node:crypto for each chunk and page; as-sha256 hashes the nodes of 64
 * bytes above them, four at a time. See `hashTo` for the call, and `npm run bench -- --only digest` for all of it.
 */
export class BatchDigester {
  /** Pages, one behind the other: tag and chunk hashes. */
  private readonly pages: Uint8Array
  /** The hashes of the pages at first; each level of the tree then overwrites the front of the one below it. */
  private readonly nodes: Uint8Array
  private readonly batchBytesMax: number

  /** @param batchBytesMax bytes of the largest batch it will be given */
  constructor(batchBytesMax: number) {
    this.batchBytesMax = batchBytesMax
    const pages = pageCount(chunkCount(batchBytesMax))
    this.pages = new Uint8Array(pages * PAGE_BYTES)
    this.nodes = new Uint8Array(pageNodes(pages) * DIGEST_BYTES)
  }

  /**
   * @param bytes exactly the batch, which has passed `checkBatch`
   * @param chunkStarts as `checkBatch` filled them in for these bytes
   * @param author the author's public key, 32 bytes
   * @param out takes the digest, 32 bytes
   */
  digest(bytes: Uint8Array, chunkStarts: Uint32Array, author: Uint8Array, out: Uint8Array): void {
    assert(bytes.length <= this.batchBytesMax, 'a batch within the limit')
    assert(out.length === DIGEST_BYTES, 'room for a digest')
    const chunks = chunkCount(bytes.length)
    assert(chunkStarts.length >= chunks, 'chunkStarts has an entry for each chunk')
    this.hashChunks(bytes, chunkStarts, chunks)
    out.set(digestOfRoot(bytes.length, author, this.rootOfPages(chunks)))
  }

  /** From the last chunk to the first: each ends where the one behind it begins. */
  private hashChunks(bytes: Uint8Array, chunkStarts: Uint32Array, chunks: number): void {
    let end = bytes.length
    for (let chunk = chunks - 1; chunk >= 0; chunk -= 1) {
      const at = Math.floor(chunk / PAGE_CHUNKS) * PAGE_BYTES + PAGE_TAG.length + (chunk % PAGE_CHUNKS) * DIGEST_BYTES
      const start = chunkStarts[chunk]!
      if (start === EMPTY_CHUNK) {
        this.pages.fill(0, at, at + DIGEST_BYTES)
      } else {
        hashTo(this.pages, at, bytes.subarray(start, end))
        end = start
      }
    }
  }

  private rootOfPages(chunks: number): Uint8Array {
    const { nodes } = this
    const pages = pageCount(chunks)
    for (let page = 0; page < pages; page += 1) {
      const at = page * PAGE_BYTES
      const end = at + PAGE_TAG.length + chunksOfPage(chunks, page) * DIGEST_BYTES
      hashTo(nodes, page * DIGEST_BYTES, this.pages.subarray(at, end))
    }
    const leaves = pageNodes(pages)
    nodes.fill(0, pages * DIGEST_BYTES, leaves * DIGEST_BYTES)
    for (let width = leaves; width > 1; width /= 2) {
      // In place: what `hashInto` writes never gets ahead of what it has read.
      hashInto(nodes.subarray(0, width * DIGEST_BYTES), nodes.subarray(0, (width / 2) * DIGEST_BYTES))
    }
    return nodes.subarray(0, DIGEST_BYTES)
  }
}

/**
 * The hash comes as a string of one character for each byte. A buffer would be memory outside of V8's heap, and takes
 * twice as long: of 500 kB in 122 chunks, 473 µs instead of 563, where an object of `createHash` for each takes 670.
 */
function hashTo(target: Uint8Array, at: number, bytes: Uint8Array): void {
  const characters = hash('sha256', bytes, 'binary')
  for (let index = 0; index < DIGEST_BYTES; index += 1) target[at + index] = characters.charCodeAt(index)
}
