import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BATCH_SIZE_MAX } from '../../../src/shared/constants.js'
import { encodeBatch } from '../../../src/shared/wire/batch.js'
import { BatchDigester, chunkStartsOf, sha256 } from '../../../src/shared/wire/digest.js'
import { proveTransaction } from '../../../src/shared/wire/proof.js'
import { decodeProof, encodeProof } from '../../../src/shared/wire/proof-format.js'
import {
  checkProof,
  type ProofRefusal,
  type TransactionProof,
  verifyTransaction,
} from '../../../src/shared/wire/verify.js'

const CHUNK = 4096
const PAGE = 16
const author = new Uint8Array(32).fill(7)
const digester = new BatchDigester(BATCH_SIZE_MAX)

function digestOf(bytes: Uint8Array, by = author): Uint8Array {
  const out = new Uint8Array(32)
  digester.digest(bytes, chunkStartsOf(bytes), by, out)
  return out
}

/** Transactions without repetition, so that no two chunks and no two transactions are alike. */
function filled(index: number, length: number): Uint8Array {
  return new Uint8Array(length).map((_, j) => 7 * index + j + Math.floor(j / 251))
}

interface Sample {
  content: Uint8Array[]
  bytes: Uint8Array
  digest: Uint8Array
}

function sample(...lengths: number[]): Sample {
  return sampleOf(lengths.map((length, index) => filled(index, length)))
}

function sampleOf(content: Uint8Array[]): Sample {
  const bytes = encodeBatch(content, { workerId: 0, sequence: 1n })
  return { content, bytes, digest: digestOf(bytes) }
}

/** Small transactions over five pages, each with its number in front. */
function manyPages(): Sample {
  return sampleOf(
    Array.from({ length: 600 }, (_, index) => {
      const transaction = filled(index, 500)
      new DataView(transaction.buffer).setUint32(0, index)
      return transaction
    }),
  )
}

/** Why a proof is refused, in either form; undefined if it is not. */
function refusal({ digest, content }: Sample, index: number, proof: TransactionProof): ProofRefusal | undefined {
  const check = checkProof(digest, author, content[index]!, proof)
  expect(verifyTransaction(digest, author, content[index]!, proof)).toBe(check.ok)
  return check.ok ? undefined : check.reason
}

/** A proof as it may be changed by somebody who means harm. */
type Mutable = { -readonly [K in keyof TransactionProof]: TransactionProof[K] }

function changed(proof: TransactionProof, change: (copy: Mutable) => void): TransactionProof {
  const copy: Mutable = {
    ...proof,
    chunk: proof.chunk.slice(),
    page: proof.page.map((hash) => hash.slice()),
    path: proof.path.map((node) => node.slice()),
  }
  change(copy)
  return copy
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice()
  const at = Math.floor(bit / 8) % copy.length
  copy[at] = copy[at]! ^ (1 << (bit & 7))
  return copy
}

const lengths = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 8, max: 600 }) },
      { weight: 2, arbitrary: fc.integer({ min: 8, max: 4 * CHUNK }) },
      { weight: 1, arbitrary: fc.integer({ min: 8, max: 40 * CHUNK }) },
    ),
    { minLength: 1, maxLength: 40 },
  )
  .chain((few) =>
    // Some batches have hundreds of small transactions more, over several pages.
    fc.integer({ min: 0, max: 3 }).map((more) => [...few, ...new Array<number>(more === 3 ? 400 : 0).fill(520)]),
  )

describe('a proof', () => {
  it('of every transaction of a batch is accepted', () => {
    const { content, bytes, digest } = sample(100, 50_000, 20, CHUNK - 100, 3, 3, 4_080, 2 * CHUNK, 18 * CHUNK, 1, 9)
    for (const [index, transaction] of content.entries()) {
      expect(verifyTransaction(digest, author, transaction, proveTransaction(bytes, index)), `${index}`).toBe(true)
    }
  })

  it('of any transaction of any batch is accepted, and of another transaction, author or digest refused', () => {
    fc.assert(
      fc.property(lengths, fc.nat(), fc.nat(), (sizes, which, bit) => {
        const { content, bytes, digest } = sample(...sizes)
        const index = which % content.length
        const transaction = content[index]!
        const proof = proveTransaction(bytes, index)
        const why = (of: Uint8Array, by: Uint8Array, what: Uint8Array): unknown => checkProof(of, by, what, proof)
        expect(why(digest, author, transaction)).toEqual({ ok: true })
        for (const other of [
          flipped(transaction, bit),
          transaction.subarray(1),
          transaction.subarray(0, -1),
          Buffer.concat([transaction, Uint8Array.of(0)]),
        ]) {
          expect(why(digest, author, other)).toEqual({ ok: false, reason: 'transaction' })
        }
        expect(why(digest, flipped(author, bit), transaction)).toEqual({ ok: false, reason: 'digest' })
        expect(why(flipped(digest, bit), author, transaction)).toEqual({ ok: false, reason: 'digest' })
      }),
      { numRuns: 60 },
    )
  })

  it('mutated in any field is refused', () => {
    const number = fc.oneof(
      fc.constantFrom(0, 1, 63, 64, 65, CHUNK - 1, CHUNK, 2 ** 32 - 1, -1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER),
      fc.nat(40 * CHUNK),
    )
    const mutation = fc.record({
      field: fc.constantFrom<keyof TransactionProof>(
        'batchBytes',
        'chunkIndex',
        'frameOffset',
        'chunk',
        'page',
        'path',
      ),
      way: fc.constantFrom('change', 'drop', 'add', 'swap', 'shorten'),
      at: fc.nat(),
      bit: fc.nat(CHUNK * 8 - 1),
      value: number,
    })
    let mutants = 0
    fc.assert(
      fc.property(lengths, fc.nat(), mutation, (sizes, which, { field, way, at, bit, value }) => {
        const made = sample(...sizes)
        const index = which % made.content.length
        const proof = proveTransaction(made.bytes, index)
        const mutant = changed(proof, (copy) => {
          if (field === 'batchBytes' || field === 'chunkIndex' || field === 'frameOffset') {
            copy[field] = way === 'add' ? copy[field] + 1 : way === 'drop' ? copy[field] - 1 : value
          } else if (field === 'chunk') {
            const { chunk } = copy
            if (way === 'drop') copy.chunk = chunk.subarray(0, -1)
            else if (way === 'add') copy.chunk = Buffer.concat([chunk, Uint8Array.of(value & 255)])
            else if (way === 'swap') copy.chunk = chunk.slice().reverse()
            else copy.chunk = way === 'change' ? flipped(chunk, bit) : chunk.subarray(1)
          } else {
            const list = copy[field] as Uint8Array[]
            const i = at % Math.max(list.length, 1)
            const item = list[i]
            if (way === 'drop') list.splice(i, 1)
            else if (way === 'add') list.splice(i, 0, item ?? new Uint8Array(32))
            else if (way === 'swap') list.reverse()
            else if (item !== undefined) list[i] = way === 'change' ? flipped(item, bit) : item.subarray(1)
          }
        })
        if (isSame(proof, mutant)) return
        mutants += 1
        expect(refusal(made, index, mutant)).toBeDefined()
      }),
      { numRuns: 500 },
    )
    expect(mutants).toBeGreaterThan(250)
  })

  it('with any bit of any hash of its page or path flipped is refused', () => {
    const made = manyPages()
    const proof = proveTransaction(made.bytes, 300)
    expect([proof.page.length, proof.path.length]).toEqual([15, 3])
    for (const field of ['page', 'path'] as const) {
      for (let node = 0; node < proof[field].length; node += 1) {
        for (let bit = 0; bit < 256; bit += 7) {
          const mutant = changed(proof, (copy) => {
            copy[field] = copy[field].map((bytes, at) => (at === node ? flipped(bytes, bit) : bytes))
          })
          expect(refusal(made, 300, mutant)).toBe('digest')
        }
      }
    }
  })

  it('holds one chunk, however the transaction lies', () => {
    const { bytes } = sample(CHUNK - 68, CHUNK - 4, CHUNK - 3, 5, 3 * CHUNK, 7)
    const chunks = [0, 1, 2, 3, 4, 5].map((index) => proveTransaction(bytes, index))
    expect(chunks.map(({ chunkIndex }) => chunkIndex)).toEqual([0, 1, 2, 3, 4, 6])
    expect(chunks.map(({ frameOffset }) => frameOffset)).toEqual([64, 0, 0, 0, 0, 0])
    expect(chunks.map(({ chunk }) => chunk.length)).toEqual([CHUNK, CHUNK, CHUNK + 1, 9, 4 + 3 * CHUNK, 11])
  })

  it('of a small transaction takes less than 5 kB in a batch of 500 kB, and no more than 5.2 kB in the largest', () => {
    const of = (length: number, bytes: number): Uint8Array =>
      encodeBatch(
        Array.from({ length: Math.floor((bytes - 64) / (length + 4)) }, () => filled(1, length)),
        { workerId: 0, sequence: 1n },
      )
    for (const length of [6, 512]) {
      for (const [bytes, most] of [
        [500_000, 5_000],
        [BATCH_SIZE_MAX, 5_200],
      ] as const) {
        const batch = of(length, bytes)
        const count = Math.floor((bytes - 64) / (length + 4))
        for (const index of [0, Math.floor(count / 2), count - 1]) {
          expect(encodeProof(proveTransaction(batch, index)).length).toBeLessThan(most)
        }
      }
    }
  })

  it('of a short transaction takes less than 9 kB, whatever is beside it, and of a long one little more than itself', () => {
    const long = fc.integer({ min: 3_000, max: 9_000 })
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 600 }), long, fc.constantFrom(8_100, 100_000)), {
      minLength: 2,
      maxLength: 60,
    })
    fc.assert(
      fc.property(sizes, (sizes) => {
        const { bytes, content } = sample(...sizes)
        for (const [index, { length }] of content.entries()) {
          const beside = 13 + 32 * (15 + 7)
          const most = Math.max(2 * CHUNK - 1, length + 4)
          expect(encodeProof(proveTransaction(bytes, index)).length).toBeLessThanOrEqual(beside + most)
        }
      }),
      { numRuns: 20 },
    )
  })

  it('of a batch of one chunk has neither page nor path', () => {
    const { content, bytes, digest } = sample(10, 20)
    const proof = proveTransaction(bytes, 1)
    expect([proof.page, proof.path]).toEqual([[], []])
    expect(verifyTransaction(digest, author, content[1]!, proof)).toBe(true)
  })

  it('of a frame that starts in the last bytes of a stretch is accepted, and so are its neighbours', () => {
    for (let cut = 1; cut <= 4; cut += 1) {
      const made = sample(CHUNK - 68 - cut, 300, 5)
      const proofs = [0, 1, 2].map((index) => proveTransaction(made.bytes, index))
      expect(proofs.map(({ chunkIndex, frameOffset }) => [chunkIndex, frameOffset])).toEqual([
        [0, 64],
        [0, CHUNK - cut],
        [1, 0],
      ])
      for (const [index, proof] of proofs.entries()) expect(refusal(made, index, proof)).toBeUndefined()
      // Without the third, the second goes on through the last stretch, and is its chunk.
      const last = sample(CHUNK - 68 - cut, 300)
      const alone = proveTransaction(last.bytes, 1)
      expect([alone.chunkIndex, alone.frameOffset, alone.chunk.length]).toEqual([1, 0, 304])
      expect(refusal(last, 1, alone)).toBeUndefined()
    }
  })

  it('is a copy: what becomes of the batch does not touch it', () => {
    const { content, bytes, digest } = sample(10, 20)
    const proof = proveTransaction(bytes, 0)
    bytes.fill(0)
    expect(verifyTransaction(digest, author, content[0]!, proof)).toBe(true)
  })

  it('cannot be made for what the batch does not have', () => {
    const { bytes } = sample(10, 20)
    for (const index of [2, 100, -1, 0.5, Number.NaN]) {
      expect(() => proveTransaction(bytes, index)).toThrow(
        expect.objectContaining({ code: 'ERR_TRANSACTION_NOT_FOUND', message: expect.stringContaining('0 to 1') }),
      )
    }
  })
})

describe('bytes inside a transaction that look like a frame', () => {
  const inner = filled(9, 50)
  const frame = Buffer.concat([Uint8Array.of(0, 0, 0, 50), inner])

  it('are not a transaction', () => {
    const outer = Buffer.concat([filled(1, 100), frame, filled(2, 100)])
    const { bytes, digest } = sampleOf([outer])
    const proof = proveTransaction(bytes, 0)
    const forged = changed(proof, (copy) => {
      copy.frameOffset = 64 + 4 + 100
    })
    expect(checkProof(digest, author, inner, forged)).toEqual({ ok: false, reason: 'transaction' })
  })

  it('are not a transaction in a chunk of their own: a batch that is cut there has another digest', () => {
    const outer = new Uint8Array(3 * CHUNK)
    // The second stretch of the batch then begins with the frame.
    outer.set(frame, CHUNK - 68)
    const { bytes, digest } = sampleOf([outer, filled(3, 10)])
    const lastAt = bytes.length - 14
    // The honest proof for what the batch would be if a frame did start there.
    const forged: TransactionProof = {
      batchBytes: bytes.length,
      chunkIndex: 1,
      frameOffset: 0,
      chunk: bytes.subarray(CHUNK, lastAt),
      page: [sha256(bytes.subarray(0, CHUNK)), new Uint8Array(32), sha256(bytes.subarray(lastAt))],
      path: [],
    }
    expect(checkProof(digest, author, inner, forged)).toEqual({ ok: false, reason: 'digest' })
    // It is accepted under the digest of somebody who cuts the batch so: nothing else is wrong with it.
    const lying = chunkStartsOf(bytes)
    lying[1] = CHUNK
    const lie = new Uint8Array(32)
    digester.digest(bytes, lying, author, lie)
    expect(checkProof(lie, author, inner, forged)).toEqual({ ok: true })
  })
})

describe('an attacker who picks what is hashed', () => {
  const zeros = new Uint8Array(32)

  it('cannot pass a page off as a chunk, nor a node, nor a root', () => {
    const made = manyPages()
    const proof = proveTransaction(made.bytes, 300)
    const own = sha256(proof.chunk)
    const at = proof.chunkIndex % PAGE
    const page = Buffer.concat([new Uint8Array(4), ...proof.page.slice(0, at), own, ...proof.page.slice(at)])
    let node: Uint8Array = sha256(page)
    let place = Math.floor(proof.chunkIndex / PAGE)
    const levels: Uint8Array[] = [page]
    for (const neighbour of proof.path) {
      levels.push(Buffer.concat(place % 2 === 0 ? [node, neighbour] : [neighbour, node]))
      node = sha256(levels.at(-1)!)
      place = Math.floor(place / 2)
    }
    for (const preimage of levels) {
      // As the only chunk of a batch, as a chunk of any page, with and without the rest of the path.
      for (const chunkIndex of [0, 1, 16, proof.chunkIndex]) {
        for (const batchBytes of [preimage.length, made.bytes.length]) {
          for (const [sides, path] of [
            [proof.page, proof.path],
            [[], proof.path],
            [[], []],
            [proof.page, proof.path.slice(1)],
          ] as const) {
            const forged = { batchBytes, chunkIndex, frameOffset: 64, chunk: preimage, page: sides, path }
            // Not for want of the transaction in it, which an attacker would see to.
            const reason = refusal(made, 300, forged)
            expect(reason).toBeDefined()
            expect(reason).not.toBe('transaction')
          }
        }
      }
    }
  })

  it('cannot have the last page or chunk stand twice, nor what fills a level up', () => {
    const made = manyPages()
    const chunks = Math.ceil(made.bytes.length / CHUNK)
    const last = proveTransaction(made.bytes, 599)
    expect(last.chunkIndex).toBe(chunks - 1)
    expect(refusal(made, 599, last)).toBeUndefined()
    for (let chunkIndex = chunks; chunkIndex < 8 * PAGE; chunkIndex += 1) {
      expect(
        refusal(
          made,
          599,
          changed(last, (copy) => Object.assign(copy, { chunkIndex })),
        ),
      ).toBe('place')
    }
    // Nor with a longer batch claimed, which has these places.
    for (const batchBytes of [made.bytes.length + CHUNK, 8 * PAGE * CHUNK]) {
      for (const chunkIndex of [chunks, 5 * PAGE, 8 * PAGE - 1]) {
        const sides = { page: new Array(15).fill(zeros), path: last.path }
        const forged = changed(last, (copy) => Object.assign(copy, { batchBytes, chunkIndex, ...sides }))
        expect(['digest', 'page', 'place']).toContain(refusal(made, 599, forged))
      }
    }
    // The last chunk in the place before it, whose chunk is then the last.
    const swapped = changed(last, (copy) => {
      copy.chunkIndex -= 1
    })
    expect(refusal(made, 599, swapped)).toBe('digest')
  })

  it('cannot fill an empty chunk, nor an empty page', () => {
    const made = sample(100, 40 * CHUNK, 9)
    const long = proveTransaction(made.bytes, 1)
    expect(long.chunkIndex).toBe(1)
    expect(long.page.filter((hash) => hash.every((byte) => byte === 0))).toHaveLength(14)
    for (const chunkIndex of [2, 15, 16, 31, 39]) {
      for (const chunk of [new Uint8Array(0), filled(3, 30), long.chunk]) {
        const forged = changed(long, (copy) => Object.assign(copy, { chunkIndex, chunk, frameOffset: 0 }))
        expect(refusal(made, 1, forged)).toBeDefined()
      }
    }
    expect(
      refusal(
        made,
        1,
        changed(long, (copy) => Object.assign(copy, { chunk: new Uint8Array(0) })),
      ),
    ).toBe('chunk-bytes')
  })

  it.each<[string, ProofRefusal, (copy: Mutable, made: Sample) => void]>([
    [
      'an offset between two frames',
      'transaction',
      (copy) => Object.assign(copy, { frameOffset: copy.frameOffset + 1 }),
    ],
    [
      'the offset of the frame before',
      'transaction',
      (copy) => Object.assign(copy, { frameOffset: copy.frameOffset - 504 }),
    ],
    ['an offset in the next 4 KiB', 'place', (copy) => Object.assign(copy, { frameOffset: CHUNK })],
    ['a negative offset', 'place', (copy) => Object.assign(copy, { frameOffset: -504 })],
    ['an offset in the batch’s header', 'place', (copy) => Object.assign(copy, { chunkIndex: 0, frameOffset: 63 })],
    ['a chunk that is cut off', 'digest', (copy) => Object.assign(copy, { chunk: copy.chunk.subarray(0, -1) })],
    [
      'a chunk that is cut off in the frame’s length',
      'place',
      (copy) => Object.assign(copy, { chunk: copy.chunk.subarray(0, copy.frameOffset + 4) }),
    ],
    [
      'a chunk and its neighbour',
      'digest',
      (copy, made) => Object.assign(copy, { chunk: made.bytes.slice(150_000, 159_000) }),
    ],
    ['a chunk as long as the batch', 'chunk-bytes', (copy, made) => Object.assign(copy, { chunk: made.bytes })],
    ['a chunk beyond the last', 'place', (copy) => Object.assign(copy, { chunkIndex: 74 })],
    ['the next chunk’s place', 'digest', (copy) => Object.assign(copy, { chunkIndex: copy.chunkIndex + 1 })],
    ['the next page’s place', 'digest', (copy) => Object.assign(copy, { chunkIndex: copy.chunkIndex + PAGE })],
    ['a longer batch of as many chunks', 'digest', (copy) => Object.assign(copy, { batchBytes: copy.batchBytes + 1 })],
    ['a batch of more levels', 'path', (copy) => Object.assign(copy, { batchBytes: 9 * PAGE * CHUNK })],
    ['a batch of fewer levels', 'path', (copy) => Object.assign(copy, { batchBytes: 4 * PAGE * CHUNK })],
    ['no batch', 'batch-bytes', (copy) => Object.assign(copy, { batchBytes: 64 })],
    ['a batch that is too large', 'batch-bytes', (copy) => Object.assign(copy, { batchBytes: BATCH_SIZE_MAX + 1 })],
    ['a hash of the page too few', 'page', (copy) => Object.assign(copy, { page: copy.page.slice(1) })],
    ['a hash of the page too many', 'page', (copy) => Object.assign(copy, { page: [...copy.page, zeros] })],
    ['the page in another order', 'digest', (copy) => Object.assign(copy, { page: [...copy.page].reverse() })],
    ['a level too few', 'path', (copy) => Object.assign(copy, { path: copy.path.slice(1) })],
    ['a level too many', 'path', (copy) => Object.assign(copy, { path: [...copy.path, zeros] })],
    [
      'a hash that is too short',
      'malformed',
      (copy) => Object.assign(copy, { path: copy.path.map((node) => node.subarray(1)) }),
    ],
  ])('is refused with a reason: %s', (_, reason, change) => {
    const made = manyPages()
    const proof = proveTransaction(made.bytes, 300)
    expect(proof.frameOffset).toBeGreaterThan(504)
    expect(refusal(made, 300, proof)).toBeUndefined()
    expect(
      refusal(
        made,
        300,
        changed(proof, (copy) => change(copy, made)),
      ),
    ).toBe(reason)
  })

  it('may say which of two equal chunks of a page it is, and both are true', () => {
    // Frames of 4096 bytes: chunks 1 to 5 are all the same.
    const { bytes, content, digest } = sampleOf([
      filled(0, CHUNK - 68),
      ...new Array<Uint8Array>(5).fill(filled(1, CHUNK - 4)),
    ])
    const proof = proveTransaction(bytes, 2)
    const other = proveTransaction(bytes, 4)
    expect([proof.chunkIndex, other.chunkIndex]).toEqual([2, 4])
    const moved = changed(proof, (copy) => Object.assign(copy, { chunkIndex: 4 }))
    expect(isSame(moved, other)).toBe(true)
    expect(verifyTransaction(digest, author, content[4]!, moved)).toBe(true)
  })
})

describe('a proof of any shape from anybody', () => {
  it('is refused and never thrown at', () => {
    const { content, bytes, digest } = sample(10, 2 * CHUNK)
    const proof = proveTransaction(bytes, 1)
    const shapes: unknown[] = [
      null,
      undefined,
      7,
      'proof',
      {},
      [],
      { ...proof, chunk: undefined },
      { ...proof, chunk: null },
      { ...proof, chunk: [...proof.chunk] },
      { ...proof, chunk: new Uint16Array(proof.chunk) },
      { ...proof, page: undefined },
      { ...proof, page: [1, 2] },
      { ...proof, page: new Array(2) },
      { ...proof, page: proof.page[0] },
      { ...proof, frameOffset: '78' },
      { ...proof, frameOffset: 78n },
      { ...proof, path: undefined },
      { ...proof, path: [1, 2] },
      { ...proof, path: new Array(3) },
      { ...proof, path: new Array(proof.path.length + 1) },
      { ...proof, batchBytes: 2 ** 40 },
      { ...proof, batchBytes: String(proof.batchBytes) },
      { ...proof, chunkIndex: 2n },
    ]
    for (const [at, shape] of shapes.entries()) {
      const check = checkProof(digest, author, content[1]!, shape as TransactionProof)
      // A number that no batch has is of the right type.
      expect(['malformed', 'batch-bytes'], `shape ${at}`).toContain(check.ok ? 'accepted' : check.reason)
      expect(verifyTransaction(digest, author, content[1]!, shape as TransactionProof), `shape ${at}`).toBe(false)
    }
  })

  it('is refused for a transaction of no bytes', () => {
    const { bytes, digest } = sample(10)
    expect(verifyTransaction(digest, author, new Uint8Array(), proveTransaction(bytes, 0))).toBe(false)
  })
})

describe('the arguments', () => {
  const { content, bytes, digest } = sample(10)
  const proof = proveTransaction(bytes, 0)
  const wrong = [
    undefined,
    null,
    'hello',
    7,
    2n,
    [1, 2],
    { length: 32 },
    new Uint16Array(32),
    new DataView(bytes.buffer),
  ]
  const throwsNaming = (type: typeof TypeError | typeof RangeError, name: string, call: () => unknown): void => {
    expect(call).toThrow(type)
    expect(call).toThrow(new RegExp(`^${name}: `))
  }

  it('of another type are refused by name', () => {
    for (const value of wrong as never[]) {
      throwsNaming(TypeError, 'digest', () => verifyTransaction(value, author, content[0]!, proof))
      throwsNaming(TypeError, 'author', () => verifyTransaction(digest, value, content[0]!, proof))
      throwsNaming(TypeError, 'transaction', () => verifyTransaction(digest, author, value, proof))
      throwsNaming(TypeError, 'bytes', () => proveTransaction(value, 0))
      throwsNaming(TypeError, 'bytes', () => decodeProof(value))
    }
    for (const index of [undefined, null, '0', 0n, {}] as never[]) {
      throwsNaming(TypeError, 'index', () => proveTransaction(bytes, index))
    }
    for (const value of [undefined, null, 7, 'proof', [], {}, { ...proof, path: undefined }] as never[]) {
      expect(() => encodeProof(value)).toThrow(TypeError)
      expect(() => encodeProof(value)).toThrow(/^proof/)
    }
  })

  it('of another length are refused by name', () => {
    throwsNaming(RangeError, 'digest', () => verifyTransaction(digest.subarray(1), author, content[0]!, proof))
    throwsNaming(RangeError, 'author', () => verifyTransaction(digest, author.subarray(1), content[0]!, proof))
    throwsNaming(RangeError, 'bytes', () => proveTransaction(new Uint8Array(64), 0))
  })
})

describe('the binary form of a proof', () => {
  it('of any transaction of any batch is read back as it was, and is verified as it is', () => {
    fc.assert(
      fc.property(lengths, fc.nat(), (sizes, which) => {
        const { content, bytes, digest } = sample(...sizes)
        const index = which % content.length
        const proof = proveTransaction(bytes, index)
        const encoded = encodeProof(proof)
        expect(isSame(decodeProof(encoded), proof)).toBe(true)
        expect(verifyTransaction(digest, author, content[index]!, encoded)).toBe(true)
        // 13 bytes and the hashes beside the chunk: nothing that the verifier knows.
        expect(encoded.length).toBe(13 + 32 * (proof.page.length + proof.path.length) + proof.chunk.length)
      }),
      { numRuns: 40 },
    )
  })

  it('with any byte changed, cut off or continued proves nothing, and is never thrown at', () => {
    const { content, bytes, digest } = manyPages()
    const encoded = encodeProof(proveTransaction(bytes, 300))
    expect(verifyTransaction(digest, author, content[300]!, encoded)).toBe(true)
    // Every byte: by one bit, another at each, and by all bits.
    const mutant = encoded.slice()
    for (let at = 0; at < encoded.length; at += 1) {
      for (const mask of [1 << (at & 7), 255]) {
        mutant[at] = encoded[at]! ^ mask
        expect(verifyTransaction(digest, author, content[300]!, mutant), `byte ${at} by ${mask}`).toBe(false)
      }
      mutant[at] = encoded[at]!
    }
    for (let bit = 0; bit < 8 * 13; bit += 1) {
      expect(verifyTransaction(digest, author, content[300]!, flipped(encoded, bit)), `bit ${bit}`).toBe(false)
    }
    for (let length = 0; length < encoded.length; length += length < 20 ? 1 : 31) {
      expect(verifyTransaction(digest, author, content[300]!, encoded.subarray(0, length))).toBe(false)
    }
    expect(verifyTransaction(digest, author, content[300]!, Buffer.concat([encoded, Uint8Array.of(0)]))).toBe(false)
  })

  it('mutated in one byte proves nothing, for any transaction of any batch', () => {
    fc.assert(
      fc.property(
        lengths,
        fc.nat(),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 5 }),
        (sizes, which, changes) => {
          const { content, bytes, digest } = sample(...sizes)
          const index = which % content.length
          const encoded = encodeProof(proveTransaction(bytes, index))
          for (const [at, mask] of changes) {
            const mutant = encoded.slice()
            mutant[at % mutant.length]! ^= mask
            expect(verifyTransaction(digest, author, content[index]!, mutant)).toBe(false)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it.each([
    [[], '0 bytes'],
    [[0, 70, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0], 'version 0'],
    [[1, 70, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0], 'version 1, expected 2'],
    [[2, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0], 'expected 65 to 8388608'],
    [[2, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 'expected 65 to 8388608'],
    [[2, 70, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], 'chunk 1, the batch has 1'],
    [[2, 70, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0], 'chunk 4294967295'],
    [[2, 70, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0], '13 bytes, expected 14 to 83'],
    [[2, 70, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, ...new Array<number>(71).fill(0)], '84 bytes, expected 14 to 83'],
    [[2, 0, 0, 1, 0, 15, 0, 0, 0, 0, 0, 0, 0, ...new Array<number>(480).fill(0)], '493 bytes, expected 494 to 8685'],
  ])('that says what cannot be is refused with ERR_CODEC: case %#', (bytes, about) => {
    expect(() => decodeProof(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ code: 'ERR_CODEC', message: expect.stringContaining(about) }),
    )
  })

  it('is not made of what is no proof', () => {
    const proof = proveTransaction(manyPages().bytes, 300)
    for (const [field, value] of [
      ['batchBytes', 64],
      ['batchBytes', BATCH_SIZE_MAX + 1],
      ['chunkIndex', 74],
      ['frameOffset', 2 ** 32],
      ['page', proof.page.slice(1)],
      ['page', [...proof.page, new Uint8Array(32)]],
      ['path', proof.path.slice(1)],
      ['path', [...proof.path.slice(1), new Uint8Array(31)]],
    ] as const) {
      expect(() => encodeProof({ ...proof, [field]: value })).toThrow(RangeError)
      expect(() => encodeProof({ ...proof, [field]: value })).toThrow(new RegExp(`^proof\\.${field}`))
    }
  })

  it('of a Buffer holds copies, as of any bytes', () => {
    const { content, bytes, digest } = sample(100, 50_000, 300)
    const encoded = Buffer.from(encodeProof(proveTransaction(bytes, 2)))
    const proof = decodeProof(encoded)
    encoded.fill(0)
    expect(verifyTransaction(digest, author, content[2]!, proof)).toBe(true)
  })
})

describe('narval-node/verify', () => {
  it('verifies without anything of Node: no built-in module, no Buffer, no process', async () => {
    const { content, bytes, digest } = sample(100, 20_000, 300)
    const given = [digest, author, content[2]!, encodeProof(proveTransaction(bytes, 2))].map((each) => [...each])
    const hook = `export async function resolve(specifier, context, next) {
      const resolved = await next(specifier, context)
      if (resolved.url.startsWith('node:')) throw new Error(resolved.url + ' is imported by ' + context.parentURL)
      return resolved
    }`
    const program = `
      import { register } from 'node:module'
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}))
      const say = console.log
      delete globalThis.Buffer
      delete globalThis.process
      const { verifyTransaction } = await import(${JSON.stringify(new URL('../../../dist/verify.js', import.meta.url).href)})
      const given = ${JSON.stringify(given)}.map((each) => Uint8Array.from(each))
      const right = verifyTransaction(...given)
      given[2][0] ^= 1
      say(right, verifyTransaction(...given))
      // The hook does what it says.
      await import('node:fs').then(() => say('node:fs'), () => say('refused'))`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    expect(stdout).toBe('true false\nrefused\n')
  })
})

describe('the recorded vectors', () => {
  interface Vector {
    name: string
    worker_id: number
    sequence: string
    transaction_lengths: number[]
    author: string
    digest: string
    proofs: {
      index: number
      chunk_index: number
      frame_offset: number
      chunk_start: number
      chunk_bytes: number
      page: string[]
      path: string[]
      encoded_sha256: string
    }[]
  }
  const vectors = JSON.parse(readFileSync(new URL('../../vectors/batch.json', import.meta.url), 'utf8')) as {
    batches: Vector[]
  }

  it.each(vectors.batches)('$name: the proofs', (vector) => {
    const content = vector.transaction_lengths.map((length, index) => filled(index, length))
    const bytes = encodeBatch(content, { workerId: vector.worker_id, sequence: BigInt(vector.sequence) })
    expect(vector.proofs.length).toBeGreaterThan(0)
    for (const recorded of vector.proofs) {
      const proof: TransactionProof = {
        batchBytes: bytes.length,
        chunkIndex: recorded.chunk_index,
        frameOffset: recorded.frame_offset,
        chunk: bytes.slice(recorded.chunk_start, recorded.chunk_start + recorded.chunk_bytes),
        page: recorded.page.map((hash) => Uint8Array.from(Buffer.from(hash, 'hex'))),
        path: recorded.path.map((node) => Uint8Array.from(Buffer.from(node, 'hex'))),
      }
      expect(Buffer.from(sha256(encodeProof(proof))).toString('hex')).toBe(recorded.encoded_sha256)
      expect(isSame(proveTransaction(bytes, recorded.index), proof)).toBe(true)
      const by = Buffer.from(vector.author, 'hex')
      expect(verifyTransaction(Buffer.from(vector.digest, 'hex'), by, content[recorded.index]!, proof)).toBe(true)
    }
  })
})

function isSame(a: TransactionProof, b: TransactionProof): boolean {
  const text = (proof: TransactionProof): string =>
    JSON.stringify([
      [proof.batchBytes, proof.chunkIndex, proof.frameOffset].map(String),
      Buffer.from(proof.chunk).toString('base64'),
      proof.page.map((hash) => Buffer.from(hash).toString('base64')),
      proof.path.map((node) => Buffer.from(node).toString('base64')),
    ])
  return text(a) === text(b)
}
