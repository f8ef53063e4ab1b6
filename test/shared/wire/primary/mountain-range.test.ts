/** The mountain range: a naive tree says what every root and proof has to be. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  append,
  EMPTY_RANGE,
  entriesDone,
  type MountainRange,
  type NodePlace,
  peakPlaces,
  proofLength,
  prove,
  rangeRoot,
  verifyInclusion,
} from '../../../../src/shared/wire/primary/mountain-range.js'
import { sha256 } from '../../../../src/shared/wire/primary/sha256.js'

const COUNT_MAX = 70

const digestOf = (record: number): Uint8Array => sha256(Buffer.from(`record ${record}`))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** As docs/protocol.md draws it, without a line of the code under test. */
function drawn(name: string, ...parts: Uint8Array[]): Buffer {
  const tag = Buffer.alloc(32)
  tag.write(`narval/range/${name}/v1`)
  return createHash('sha256')
    .update(Buffer.concat([tag, ...parts]))
    .digest()
}

/** The top of a tree whose left side is the largest power of two below the number of its records. */
function naiveTop(records: readonly Uint8Array[]): Buffer {
  if (records.length === 1) return drawn('leaf', records[0]!)
  let half = 1
  while (2 * half < records.length) half *= 2
  return drawn('node', naiveTop(records.slice(0, half)), naiveTop(records.slice(half)))
}

function naiveRoot(records: readonly Uint8Array[]): Buffer {
  const count = Buffer.alloc(8)
  count.writeBigUInt64LE(BigInt(records.length))
  return drawn('root', count, naiveTop(records))
}

const records = Array.from({ length: COUNT_MAX }, (_, at) => digestOf(at + 1))
const ranges: MountainRange[] = [EMPTY_RANGE]
/** By record: its entry of nodes. */
const entries = new Map<number, readonly Uint8Array[]>()
for (const digest of records) {
  const { nodes, range } = append(sha256, ranges.at(-1)!, digest)
  ranges.push(range)
  entries.set(range.count, nodes)
}
const nodeAt =
  (kept: ReadonlyMap<number, readonly Uint8Array[]>) =>
  ({ height, record }: NodePlace): Uint8Array => {
    const node = kept.get(record)?.[height]
    if (node === undefined) throw new Error(`no node of height ${height} at ${record}`)
    return node
  }
const rootOf = (count: number): Uint8Array => rangeRoot(sha256, ranges[count]!)
const count = fc.integer({ min: 1, max: COUNT_MAX })
const place = count.chain((count) =>
  fc.record({ count: fc.constant(count), record: fc.integer({ min: 1, max: count }) }),
)

test.each(Array.from({ length: COUNT_MAX }, (_, at) => at + 1))(
  'the root over %i records is the drawn one',
  (count) => {
    expect(hex(rootOf(count))).toBe(hex(naiveRoot(records.slice(0, count))))
  },
)

test('the peaks lie in the entries of their last records', () => {
  for (const { count, peaks } of ranges) {
    expect(peakPlaces(count).map(nodeAt(entries)).map(hex)).toEqual(peaks.map(hex))
  }
  expect(peakPlaces(2 ** 52 + 3).map(({ height }) => height)).toEqual([52, 1, 0])
})

describe('a proof', () => {
  test('shows each record of each range, and has as many nodes as it is said to have, some log₂ of it', () => {
    for (let count = 1; count <= COUNT_MAX; count += 1) {
      for (let record = 1; record <= count; record += 1) {
        const proof = prove(sha256, record, count, nodeAt(entries))
        expect(proof).toHaveLength(proofLength(record, count))
        expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(count)))
        const claim = { record, count, digest: records[record - 1]!, root: rootOf(count), proof }
        expect(verifyInclusion(sha256, claim)).toBe(true)
      }
    }
  })

  test('shows nothing else: no other record, place, count, root, and none that is changed, longer or shorter', () => {
    fc.assert(
      fc.property(place, place, fc.nat(), fc.nat(255), (a, b, at, bit) => {
        const proof = prove(sha256, a.record, a.count, nodeAt(entries))
        const claim = { ...a, digest: records[a.record - 1]!, root: rootOf(a.count), proof }
        const isSame = a.record === b.record && a.count === b.count
        expect(verifyInclusion(sha256, { ...claim, ...b })).toBe(isSame)
        expect(verifyInclusion(sha256, { ...claim, digest: records[b.record - 1]! })).toBe(a.record === b.record)
        expect(verifyInclusion(sha256, { ...claim, root: rootOf(b.count) })).toBe(a.count === b.count)
        expect(verifyInclusion(sha256, { ...claim, proof: [...proof, records[0]!] })).toBe(false)
        if (proof.length === 0) return
        expect(verifyInclusion(sha256, { ...claim, proof: proof.slice(1) })).toBe(false)
        const changed = proof.map((node) => Uint8Array.from(node))
        changed[at % proof.length]![(bit >> 3) % 32]! ^= 1 << (bit & 7)
        expect(verifyInclusion(sha256, { ...claim, proof: changed })).toBe(false)
      }),
    )
  })

  test.each([
    [0, 5],
    [6, 5],
    [1.5, 5],
    [1, Number.POSITIVE_INFINITY],
    [Number.NaN, 5],
    [-1, 5],
  ])('of record %d of %d is refused, and does not throw', (record, count) => {
    const claim = { record, count, digest: records[0]!, root: rootOf(5), proof: [] }
    expect(verifyInclusion(sha256, claim)).toBe(false)
  })

  test('of a node or a digest of another length is refused', () => {
    const proof = prove(sha256, 1, 5, nodeAt(entries))
    const claim = { record: 1, count: 5, digest: records[0]!, root: rootOf(5), proof }
    expect(verifyInclusion(sha256, claim)).toBe(true)
    expect(verifyInclusion(sha256, { ...claim, digest: new Uint8Array(31) })).toBe(false)
    expect(verifyInclusion(sha256, { ...claim, root: new Uint8Array(33) })).toBe(false)
    expect(verifyInclusion(sha256, { ...claim, proof: proof.map((node) => node.subarray(1)) })).toBe(false)
  })
})

test('entries that are done are never read again: by no later proof, by no peaks, and few are left of what is gone', () => {
  const kept = new Map(entries)
  for (let gone = 1; gone < COUNT_MAX; gone += 1) {
    for (const entry of entriesDone(gone)) expect(kept.delete(entry)).toBe(true)
    const left = [...kept.keys()].filter((record) => record <= gone)
    expect(left.length).toBeLessThanOrEqual(Math.ceil(Math.log2(gone + 1)))
    expect(peakPlaces(gone).map(nodeAt(kept)).map(hex)).toEqual(ranges[gone]!.peaks.map(hex))
    for (let count = gone + 1; count <= COUNT_MAX; count += 1) {
      for (let record = gone + 1; record <= count; record += 1) prove(sha256, record, count, nodeAt(kept))
    }
  }
})
