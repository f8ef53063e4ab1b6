/**
 * The digest of a batch. What the product does has chunks of 16 KiB; cases with other chunks are built here, from the
 * same parts (`leafHash`, `nodeHash`, as-sha256's `hashInto`), and say so: they are why the product does what it does.
 */
import { createHash } from 'node:crypto'
import { hashInto, SHA256 } from '@chainsafe/as-sha256'
import { CHUNK_BYTES, DIGEST_BYTES, PUBLIC_KEY_BYTES } from '../../src/shared/constants.js'
import { checkBatch, chunkCount } from '../../src/shared/wire/batch.js'
import { BatchDigester, digestOfRoot, leafCount, leafHash, nodeHash } from '../../src/shared/wire/digest.js'
import { type Case, measure } from '../lib/measure.js'
import { BATCH_BYTES, type Stage } from '../lib/stage.js'
import { sharedBatch } from '../lib/transactions.js'
import { formatSize } from '../lib/units.js'

const AUTHOR = new Uint8Array(PUBLIC_KEY_BYTES).fill(1)
const PRODUCT_BATCHES = [16_384, 65_536, BATCH_BYTES, 4_000_000]
const OTHER_CHUNKS = [4, 8, 16, 32, 64].map((kib) => kib * 1024)

export const digest: Stage = {
  name: 'digest',
  about: "the digest of a batch: the product's, and with other chunks and hashes",
  run({ timeMs }) {
    const batch = sharedBatch(512, BATCH_BYTES)
    return measure(
      this.name,
      [
        ...PRODUCT_BATCHES.map(productCase),
        ...OTHER_CHUNKS.map((chunkBytes) => treeCase(batch, chunkBytes, 'hashInto')),
        ...OTHER_CHUNKS.map((chunkBytes) => treeCase(batch, chunkBytes, 'nodeHash')),
        {
          name: 'for comparison: one flat hash (node:crypto)',
          op: `batch of ${batch.length} B`,
          bytes: batch.length,
          run: () => createHash('sha256').update(batch).digest(),
        },
        ...leafCases(batch),
        ...nodeCases(),
      ],
      timeMs,
    )
  },
}

function productCase(batchBytes: number): Case {
  const batch = sharedBatch(512, batchBytes)
  const digester = new BatchDigester(batchBytes)
  const frameOffsets = new Uint32Array(chunkCount(batchBytes))
  checkBatch(batch, { workerId: 0, batchBytesMax: batchBytes }, frameOffsets)
  const out = new Uint8Array(DIGEST_BYTES)
  return {
    name: `BatchDigester, batches of ${batchBytes} B`,
    op: 'batch',
    bytes: batch.length,
    run: () => digester.digest(batch, frameOffsets, AUTHOR, out),
  }
}

/** The tree over any size of chunks. The offsets of frames do not matter to its time. */
function treeCase(batch: Uint8Array, chunkBytes: number, inner: 'hashInto' | 'nodeHash'): Case {
  const chunks = Math.ceil(batch.length / chunkBytes)
  const leaves = leafCount(chunks)
  const nodes = new Uint8Array(leaves * DIGEST_BYTES)
  const scratch = new Uint8Array(4)
  const level = inner === 'hashInto' ? hashInto : hashLevel
  return {
    name: `built from parts: chunks of ${formatSize(chunkBytes)}, inner nodes by ${inner}`,
    op: `batch of ${batch.length} B`,
    bytes: batch.length,
    run() {
      for (let chunk = 0; chunk < chunks; chunk += 1) {
        const content = batch.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes)
        nodes.set(leafHash(0, content, scratch), chunk * DIGEST_BYTES)
      }
      nodes.fill(0, chunks * DIGEST_BYTES)
      for (let width = leaves; width > 1; width /= 2) {
        level(nodes.subarray(0, width * DIGEST_BYTES), nodes.subarray(0, (width / 2) * DIGEST_BYTES))
      }
      return digestOfRoot(batch.length, AUTHOR, nodes.subarray(0, DIGEST_BYTES))
    },
  }
}

/** A level of inner nodes by node:crypto, in place, as `hashInto` does it by as-sha256. */
function hashLevel(input: Uint8Array, output: Uint8Array): void {
  for (let at = 0; at < output.length; at += DIGEST_BYTES) {
    const left = input.subarray(2 * at, 2 * at + DIGEST_BYTES)
    output.set(nodeHash(left, input.subarray(2 * at + DIGEST_BYTES, 2 * at + 2 * DIGEST_BYTES)), at)
  }
}

function leafCases(batch: Uint8Array): Case[] {
  const chunk = batch.subarray(0, CHUNK_BYTES)
  const scratch = new Uint8Array(4)
  const leaf = { op: 'leaf of 16 KiB', bytes: CHUNK_BYTES }
  return [
    { ...leaf, name: 'leaf: leafHash (node:crypto)', run: () => leafHash(0, chunk, scratch) },
    {
      ...leaf,
      name: 'leaf: as-sha256, for comparison',
      run: () => new SHA256().init().update(scratch).update(chunk).final(),
    },
  ]
}

/** The inner nodes above 32 leaves: a batch of 500 kB has 31 chunks. */
function nodeCases(): Case[] {
  const level = new Uint8Array(32 * DIGEST_BYTES).fill(3)
  const above = new Uint8Array(16 * DIGEST_BYTES)
  const nodes = { op: 'node of 64 B', ops: 16, bytes: 64 }
  return [
    { ...nodes, name: 'inner nodes: a level of 16 by hashInto (as-sha256)', run: () => hashInto(level, above) },
    { ...nodes, name: 'inner nodes: 16 by nodeHash (node:crypto)', run: () => hashLevel(level, above) },
  ]
}
