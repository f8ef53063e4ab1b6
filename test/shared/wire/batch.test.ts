import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BATCH_HEADER_BYTES, CHUNK_BYTES } from '../../../src/shared/constants.js'
import {
  type BatchRefusal,
  checkBatch,
  checkBatchHeader,
  chunkCount,
  encodeBatch,
  readBatchHeader,
  transactionBytesMax,
  transactions,
  writeBatchHeader,
} from '../../../src/shared/wire/batch.js'
import { EMPTY_CHUNK } from '../../../src/shared/wire/digest-shape.js'

const limits = { batchBytesMax: 500_000, workerId: 3 }
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const transaction = fc.uint8Array({ minLength: 1, maxLength: 200 })
/** Mostly short transactions, and now and then one that spans chunks. */
const batchContent = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: transaction },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 * CHUNK_BYTES }).map((n) => new Uint8Array(n).fill(n)) },
  ),
  { minLength: 1, maxLength: 40 },
)

function sample(...lengths: number[]): Uint8Array {
  const content = lengths.map((length, index) => new Uint8Array(length).fill(index + 1))
  return encodeBatch(content, { workerId: limits.workerId, sequence: 7n })
}

/** The batch with the bytes at an offset replaced. */
function changed(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice()
  copy.set(values, at)
  return copy
}

function refusalOf(bytes: Uint8Array, of = limits): BatchRefusal | undefined {
  const check = checkBatch(bytes, of)
  return check.ok ? undefined : check.reason
}

describe('encoding', () => {
  it('puts every field where the drawing says', () => {
    const bytes = encodeBatch([Uint8Array.of(0xaa), Uint8Array.of(0xbb, 0xcc)], {
      workerId: 0x04030201,
      sequence: 0x1817161514131211n,
    })
    expect(Buffer.from(bytes).toString('hex')).toBe(
      [
        '4e525642 0200 0000 01020304 02000000 0b00000000000000 1112131415161718 0000000000000000',
        '00'.repeat(24),
        '00000001 aa 00000002 bbcc',
      ]
        .join('')
        .replaceAll(' ', ''),
    )
  })

  it('writes over all that was in the header before', () => {
    const bytes = new Uint8Array(BATCH_HEADER_BYTES + 5).fill(0xee)
    writeBatchHeader(bytes, { workerId: 3, count: 1, bodyBytes: 5, sequence: 7n })
    bytes.set([0, 0, 0, 1, 1], BATCH_HEADER_BYTES)
    expect(bytes).toEqual(sample(1))
  })

  it('refuses no transactions and an empty transaction with a code', () => {
    expect(() => encodeBatch([], { workerId: 0, sequence: 0n })).toThrow(
      expect.objectContaining({ code: 'ERR_BATCH_MALFORMED' }),
    )
    expect(() => encodeBatch([Uint8Array.of(1), new Uint8Array()], { workerId: 0, sequence: 0n })).toThrow(
      expect.objectContaining({ code: 'ERR_TRANSACTION_EMPTY', message: expect.stringContaining('transaction 1') }),
    )
  })
})

describe('round trips', () => {
  it('any batch decodes to the transactions and fields that it was made of', () => {
    fc.assert(
      fc.property(batchContent, fc.nat(0xffffffff), u64, (content, workerId, sequence) => {
        const bytes = encodeBatch(content, { workerId, sequence })
        const transactionBytes = content.reduce((sum, { length }) => sum + length, 0)
        expect(checkBatch(bytes, { batchBytesMax: bytes.length, workerId })).toEqual({
          ok: true,
          count: content.length,
          transactionBytes,
          sequence,
        })
        expect(readBatchHeader(bytes)).toEqual({
          workerId,
          count: content.length,
          bodyBytes: bytes.length - BATCH_HEADER_BYTES,
          sequence,
        })
        const decoded = [...transactions(bytes)]
        expect(decoded.length).toBe(content.length)
        expect(decoded.every((view, index) => Buffer.compare(view, content[index]!) === 0)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  it('a batch in the middle of a SharedArrayBuffer decodes as it does anywhere', () => {
    fc.assert(
      fc.property(batchContent, fc.nat(70), (content, offset) => {
        const bytes = encodeBatch(content, { workerId: 3, sequence: 9n })
        const shared = new Uint8Array(new SharedArrayBuffer(offset + bytes.length + 50)).fill(0xff)
        shared.set(bytes, offset)
        const view = shared.subarray(offset, offset + bytes.length)
        const wide = { ...limits, batchBytesMax: bytes.length }
        const starts = new Uint32Array(chunkCount(bytes.length))
        const sharedStarts = new Uint32Array(chunkCount(bytes.length))
        expect(checkBatch(view, wide, sharedStarts)).toEqual(checkBatch(bytes, wide, starts))
        expect(sharedStarts).toEqual(starts)
        const decoded = [...transactions(view)]
        expect(decoded.length).toBe(content.length)
        expect(decoded.every((tx, index) => Buffer.compare(tx, content[index]!) === 0)).toBe(true)
      }),
      { numRuns: 20 },
    )
  })

  it('a batch that is accepted is the one encoding of what is in it', () => {
    // Whatever bytes are accepted, encoding what they decode to gives the very same bytes.
    const body = fc.oneof(transaction, fc.uint8Array({ maxLength: 30 }))
    let accepted = 0
    fc.assert(
      fc.property(batchContent, fc.nat(200), fc.nat(255), body, (content, at, value, tail) => {
        const bytes = encodeBatch(content, { workerId: 3, sequence: 1n })
        const mutant = Buffer.concat([changed(bytes, at % bytes.length, value), tail])
        const check = checkBatch(mutant, limits)
        if (!check.ok) return
        accepted += 1
        const again = encodeBatch([...transactions(mutant)], { workerId: 3, sequence: check.sequence })
        expect(Buffer.compare(again, mutant)).toBe(0)
      }),
      { numRuns: 300, examples: [[[Uint8Array.of(1)], 24, 9, new Uint8Array()]] },
    )
    expect(accepted).toBeGreaterThan(0)
  })
})

describe('the header', () => {
  const bytes = sample(5, 6)
  const cases: [string, number, BatchRefusal][] = [
    ['magic', 0, 'magic'],
    ['magic', 3, 'magic'],
    ['version', 4, 'version'],
    ['version', 5, 'version'],
    ['flags', 6, 'flags'],
    ['flags', 7, 'flags'],
    ['worker id', 8, 'worker-id'],
    ['worker id', 11, 'worker-id'],
    ['count', 12, 'count'],
    ['count', 15, 'count'],
    ['body length', 16, 'length'],
    ['body length', 17, 'length'],
    ['body length', 19, 'too-long'],
    ['body length', 23, 'too-long'],
    ['epoch', 32, 'epoch'],
    ['epoch', 39, 'epoch'],
  ]
  it.each(cases)('with another %s (byte %i) is refused as %s', (_, at, reason) => {
    for (const bit of [1, 0x80]) expect(refusalOf(changed(bytes, at, bytes[at]! ^ bit))).toBe(reason)
  })

  it('with any reserved byte other than zero is refused', () => {
    for (let at = 40; at < 64; at += 1) expect(refusalOf(changed(bytes, at, 1))).toBe('reserved')
  })

  it('with any single bit flipped is refused, except in the sequence', () => {
    for (let bit = 0; bit < 64 * 8; bit += 1) {
      const at = bit >> 3
      const mutant = changed(bytes, at, bytes[at]! ^ (1 << (bit & 7)))
      expect(refusalOf(mutant) === undefined, `bit ${bit}`).toBe(at >= 24 && at < 32)
    }
  })

  it('alone is judged before the body has come', () => {
    expect(checkBatchHeader(bytes.subarray(0, 64), limits)).toBeUndefined()
    expect(checkBatchHeader(bytes.subarray(0, 63), limits)).toBe('too-short')
    expect(checkBatchHeader(bytes.subarray(0, 64), { ...limits, batchBytesMax: bytes.length })).toBeUndefined()
    expect(checkBatchHeader(bytes.subarray(0, 64), { ...limits, batchBytesMax: bytes.length - 1 })).toBe('too-long')
    expect(checkBatchHeader(bytes.subarray(0, 64), { ...limits, workerId: 0 })).toBe('worker-id')
    const huge = changed(bytes, 16, 255, 255, 255, 255, 255, 255, 255, 255)
    expect(checkBatchHeader(huge, limits)).toBe('too-long')
  })
})

describe('the body', () => {
  it('cut anywhere is refused', () => {
    const bytes = sample(5, 1, 9)
    for (let length = 0; length < bytes.length; length += 1) {
      const reason = length < 64 ? 'too-short' : 'length'
      expect(refusalOf(bytes.subarray(0, length)), `${length} bytes`).toBe(reason)
    }
  })

  it('with trailing bytes is refused', () => {
    const bytes = sample(5)
    for (const extra of [1, 4, 100]) {
      expect(refusalOf(Buffer.concat([bytes, new Uint8Array(extra)]))).toBe('length')
    }
  })

  it('with trailing bytes that the header owns up to is refused all the same', () => {
    const bytes = sample(5)
    const claimed = (extra: number): number => bytes.length - 64 + extra
    for (const [extra, reason] of [
      [1, 'transaction-overruns'],
      [3, 'transaction-overruns'],
      [4, 'empty-transaction'],
    ] as const) {
      expect(refusalOf(Buffer.concat([changed(bytes, 16, claimed(extra)), new Uint8Array(extra)]))).toBe(reason)
    }
  })

  it('with a transaction more or less than the header counts is refused', () => {
    const bytes = sample(5, 5, 5)
    expect(refusalOf(changed(bytes, 12, 2))).toBe('count')
    expect(refusalOf(changed(bytes, 12, 4))).toBe('count')
    expect(refusalOf(changed(bytes, 12, 0))).toBe('empty-batch')
  })

  it('with nothing in it is refused', () => {
    const bytes = new Uint8Array(64)
    writeBatchHeader(bytes, { workerId: 3, count: 0, bodyBytes: 0, sequence: 1n })
    expect(refusalOf(bytes)).toBe('empty-batch')
    writeBatchHeader(bytes, { workerId: 3, count: 1, bodyBytes: 0, sequence: 1n })
    expect(refusalOf(bytes)).toBe('empty-batch')
  })

  it('with an empty transaction is refused, wherever it stands', () => {
    for (const lengths of [[], [5], [5, 6]]) {
      const before = lengths.length === 0 ? new Uint8Array() : sample(...lengths).subarray(64)
      const body = Buffer.concat([before, new Uint8Array(4), sample(3).subarray(64)])
      const bytes = Buffer.concat([new Uint8Array(64), body])
      writeBatchHeader(bytes, { workerId: 3, count: lengths.length + 2, bodyBytes: body.length, sequence: 1n })
      expect(refusalOf(bytes)).toBe('empty-transaction')
    }
  })

  it('with a transaction longer than what is left is refused', () => {
    const bytes = sample(5, 6)
    // The length of the second transaction is at 64 + 9.
    expect(refusalOf(changed(bytes, 73, 0, 0, 0, 7))).toBe('transaction-overruns')
    expect(refusalOf(changed(bytes, 73, 0x7f, 0xff, 0xff, 0xff))).toBe('transaction-overruns')
    expect(refusalOf(changed(bytes, 73, 0xff, 0xff, 0xff, 0xff))).toBe('transaction-overruns')
    // Shorter: what follows is then no frame.
    expect(refusalOf(changed(bytes, 73, 0, 0, 0, 3))).toBe('transaction-overruns')
  })

  it('shows through the reading generator too, as a typed error', () => {
    const bytes = sample(5, 6)
    for (const mutant of [changed(bytes, 73, 0, 0, 0, 7), changed(bytes, 73, 0, 0, 0, 0), bytes.subarray(0, 75)]) {
      expect(() => [...transactions(mutant)]).toThrow(expect.objectContaining({ code: 'ERR_BATCH_MALFORMED' }))
    }
  })
})

describe('limits', () => {
  it('a batch of exactly the limit is accepted, one byte more is refused', () => {
    const bytes = sample(1000)
    expect(refusalOf(bytes, { ...limits, batchBytesMax: bytes.length })).toBeUndefined()
    expect(refusalOf(bytes, { ...limits, batchBytesMax: bytes.length - 1 })).toBe('too-long')
  })

  it('the largest transaction fills a batch alone', () => {
    expect(transactionBytesMax(500_000)).toBe(499_932)
    expect(refusalOf(sample(transactionBytesMax(2000)), { ...limits, batchBytesMax: 2000 })).toBeUndefined()
    expect(refusalOf(sample(transactionBytesMax(2000) + 1), { ...limits, batchBytesMax: 2000 })).toBe('too-long')
  })

  it('a table of chunk starts with too few entries is our own bug', () => {
    expect(() => checkBatch(sample(CHUNK_BYTES), limits, new Uint32Array(1))).toThrow(/chunkStarts/)
  })
})

describe('chunk starts', () => {
  function startsOf(...lengths: number[]): number[] {
    const bytes = sample(...lengths)
    // Beyond what the batch needs nothing is written.
    const starts = new Uint32Array(chunkCount(bytes.length) + 1).fill(12345)
    expect(checkBatch(bytes, { ...limits, batchBytesMax: bytes.length }, starts).ok).toBe(true)
    expect(starts.at(-1)).toBe(12345)
    return [...starts.subarray(0, -1)]
  }

  it('have the header in the first chunk, even alone', () => {
    expect(startsOf(1)).toEqual([0])
    expect(startsOf(100, 100)).toEqual([0])
    expect(startsOf(CHUNK_BYTES)).toEqual([0, 64])
  })

  it('are those of the first frames of the stretches', () => {
    expect(startsOf(CHUNK_BYTES - 68)).toEqual([0])
    expect(startsOf(CHUNK_BYTES - 68, 1, 1)).toEqual([0, CHUNK_BYTES])
    expect(startsOf(CHUNK_BYTES - 67, 8)).toEqual([0, CHUNK_BYTES + 1])
    // The second frame begins 1 byte before the stretch's end: its length is cut.
    expect(startsOf(CHUNK_BYTES - 69, 5, 6)).toEqual([0, CHUNK_BYTES + 8])
  })

  it('are that of the last frame before, where it goes on through a stretch; and none where it still goes on', () => {
    expect(startsOf(CHUNK_BYTES - 67)).toEqual([0, 64])
    expect(startsOf(10, CHUNK_BYTES - 78)).toEqual([0, 78])
    expect(startsOf(10, 3 * CHUNK_BYTES, 5)).toEqual([0, 78, EMPTY_CHUNK, 3 * CHUNK_BYTES + 82])
    // To the end of a stretch exactly: the next frame starts with the next.
    expect(startsOf(10, 2 * CHUNK_BYTES - 82, 5)).toEqual([0, 78, 2 * CHUNK_BYTES])
    // A little less, and the stretch has a frame of its own.
    expect(startsOf(10, 2 * CHUNK_BYTES - 92, 5)).toEqual([0, 2 * CHUNK_BYTES - 10])
    // Which is the chunk of the next, if it goes on through that; its own is empty then.
    expect(startsOf(10, 2 * CHUNK_BYTES - 92, 6)).toEqual([0, 2 * CHUNK_BYTES - 10])
    expect(startsOf(10, 2 * CHUNK_BYTES - 92, 7)).toEqual([0, EMPTY_CHUNK, 2 * CHUNK_BYTES - 10])
  })

  it('are those that a search over all frames finds', () => {
    fc.assert(
      fc.property(batchContent, (content) => {
        const bytes = encodeBatch(content, { workerId: 3, sequence: 1n })
        const found = new Uint32Array(chunkCount(bytes.length))
        expect(checkBatch(bytes, { ...limits, batchBytesMax: bytes.length }, found).ok).toBe(true)
        const stretches = Array.from(found, (): number[] => [])
        content.reduce((at, { length }) => {
          stretches[Math.floor(at / CHUNK_BYTES)]!.push(at)
          return at + 4 + length
        }, 64)
        for (const [chunk, start] of found.entries()) {
          const through = stretches[chunk]!.length === 0 ? stretches[chunk - 1]?.at(-1) : undefined
          // The only frame of a stretch that goes on through the next is the chunk of that.
          const isMoved = stretches[chunk + 1]?.length === 0 && stretches[chunk]!.length === 1
          const own = isMoved ? undefined : stretches[chunk]![0]
          expect(start).toBe(chunk === 0 ? 0 : (through ?? own ?? EMPTY_CHUNK))
        }
      }),
      { numRuns: 60 },
    )
  })
})
