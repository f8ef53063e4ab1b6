import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { commitDigest } from '../../../../src/shared/wire/primary/commit-digest.js'
import {
  type CommitRecord,
  decodeCommitHead,
  decodeCommitRecord,
  encodeCommitRecord,
} from '../../../../src/shared/wire/primary/commit-record.js'
import { COMMIT_HEAD_BYTES } from '../../../../src/shared/wire/primary/limits.js'

interface Vector {
  readonly name: string
  readonly epoch: number
  readonly index: number
  readonly timestamp: number
  readonly first_batch: number
  readonly previous: string
  readonly certificates: readonly { id: string; round: number; author: number }[]
  readonly batches: readonly { digest: string; author: number; worker: number; sequence: string | null }[]
  readonly record: string
  readonly digest: string
}

const file = resolve(import.meta.dirname, '../../../vectors/commit.json')
const vectors = JSON.parse(readFileSync(file, 'utf8')) as { committee_digest: string; commits: readonly Vector[] }
const COMMITTEE_DIGEST = unhex(vectors.committee_digest)
const AUTHORITIES = 256

function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function recordOf(vector: Vector): CommitRecord {
  return {
    epoch: vector.epoch,
    index: vector.index,
    timestamp: vector.timestamp,
    firstBatch: vector.first_batch,
    previous: unhex(vector.previous),
    certificates: vector.certificates.map(({ id, ...rest }) => ({ id: unhex(id), ...rest })),
    batches: vector.batches.map(({ digest, sequence, ...rest }) => ({
      digest: unhex(digest),
      sequence: sequence === null ? undefined : BigInt(sequence),
      ...rest,
    })),
  }
}

describe.each(vectors.commits.map((vector) => [vector.name, vector] as const))('the vector "%s"', (_, vector) => {
  test('is what is written, and named', () => {
    const bytes = encodeCommitRecord(recordOf(vector))
    expect(hex(bytes)).toBe(vector.record)
    expect(hex(commitDigest(COMMITTEE_DIGEST, [bytes]))).toBe(vector.digest)
    // However it is cut.
    expect(hex(commitDigest(COMMITTEE_DIGEST, [bytes.subarray(0, 100), bytes.subarray(100)]))).toBe(vector.digest)
  })

  test('is what is read', () => {
    expect(decodeCommitRecord(unhex(vector.record), AUTHORITIES)).toMatchObject(recordOf(vector))
  })
})

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const whole = (min: number) => fc.integer({ min, max: Number.MAX_SAFE_INTEGER })
const author = fc.integer({ min: 0, max: AUTHORITIES - 1 })
const records: fc.Arbitrary<CommitRecord> = fc.record({
  epoch: whole(0),
  index: whole(2),
  timestamp: whole(0),
  firstBatch: whole(0),
  previous: bytes32.filter((bytes) => bytes.some((byte) => byte !== 0)),
  certificates: fc.array(fc.record({ id: bytes32, round: whole(1), author }), { minLength: 1, maxLength: 5 }),
  batches: fc.array(
    fc.record({
      digest: bytes32,
      author,
      worker: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      sequence: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined }),
    }),
    { maxLength: 5 },
  ),
})

describe('a record', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(records, (record) => {
        expect(decodeCommitRecord(encodeCommitRecord(record), AUTHORITIES)).toMatchObject(record)
      }),
    )
  })

  test('has one form: what is read is written as it was, or refused', () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (record, at, flip) => {
        const bytes = encodeCommitRecord(record)
        bytes[at % bytes.length]! ^= flip
        let read: CommitRecord
        try {
          read = decodeCommitRecord(bytes, AUTHORITIES)
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CODEC' })
          return
        }
        expect(encodeCommitRecord(read)).toEqual(bytes)
      }),
      { numRuns: 500 },
    )
  })

  const good = (): Uint8Array => unhex(vectors.commits[2]!.record)
  const change = (at: number, ...values: number[]): Uint8Array => {
    const bytes = good()
    bytes.set(values, at)
    return bytes
  }

  test.each<[string, Uint8Array]>([
    ['another version', change(0, 2)],
    ['another kind', change(1, 3)],
    ['reserved bytes that are not zero', change(7, 1)],
    ['index 0', change(16, 0)],
    ['an index beyond 53 bits', change(22, 0, 1)],
    ['index 1 and a commit before', change(16, 1)],
    ['index 3 and none before', change(56, ...new Array<number>(32).fill(0))],
    ['no certificates', change(40, 0)],
    ['more batches than certificates can have', change(50, 0, 1)],
    ['an anchor of round 0', change(COMMIT_HEAD_BYTES + 32, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['reserved bytes of a certificate', change(COMMIT_HEAD_BYTES + 42, 1)],
    ['a sequence that is said not to be there', change(COMMIT_HEAD_BYTES + 3 * 48 + 34, 1)],
    ['another flag', change(COMMIT_HEAD_BYTES + 3 * 48 + 34, 2)],
    ['one byte less', good().subarray(0, -1)],
    ['one byte more', new Uint8Array([...good(), 0])],
    ['less than a head', good().subarray(0, 87)],
  ])('with %s is refused', (_, bytes) => {
    expect(() => decodeCommitRecord(bytes, AUTHORITIES)).toThrow(expect.objectContaining({ code: 'ERR_CODEC' }))
  })

  test('with an authority outside the committee is refused', () => {
    expect(() => decodeCommitRecord(good(), 255)).toThrow(expect.objectContaining({ code: 'ERR_CODEC' }))
  })

  test('whose head promises more than there is costs nothing', () => {
    const bytes = change(40, 0xff, 0xff, 0xff, 0xff)
    expect(decodeCommitHead(bytes).certificates).toBe(2 ** 32 - 1)
    expect(() => decodeCommitRecord(bytes, AUTHORITIES)).toThrow(/expected \d+/)
  })
})
