import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeBatch, NO_FRAME } from '../../../src/shared/wire/batch.js'
import { BatchDigester, frameOffsetsOf } from '../../../src/shared/wire/digest.js'
import { proveTransaction } from '../../../src/shared/wire/proof.js'
import { decodeProof, encodeProof } from '../../../src/shared/wire/proof-format.js'
import { type TransactionProof, verifyTransaction } from '../../../src/shared/wire/verify.js'

const CHUNK = 16_384
const author = new Uint8Array(32).fill(7)
const digester = new BatchDigester(40 * CHUNK)

function digestOf(bytes: Uint8Array, by = author): Uint8Array {
  const out = new Uint8Array(32)
  digester.digest(bytes, frameOffsetsOf(bytes), by, out)
  return out
}

/** Transactions without repetition, so that no two chunks and no two transactions are alike. */
function filled(index: number, length: number): Uint8Array {
  return new Uint8Array(length).map((_, j) => 7 * index + j + Math.floor(j / 251))
}

function sample(...lengths: number[]): { content: Uint8Array[]; bytes: Uint8Array; digest: Uint8Array } {
  const content = lengths.map((length, index) => filled(index, length))
  const bytes = encodeBatch(content, { workerId: 0, sequence: 1n })
  return { content, bytes, digest: digestOf(bytes) }
}

/** A proof as it may be changed by somebody who means harm. */
type Mutable = { -readonly [K in keyof TransactionProof]: TransactionProof[K] }

function changed(proof: TransactionProof, change: (copy: Mutable) => void): TransactionProof {
  const copy: Mutable = {
    ...proof,
    chunks: proof.chunks.map((chunk) => chunk.slice()),
    frameOffsets: [...proof.frameOffsets],
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

const lengths = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 8, max: 600 }) },
    { weight: 1, arbitrary: fc.integer({ min: 8, max: 4 * CHUNK }) },
  ),
  { minLength: 1, maxLength: 12 },
)

describe('a proof', () => {
  it('of every transaction of a batch is accepted', () => {
    const { content, bytes, digest } = sample(100, 50_000, 20, CHUNK - 100, 3, 3, 16_380, 2 * CHUNK, 1)
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
        expect(verifyTransaction(digest, author, transaction, proof)).toBe(true)
        expect(verifyTransaction(digest, author, flipped(transaction, bit), proof)).toBe(false)
        expect(verifyTransaction(digest, author, transaction.subarray(1), proof)).toBe(false)
        expect(verifyTransaction(digest, author, transaction.subarray(0, -1), proof)).toBe(false)
        expect(verifyTransaction(digest, author, Buffer.concat([transaction, Uint8Array.of(0)]), proof)).toBe(false)
        expect(verifyTransaction(digest, flipped(author, bit), transaction, proof)).toBe(false)
        expect(verifyTransaction(flipped(digest, bit), author, transaction, proof)).toBe(false)
      }),
      { numRuns: 60 },
    )
  })

  it('mutated in any field is refused', () => {
    const number = fc.oneof(
      fc.constantFrom(0, 1, 63, 64, 65, CHUNK - 1, CHUNK, NO_FRAME, -1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER),
      fc.nat(40 * CHUNK),
    )
    const mutation = fc.record({
      field: fc.constantFrom<keyof TransactionProof>(
        'batchBytes',
        'chunkIndex',
        'frameOffset',
        'chunks',
        'frameOffsets',
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
        const { content, bytes, digest } = sample(...sizes)
        const index = which % content.length
        const proof = proveTransaction(bytes, index)
        const mutant = changed(proof, (copy) => {
          if (field === 'batchBytes' || field === 'chunkIndex' || field === 'frameOffset') {
            copy[field] = way === 'add' ? copy[field] + 1 : way === 'drop' ? copy[field] - 1 : value
            return
          }
          const list = copy[field] as unknown[]
          const i = at % Math.max(list.length, 1)
          const item = list[i]
          if (way === 'drop') list.splice(i, 1)
          else if (way === 'add') list.splice(i, 0, item ?? (field === 'frameOffsets' ? value : new Uint8Array(32)))
          else if (way === 'swap') list.reverse()
          else if (field === 'frameOffsets') list[i] = value
          else if (item instanceof Uint8Array) list[i] = way === 'change' ? flipped(item, bit) : item.subarray(1)
        })
        if (isSame(proof, mutant)) return
        mutants += 1
        expect(verifyTransaction(digest, author, content[index]!, mutant)).toBe(false)
      }),
      { numRuns: 500 },
    )
    expect(mutants).toBeGreaterThan(250)
  })

  it('with any bit of any node of its path flipped is refused', () => {
    const { content, bytes, digest } = sample(100, 5 * CHUNK, 30_000, 9)
    const proof = proveTransaction(bytes, 2)
    expect(proof.path.length).toBeGreaterThan(1)
    for (let node = 0; node < proof.path.length; node += 1) {
      for (let bit = 0; bit < 256; bit += 1) {
        const mutant = changed(proof, (copy) => {
          copy.path = copy.path.map((bytes, at) => (at === node ? flipped(bytes, bit) : bytes))
        })
        expect(verifyTransaction(digest, author, content[2]!, mutant)).toBe(false)
      }
    }
  })

  it('holds the chunks that the transaction touches, and no more', () => {
    const { bytes } = sample(CHUNK - 68, CHUNK - 4, CHUNK - 3, 5)
    expect(proveTransaction(bytes, 0).chunks.length).toBe(1)
    expect(proveTransaction(bytes, 1).chunks.length).toBe(1)
    expect(proveTransaction(bytes, 2).chunks.length).toBe(2)
    expect(proveTransaction(bytes, 2).frameOffsets).toEqual([0, 1])
    expect(proveTransaction(bytes, 3).chunks.length).toBe(1)
  })

  it('of a batch of one chunk needs no path', () => {
    const { content, bytes, digest } = sample(10, 20)
    const proof = proveTransaction(bytes, 1)
    expect(proof.path).toEqual([])
    expect(verifyTransaction(digest, author, content[1]!, proof)).toBe(true)
  })

  it('of a frame whose length is cut by a chunk is accepted', () => {
    for (let cut = 1; cut <= 4; cut += 1) {
      const { content, bytes, digest } = sample(CHUNK - 68 - cut, 300)
      const proof = proveTransaction(bytes, 1)
      expect(proof.frameOffset).toBe(CHUNK - cut)
      expect(proof.chunks.length).toBe(2)
      expect(verifyTransaction(digest, author, content[1]!, proof)).toBe(true)
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
    const bytes = encodeBatch([outer], { workerId: 0, sequence: 1n })
    const digest = digestOf(bytes)
    const proof = proveTransaction(bytes, 0)
    expect(verifyTransaction(digest, author, outer, proof)).toBe(true)
    const forged = changed(proof, (copy) => {
      copy.frameOffset = 64 + 4 + 100
    })
    expect(verifyTransaction(digest, author, inner, forged)).toBe(false)
    // Nor if the chunk is said to begin with it: the offset is in the leaf.
    const claimed = changed(forged, (copy) => {
      copy.frameOffsets = [64 + 4 + 100]
    })
    expect(verifyTransaction(digest, author, inner, claimed)).toBe(false)
  })

  it('are not a transaction in a chunk where no frame starts', () => {
    const outer = new Uint8Array(3 * CHUNK)
    // The second chunk of the batch then begins with the frame.
    outer.set(frame, CHUNK - 68)
    const bytes = encodeBatch([outer], { workerId: 0, sequence: 1n })
    const digest = digestOf(bytes)
    const whole = proveTransaction(bytes, 0)
    expect(whole.frameOffsets[1]).toBe(NO_FRAME)
    // The honest path of chunk 1, taken from the proof of a batch whose second frame really starts there.
    const real = encodeBatch([outer.subarray(0, CHUNK - 68), inner, filled(3, 2 * CHUNK + 68 - 58)], {
      workerId: 0,
      sequence: 1n,
    })
    const forged = changed(proveTransaction(real, 1), (copy) => {
      copy.batchBytes = bytes.length
      copy.chunks = [whole.chunks[1]!]
      copy.frameOffsets = [NO_FRAME]
    })
    expect(verifyTransaction(digest, author, inner, forged)).toBe(false)
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
      { ...proof, chunks: undefined },
      { ...proof, chunks: [null, null, null] },
      { ...proof, chunks: proof.chunks.map((chunk) => [...chunk]) },
      { ...proof, frameOffsets: undefined },
      { ...proof, frameOffsets: ['64', NO_FRAME, 4178] },
      { ...proof, frameOffsets: proof.frameOffsets.map(BigInt) },
      { ...proof, path: undefined },
      { ...proof, path: [1, 2] },
      { ...proof, path: new Array(3) },
      { ...proof, batchBytes: 2 ** 40 },
      { ...proof, batchBytes: String(proof.batchBytes) },
      { ...proof, chunkIndex: 2n },
    ]
    for (const [at, shape] of shapes.entries()) {
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
        // Sixteen bytes and the nodes beside the chunks: nothing that the verifier knows.
        const chunkBytes = proof.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
        expect(encoded.length).toBe(16 + 4 * proof.chunks.length + 32 * proof.path.length + chunkBytes)
      }),
      { numRuns: 40 },
    )
  })

  it('with any bit flipped, cut or continued proves nothing, and is never thrown at', () => {
    const { content, bytes, digest } = sample(100, 20_000, 300)
    const encoded = encodeProof(proveTransaction(bytes, 2))
    expect(verifyTransaction(digest, author, content[2]!, encoded)).toBe(true)
    fc.assert(
      fc.property(fc.nat(8 * encoded.length - 1), (bit) => {
        expect(verifyTransaction(digest, author, content[2]!, flipped(encoded, bit))).toBe(false)
      }),
      { numRuns: 200 },
    )
    for (let bit = 0; bit < 8 * 64; bit += 1) {
      expect(verifyTransaction(digest, author, content[2]!, flipped(encoded, bit)), `bit ${bit}`).toBe(false)
    }
    for (let length = 0; length < encoded.length; length += 97) {
      expect(verifyTransaction(digest, author, content[2]!, encoded.subarray(0, length))).toBe(false)
    }
    expect(verifyTransaction(digest, author, content[2]!, Buffer.concat([encoded, Uint8Array.of(0)]))).toBe(false)
  })

  it.each([
    [new Uint8Array(0), '0 bytes'],
    [new Uint8Array(16), 'version 0'],
    [Uint8Array.of(1, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255), 'at most 8388608'],
    [Uint8Array.of(1, 70, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0), 'the batch has 1'],
    [Uint8Array.of(1, 70, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 'the batch has 1'],
    [Uint8Array.of(1, 70, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0), 'expected 90'],
  ])('that says what cannot be is refused with ERR_CODEC', (bytes, about) => {
    expect(() => decodeProof(bytes)).toThrow(
      expect.objectContaining({ code: 'ERR_CODEC', message: expect.stringContaining(about) }),
    )
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
      chunk_count: number
      frame_offsets: number[]
      path: string[]
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
      const from = recorded.chunk_index * CHUNK
      const proof: TransactionProof = {
        batchBytes: bytes.length,
        chunkIndex: recorded.chunk_index,
        frameOffset: recorded.frame_offset,
        chunks: Array.from({ length: recorded.chunk_count }, (_, i) =>
          bytes.slice(from + i * CHUNK, from + (i + 1) * CHUNK),
        ),
        frameOffsets: recorded.frame_offsets,
        path: recorded.path.map((node) => Uint8Array.from(Buffer.from(node, 'hex'))),
      }
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
      proof.chunks.map((chunk) => Buffer.from(chunk).toString('base64')),
      proof.frameOffsets.map(String),
      proof.path.map((node) => Buffer.from(node).toString('base64')),
    ])
  return text(a) === text(b)
}
