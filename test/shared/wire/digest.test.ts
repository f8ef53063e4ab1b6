import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BATCH_SIZE_MAX } from '../../../src/shared/constants.js'
import { checkBatch, chunkCount, encodeBatch } from '../../../src/shared/wire/batch.js'
import { BatchDigester, chunkStartsOf, digestOfRoot } from '../../../src/shared/wire/digest.js'
import { chunksOfPage, EMPTY_CHUNK, pageCount, pageNodes, proofShape } from '../../../src/shared/wire/digest-shape.js'

const CHUNK = 4096
const PAGE = 16
const author = new Uint8Array(32).map((_, i) => i + 1)
const digester = new BatchDigester(BATCH_SIZE_MAX)

/** The digest as the checked data path takes it. */
function digestOf(bytes: Uint8Array, by = author, using = digester): string {
  const offsets = new Uint32Array(chunkCount(bytes.length))
  const workerId = Buffer.from(bytes).readUInt32LE(8)
  expect(checkBatch(bytes, { batchBytesMax: bytes.length, workerId }, offsets).ok).toBe(true)
  const out = new Uint8Array(32)
  using.digest(bytes, offsets, by, out)
  return Buffer.from(out).toString('hex')
}

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()

/** The definition, word by word and slowly, with nothing of the product in it. */
function slowDigest(bytes: Uint8Array, by: Uint8Array): string {
  const all = Buffer.from(bytes)
  const starts: number[] = []
  for (let at = 64; at < all.length; at += 4 + all.readUInt32BE(at)) starts.push(at)
  const stretches: number[][] = Array.from({ length: Math.ceil(all.length / CHUNK) }, () => [])
  for (const start of starts) stretches[Math.floor(start / CHUNK)]!.push(start)
  const chunks = stretches.map((frames) => [...frames])
  for (const [k, frames] of stretches.entries()) {
    if (frames.length > 0 && stretches[k + 1]?.length === 0) chunks[k + 1] = [chunks[k]!.pop()!]
  }
  const hashes = chunks.map((frames, k) => {
    const content = frames.map((start) => all.subarray(start, start + 4 + all.readUInt32BE(start)))
    if (k === 0) content.unshift(all.subarray(0, 64))
    return content.length === 0 ? Buffer.alloc(32) : sha256(...content)
  })
  let level: Buffer[] = []
  while (hashes.length > 0) level.push(sha256(Buffer.alloc(4), ...hashes.splice(0, PAGE)))
  while (!Number.isInteger(Math.log2(level.length))) level.push(Buffer.alloc(32))
  while (level.length > 1) {
    const above: Buffer[] = []
    for (let i = 0; i < level.length; i += 2) above.push(sha256(level[i]!, level[i + 1]!))
    level = above
  }
  const domain = Buffer.alloc(32)
  domain.write('narval/batch/v2')
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(all.length))
  return sha256(domain, by, length, level[0]!).toString('hex')
}

/** Transactions without repetition, so that no two chunks are alike. */
function filled(index: number, length: number): Uint8Array {
  return new Uint8Array(length).map((_, j) => 7 * index + j + Math.floor(j / 251))
}

function batchOf(...lengths: number[]): Uint8Array {
  return encodeBatch(
    lengths.map((length, index) => filled(index, length)),
    { workerId: 0, sequence: 5n },
  )
}

describe('the digest', () => {
  it('is the slow one at every size around the boundaries of stretches', () => {
    for (const chunks of [1, 2, 3, 15, 16, 17, 32, 33, 48]) {
      for (const delta of [-5, -4, -1, 0, 1, 4, 5]) {
        const bytes = batchOf(chunks * CHUNK + delta - 68)
        expect(bytes.length).toBe(chunks * CHUNK + delta)
        expect(digestOf(bytes), `${chunks} chunks ${delta}`).toBe(slowDigest(bytes, author))
      }
    }
  })

  it('is the slow one for any number of pages of small transactions, full ones and a last one', () => {
    for (const pages of [1, 2, 3, 4, 5, 7, 8, 9]) {
      for (const more of [0, 1, 9, 500]) {
        const bytes = batchOf(...new Array<number>(pages * 127).fill(508), ...new Array<number>(more).fill(1))
        expect(digestOf(bytes), `${pages} pages ${more}`).toBe(slowDigest(bytes, author))
      }
    }
  })

  it('is the slow one where frames begin on, before and behind a boundary', () => {
    for (let delta = -5; delta <= 5; delta += 1) {
      for (const long of [CHUNK, 2 * CHUNK, 3 * CHUNK, 18 * CHUNK]) {
        const bytes = batchOf(CHUNK - 68 + delta, 10, long, 1, long + delta, 1, 1)
        expect(digestOf(bytes), `${delta} ${long}`).toBe(slowDigest(bytes, author))
      }
    }
  })

  it('is the slow one for any batch', () => {
    const lengths = fc.array(
      fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 1, max: 600 }) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 * CHUNK }) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 * CHUNK }) },
      ),
      { minLength: 1, maxLength: 30 },
    )
    fc.assert(
      fc.property(lengths, fc.uint8Array({ minLength: 32, maxLength: 32 }), (sizes, by) => {
        const bytes = batchOf(...sizes)
        expect(digestOf(bytes, by)).toBe(slowDigest(bytes, by))
      }),
      { numRuns: 40 },
    )
  })

  it('is the slow one for the largest batch there is, of large and of small transactions', () => {
    const large = batchOf(...new Array<number>(8).fill(BATCH_SIZE_MAX / 8 - 12))
    expect(large.length).toBe(BATCH_SIZE_MAX)
    expect(digestOf(large)).toBe(slowDigest(large, author))
    const one = batchOf(BATCH_SIZE_MAX - 68)
    expect(digestOf(one)).toBe(slowDigest(one, author))
    const small = batchOf(...new Array<number>(8191).fill(1020), 956)
    expect(small.length).toBe(BATCH_SIZE_MAX)
    expect(digestOf(small)).toBe(slowDigest(small, author))
  })

  it('is the same over a SharedArrayBuffer, at any offset', () => {
    const bytes = batchOf(100, 3 * CHUNK, 7)
    for (const offset of [0, 1, 3, 64]) {
      const view = new Uint8Array(new SharedArrayBuffer(bytes.length + offset), offset)
      view.set(bytes)
      expect(digestOf(view)).toBe(slowDigest(bytes, author))
    }
  })

  it('does not remember the batch before', () => {
    const reused = new BatchDigester(90 * CHUNK)
    for (const size of [75 * CHUNK, 5 * CHUNK, 40 * CHUNK, 100, 3 * CHUNK, 19 * CHUNK, 1]) {
      const bytes = batchOf(size, ...new Array<number>(size % 7).fill(CHUNK), 5)
      expect(digestOf(bytes, author, reused)).toBe(slowDigest(bytes, author))
    }
  })

  it('differs with every bit of the author', () => {
    const bytes = batchOf(10)
    const seen = new Set([digestOf(bytes)])
    for (let bit = 0; bit < 256; bit += 1) {
      const other = author.slice()
      other[bit >> 3]! ^= 1 << (bit & 7)
      seen.add(digestOf(bytes, other))
    }
    expect(seen.size).toBe(257)
  })

  it('differs with every byte of the batch', () => {
    const bytes = batchOf(3, 4)
    const offsets = chunkStartsOf(bytes)
    const out = new Uint8Array(32)
    const seen = new Set([digestOf(bytes)])
    for (let at = 0; at < bytes.length; at += 1) {
      const mutant = bytes.slice()
      mutant[at]! ^= 1
      digester.digest(mutant, offsets, author, out)
      seen.add(Buffer.from(out).toString('hex'))
    }
    expect(seen.size).toBe(bytes.length + 1)
  })

  it('differs when the same bytes are cut otherwise', () => {
    const bytes = batchOf(100, 3 * CHUNK, 7, 5000, 5000, 8, 9000)
    const right = chunkStartsOf(bytes)
    const out = new Uint8Array(32)
    const honest = digestOf(bytes)
    // Chunk 0 begins where the batch does.
    for (let chunk = 1; chunk < right.length; chunk += 1) {
      for (const start of [chunk * CHUNK, chunk * CHUNK + 1, right[chunk]! - 1, right[chunk]! + 1, EMPTY_CHUNK]) {
        if (start === right[chunk] || (start !== EMPTY_CHUNK && start >= bytes.length)) continue
        const wrong = right.slice()
        wrong[chunk] = start
        digester.digest(bytes, wrong, author, out)
        expect(Buffer.from(out).toString('hex'), `chunk ${chunk} at ${start}`).not.toBe(honest)
      }
    }
  })

  it('differs with the length of the batch alone', () => {
    const root = sha256(batchOf(1))
    const digests = [69, 70, 69 + CHUNK].map((bytes) => Buffer.from(digestOfRoot(bytes, author, root)).toString('hex'))
    expect(new Set(digests).size).toBe(3)
  })

  it('refuses as our own bug what does not fit', () => {
    const small = new BatchDigester(1000)
    const offsets = new Uint32Array(100)
    const out = new Uint8Array(32)
    expect(() => small.digest(batchOf(1000), offsets, author, out)).toThrow(/within the limit/)
    expect(() => digester.digest(batchOf(CHUNK), new Uint32Array(1), author, out)).toThrow(/chunkStarts/)
    expect(() => digester.digest(batchOf(1), offsets, author.subarray(1), out)).toThrow(/author/)
    expect(() => digester.digest(batchOf(1), offsets, author, new Uint8Array(33))).toThrow(/room/)
  })

  it('is the same in a worker thread, where as-sha256 is instantiated anew', async () => {
    const bytes = batchOf(100, 5 * CHUNK, ...new Array<number>(200).fill(1000))
    const code = `
      const { parentPort, workerData: { module, bytes, author } } = require('node:worker_threads')
      import(module).then(({ BatchDigester, chunkStartsOf }) => {
        const out = new Uint8Array(32)
        new BatchDigester(bytes.length).digest(bytes, chunkStartsOf(bytes), author, out)
        parentPort.postMessage(out)
      })`
    const module = new URL('../../../dist/shared/wire/digest.js', import.meta.url).href
    const worker = new Worker(code, { eval: true, workerData: { module, bytes, author } })
    const out = await new Promise<Uint8Array>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    expect(Buffer.from(out).toString('hex')).toBe(slowDigest(bytes, author))
  })
})

describe('the shape', () => {
  it('has a power of two of nodes on the level of pages, the least that is enough', () => {
    expect([1, 2, 3, 4, 5, 8, 9, 127, 128].map(pageNodes)).toEqual([1, 2, 4, 4, 8, 8, 16, 128, 128])
    expect(() => pageNodes(0)).toThrow(/at least one page/)
  })

  it('has full pages, and on the last what remains', () => {
    expect([1, 15, 16, 17, 32, 33, 2048].map(pageCount)).toEqual([1, 1, 1, 2, 2, 3, 128])
    expect([0, 1, 2].map((page) => chunksOfPage(33, page))).toEqual([16, 16, 1])
  })

  it('of a proof is that of the place in it', () => {
    expect(proofShape(69, 0)).toEqual({ page: 0, path: 0 })
    expect(proofShape(16 * CHUNK, 15)).toEqual({ page: 15, path: 0 })
    expect(proofShape(16 * CHUNK + 1, 15)).toEqual({ page: 15, path: 1 })
    expect(proofShape(16 * CHUNK + 1, 16)).toEqual({ page: 0, path: 1 })
    expect(proofShape(BATCH_SIZE_MAX, 2047)).toEqual({ page: 15, path: 7 })
  })

  it('of a batch of one page is that page alone', () => {
    const bytes = batchOf(50)
    const root = sha256(Buffer.alloc(4), sha256(bytes))
    expect(Buffer.from(digestOfRoot(bytes.length, author, root)).toString('hex')).toBe(digestOf(bytes))
  })
})

describe('chunkStartsOf', () => {
  it('is what the decoder fills in', () => {
    for (const lengths of [
      [1],
      [CHUNK - 69, 5, 6],
      [3 * CHUNK, 5],
      [512, 512, 90_000, 512],
      [10, 8100, 7],
      [6, 5000, 5000, 5000],
    ]) {
      const bytes = batchOf(...lengths)
      const offsets = new Uint32Array(chunkCount(bytes.length))
      checkBatch(bytes, { batchBytesMax: bytes.length, workerId: 0 }, offsets)
      expect(chunkStartsOf(bytes)).toEqual(offsets)
    }
  })

  it('throws a typed error at bytes that never passed the decoder', () => {
    const bytes = batchOf(5)
    bytes[67] = 200
    expect(() => chunkStartsOf(bytes)).toThrow(expect.objectContaining({ code: 'ERR_BATCH_MALFORMED' }))
  })
})

describe('the recorded vectors', () => {
  interface Vector {
    name: string
    worker_id: number
    sequence: string
    transaction_lengths: number[]
    author: string
    batch_bytes: number
    batch?: string
    batch_sha256: string
    chunk_starts: (number | null)[]
    digest: string
  }
  const vectors = JSON.parse(readFileSync(new URL('../../vectors/batch.json', import.meta.url), 'utf8')) as {
    batches: Vector[]
  }

  it.each(vectors.batches)('$name: encoding, offsets and digest', (vector) => {
    const bytes = encodeBatch(
      vector.transaction_lengths.map((length, index) => filled(index, length)),
      { workerId: vector.worker_id, sequence: BigInt(vector.sequence) },
    )
    expect(bytes.length).toBe(vector.batch_bytes)
    if (vector.batch !== undefined) expect(Buffer.from(bytes).toString('hex')).toBe(vector.batch)
    expect(sha256(bytes).toString('hex')).toBe(vector.batch_sha256)
    const starts = Array.from(chunkStartsOf(bytes), (start) => (start === EMPTY_CHUNK ? null : start))
    expect(starts).toEqual(vector.chunk_starts)
    expect(digestOf(bytes, Buffer.from(vector.author, 'hex'))).toBe(vector.digest)
  })

  it('are there', () => {
    expect(vectors.batches.length).toBe(13)
  })
})
