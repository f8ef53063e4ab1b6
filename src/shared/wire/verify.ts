/**
 * A proof that one transaction is in a batch, for somebody who has the batch's digest and not the batch.
 *
 * The transaction's frame (4-byte length, then the bytes) lies whole in one chunk of the batch (digest.ts). The proof
 * carries this chunk, the hashes of the other chunks of its page, and the node beside the way on each level from there
 * to the root:
 *
 * ```
 *  chunk   ├ frame ┼ frame ┼ frame: the transaction ┼ frame ┤        ─▶ its hash
 *                          ▲ frameOffset
 *  page    15 hashes of the other chunks, its own in its place        ─▶ the page
 *  path    a neighbour on each level                                  ─▶ the root, and with it the digest
 * ```
 *
 * The verifier walks from the first frame of the chunk, by the lengths, and must come to the claimed frame exactly. It
 * may rely on a frame starting where the chunk starts: whoever acknowledged the digest cut the batch itself, so a quorum
 * of ACKs says that it was cut by the rule. Without that, bytes inside a transaction could be passed off as a transaction.
 *
 * What is proven is a place: (chunkIndex, frameOffset). Where a page has the same chunk twice, a proof for the one is a
 * proof for the other too, and both are true.
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
  PAGE_CHUNKS,
  PUBLIC_KEY_BYTES,
  TRANSACTION_PREFIX_BYTES,
} from '../constants.js'
import { NarvalError } from '../errors.js'
import { chunkBytesMax, chunkCount, DIGEST_DOMAIN, PAGE_TAG, proofShape } from './digest-shape.js'
import { decodeProof } from './proof-format.js'

export interface TransactionProof {
  /** Bytes of the encoded batch, header included. */
  readonly batchBytes: number
  /** The chunk in which the transaction's frame lies, from 0. */
  readonly chunkIndex: number
  /** Where in that chunk the frame starts, with the first byte of its length. */
  readonly frameOffset: number
  /** The chunk: whole frames, less than 8 KiB of them if they are short; or one long frame. Chunk 0 has the header in front. */
  readonly chunk: Uint8Array
  /** The hashes of the other chunks of its page, in order: at most 15, of 32 bytes each. */
  readonly page: readonly Uint8Array[]
  /** From the pages upwards, the neighbour of the known node on each level: 32 bytes each. */
  readonly path: readonly Uint8Array[]
}

/** Why a proof is refused. Stable words, in the order in which they are looked for. */
export type ProofRefusal =
  /** No proof: a field is missing or of another type, or the binary form is not one. */
  | 'malformed'
  /** No batch has so many bytes. */
  | 'batch-bytes'
  /** The batch has no such chunk, or no frame of it can start or end there. */
  | 'place'
  /** The chunk is empty, or longer than what the batch has from there on. */
  | 'chunk-bytes'
  /** More or fewer hashes than the page of this chunk has beside it. */
  | 'page'
  /** More or fewer nodes than there are levels. */
  | 'path'
  /** What it leads to is another digest: the batch, its author, the place or a byte of the proof is another. */
  | 'digest'
  /** No frame starts there, or it is not this transaction's. */
  | 'transaction'

export type ProofCheck = { readonly ok: true } | { readonly ok: false; readonly reason: ProofRefusal }

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
  return checkProof(digest, author, transaction, proof).ok
}

/** The same as `verifyTransaction`, and says why a proof is refused. */
export function checkProof(
  digest: Uint8Array,
  author: Uint8Array,
  transaction: Uint8Array,
  proof: TransactionProof | Uint8Array,
): ProofCheck {
  bytesArgument('digest', digest, DIGEST_BYTES)
  bytesArgument('author', author, PUBLIC_KEY_BYTES)
  bytesArgument('transaction', transaction)
  const decoded = isBytes(proof) ? tryDecode(proof) : proof
  const refusal = refusalOf(digest, author, transaction, decoded)
  return refusal === undefined ? { ok: true } : { ok: false, reason: refusal }
}

function tryDecode(bytes: Uint8Array): TransactionProof | undefined {
  try {
    return decodeProof(bytes)
  } catch (error) {
    if (error instanceof NarvalError) return undefined
    throw error
  }
}

function refusalOf(
  digest: Uint8Array,
  author: Uint8Array,
  transaction: Uint8Array,
  proof: TransactionProof | undefined,
): ProofRefusal | undefined {
  if (!isTyped(proof)) return 'malformed'
  const refusal = shapeRefusal(proof)
  if (refusal !== undefined) return refusal
  if (!equal(digestOfRoot(proof.batchBytes, author, rootOf(proof)), digest)) return 'digest'
  return holdsFrame(proof, transaction) ? undefined : 'transaction'
}

function isTyped(proof: TransactionProof | undefined): proof is TransactionProof {
  if (typeof proof !== 'object' || proof === null) return false
  const { batchBytes, chunkIndex, frameOffset, chunk, page, path } = proof
  const areHashes = (hashes: unknown): boolean =>
    Array.isArray(hashes) &&
    // A copy without holes: `every` would pass over them.
    Array.from(hashes as unknown[]).every((hash) => isBytes(hash) && hash.length === DIGEST_BYTES)
  return (
    [batchBytes, chunkIndex, frameOffset].every(Number.isInteger) &&
    isBytes(chunk) &&
    areHashes(page) &&
    areHashes(path)
  )
}

/** Sizes, as they follow from the batch's length and the place claimed. */
function shapeRefusal(proof: TransactionProof): ProofRefusal | undefined {
  const { batchBytes, chunkIndex, frameOffset, chunk, page, path } = proof
  if (batchBytes <= BATCH_HEADER_BYTES || batchBytes > BATCH_SIZE_MAX) return 'batch-bytes'
  if (chunkIndex < 0 || chunkIndex >= chunkCount(batchBytes)) return 'place'
  // All frames of a chunk start in the same 4 KiB of the batch.
  if (frameOffset < firstFrame(chunkIndex) || frameOffset >= CHUNK_BYTES) return 'place'
  if (chunk.length === 0 || chunk.length > chunkBytesMax(batchBytes, chunkIndex)) return 'chunk-bytes'
  if (frameOffset + TRANSACTION_PREFIX_BYTES >= chunk.length) return 'place'
  const shape = proofShape(batchBytes, chunkIndex)
  if (page.length !== shape.page) return 'page'
  return path.length === shape.path ? undefined : 'path'
}

/** What the frame at the claimed place has, if there can be one: whether the batch has it is for `checkProof` to say. */
export function claimedTransaction({ chunk, frameOffset }: TransactionProof): Uint8Array | undefined {
  const start = frameOffset + TRANSACTION_PREFIX_BYTES
  if (start >= chunk.length) return undefined
  const end = start + new DataView(chunk.buffer, chunk.byteOffset, chunk.length).getUint32(frameOffset)
  return end === start || end > chunk.length ? undefined : Uint8Array.from(chunk.subarray(start, end))
}

/** Where the first frame of a chunk starts in it. */
function firstFrame(chunkIndex: number): number {
  return chunkIndex === 0 ? BATCH_HEADER_BYTES : 0
}

/** The root that chunk, page and path lead to. */
function rootOf({ chunkIndex, chunk, page, path }: TransactionProof): Uint8Array {
  const place = chunkIndex % PAGE_CHUNKS
  let node = sha256(concat(PAGE_TAG, ...page.slice(0, place), sha256(chunk), ...page.slice(place)))
  let at = Math.floor(chunkIndex / PAGE_CHUNKS)
  for (const neighbour of path) {
    node = sha256(at % 2 === 0 ? concat(node, neighbour) : concat(neighbour, node))
    at = Math.floor(at / 2)
  }
  return node
}

/** Whether the walk from the first frame comes to the claimed one, and that is the transaction's. */
function holdsFrame({ chunk, chunkIndex, frameOffset }: TransactionProof, transaction: Uint8Array): boolean {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)
  let at = firstFrame(chunkIndex)
  while (at < frameOffset) at += TRANSACTION_PREFIX_BYTES + view.getUint32(at)
  if (at !== frameOffset || view.getUint32(at) !== transaction.length) return false
  const start = at + TRANSACTION_PREFIX_BYTES
  return equal(chunk.subarray(start, start + transaction.length), transaction)
}

function digestOfRoot(batchBytes: number, author: Uint8Array, root: Uint8Array): Uint8Array {
  const length = new Uint8Array(8)
  // A u64 whose upper half is zero: a batch is far smaller than 4 GiB.
  new DataView(length.buffer).setUint32(0, batchBytes, true)
  return sha256(concat(DIGEST_DOMAIN, author, length, root))
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
