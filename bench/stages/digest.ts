/**
 * The digest of a batch. Cases that are not the product's are built here, from the same parts, and say so: they are why
 * the product does what it does.
 */
import { createHash, hash } from 'node:crypto'
import { hashInto, SHA256 } from '@chainsafe/as-sha256'
import { CHUNK_BYTES, DIGEST_BYTES, PAGE_CHUNKS, PUBLIC_KEY_BYTES } from '../../src/shared/constants.js'
import { checkBatch, chunkCount } from '../../src/shared/wire/batch.js'
import { BatchDigester, digestOfRoot } from '../../src/shared/wire/digest.js'
import { pageNodes } from '../../src/shared/wire/digest-shape.js'
import { type Case, measure } from '../lib/measure.js'
import { BATCH_BYTES, type Stage } from '../lib/stage.js'
import { sharedBatch } from '../lib/transactions.js'
import { formatSize } from '../lib/units.js'

const AUTHOR = new Uint8Array(PUBLIC_KEY_BYTES).fill(1)
const PRODUCT_BATCHES = [16_384, 65_536, BATCH_BYTES, 4_000_000]
const CHUNKS = [1, 2, 4, 8, 16].map((kib) => kib * 1024)
const PAGES = [4, 8, 16, 32]

export const digest: Stage = {
  name: 'digest',
  about: "the digest of a batch: the product's, and with other chunks, pages and hashes",
  run({ timeMs }) {
    const batch = sharedBatch(512, BATCH_BYTES)
    return measure(
      this.name,
      [
        ...PRODUCT_BATCHES.map(productCase),
        ...CHUNKS.map((chunkBytes) => pagedCase(batch, chunkBytes, PAGE_CHUNKS, asString)),
        ...PAGES.map((pageChunks) => pagedCase(batch, CHUNK_BYTES, pageChunks, asString)),
        pagedCase(batch, CHUNK_BYTES, PAGE_CHUNKS, asBuffer),
        pagedCase(batch, CHUNK_BYTES, PAGE_CHUNKS, byObject),
        ...[CHUNK_BYTES, 16 * 1024].map((chunkBytes) => treeCase(batch, chunkBytes)),
        {
          name: 'for comparison: one flat hash (node:crypto)',
          op: `batch of ${batch.length} B`,
          bytes: batch.length,
          run: () => createHash('sha256').update(batch).digest(),
        },
        ...chunkCases(batch),
        ...nodeCases(),
      ],
      timeMs,
    )
  },
}

function productCase(batchBytes: number): Case {
  const batch = sharedBatch(512, batchBytes)
  const digester = new BatchDigester(batchBytes)
  const chunkStarts = new Uint32Array(chunkCount(batchBytes))
  checkBatch(batch, { workerId: 0, batchBytesMax: batchBytes }, chunkStarts)
  const out = new Uint8Array(DIGEST_BYTES)
  return {
    name: `BatchDigester, batches of ${batchBytes} B`,
    op: 'batch',
    bytes: batch.length,
    run: () => digester.digest(batch, chunkStarts, AUTHOR, out),
  }
}

/** One way to hash bytes into a place of a buffer. */
type HashTo = (target: Buffer, at: number, bytes: Uint8Array) => void

/** What the product does. */
const asString: HashTo = (target, at, bytes) => {
  const characters = hash('sha256', bytes, 'binary')
  for (let index = 0; index < DIGEST_BYTES; index += 1) target[at + index] = characters.charCodeAt(index)
}
const asBuffer: HashTo = (target, at, bytes) => target.set(hash('sha256', bytes, 'buffer'), at)
const byObject: HashTo = (target, at, bytes) => target.set(createHash('sha256').update(bytes).digest(), at)

/** Chunks and pages of any size. Where exactly a batch is cut does not matter to the time. */
function pagedCase(batch: Uint8Array, chunkBytes: number, pageChunks: number, hashTo: HashTo): Case {
  const chunks = Math.ceil(batch.length / chunkBytes)
  const pages = Math.ceil(chunks / pageChunks)
  const hashes = Buffer.alloc(chunks * DIGEST_BYTES)
  const nodes = Buffer.alloc(pageNodes(pages) * DIGEST_BYTES)
  const pageBytes = pageChunks * DIGEST_BYTES
  return {
    name: `built from parts: chunks of ${formatSize(chunkBytes)}, pages of ${pageChunks}, ${hashTo.name}`,
    op: `batch of ${batch.length} B`,
    bytes: batch.length,
    run() {
      for (let chunk = 0; chunk < chunks; chunk += 1) {
        hashTo(hashes, chunk * DIGEST_BYTES, batch.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes))
      }
      for (let page = 0; page < pages; page += 1) {
        hashTo(nodes, page * DIGEST_BYTES, hashes.subarray(page * pageBytes, (page + 1) * pageBytes))
      }
      return digestOfRoot(batch.length, AUTHOR, rootOf(nodes, pages))
    },
  }
}

/** No pages: a tree over the chunks, each hashed with 4 bytes in front, as in version 1 of the batch with 16 KiB. */
function treeCase(batch: Uint8Array, chunkBytes: number): Case {
  const chunks = Math.ceil(batch.length / chunkBytes)
  const nodes = Buffer.alloc(pageNodes(chunks) * DIGEST_BYTES)
  const prefix = new Uint8Array(4)
  return {
    name: `built from parts: chunks of ${formatSize(chunkBytes)} with a prefix, and no pages`,
    op: `batch of ${batch.length} B`,
    bytes: batch.length,
    run() {
      for (let chunk = 0; chunk < chunks; chunk += 1) {
        const content = batch.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes)
        nodes.set(createHash('sha256').update(prefix).update(content).digest(), chunk * DIGEST_BYTES)
      }
      return digestOfRoot(batch.length, AUTHOR, rootOf(nodes, chunks))
    },
  }
}

/** The tree above a level of `count` nodes, in place. */
function rootOf(nodes: Buffer, count: number): Uint8Array {
  nodes.fill(0, count * DIGEST_BYTES)
  for (let width = pageNodes(count); width > 1; width /= 2) {
    hashInto(nodes.subarray(0, width * DIGEST_BYTES), nodes.subarray(0, (width / 2) * DIGEST_BYTES))
  }
  return nodes.subarray(0, DIGEST_BYTES)
}

function chunkCases(batch: Uint8Array): Case[] {
  const chunk = batch.subarray(0, CHUNK_BYTES)
  const target = Buffer.alloc(DIGEST_BYTES)
  const of = { op: `chunk of ${formatSize(CHUNK_BYTES)}`, bytes: CHUNK_BYTES }
  return [
    ...[asString, asBuffer, byObject].map((hashTo) => ({
      ...of,
      name: `chunk: node:crypto, ${hashTo.name}`,
      run: () => hashTo(target, 0, chunk),
    })),
    { ...of, name: 'chunk: as-sha256, for comparison', run: () => new SHA256().init().update(chunk).final() },
  ]
}

/** A page by one hash, and what a tree over its chunks would be. */
function nodeCases(): Case[] {
  const hashes = Buffer.alloc(PAGE_CHUNKS * DIGEST_BYTES, 3)
  const above = Buffer.alloc(hashes.length)
  const page = { op: `page of ${PAGE_CHUNKS} chunks`, bytes: hashes.length }
  return [
    { ...page, name: 'page: one hash (node:crypto)', run: () => asString(above, 0, hashes) },
    {
      ...page,
      name: 'page: a tree in its place, by hashInto (as-sha256)',
      run() {
        above.set(hashes)
        return rootOf(above, PAGE_CHUNKS)
      },
    },
  ]
}
