import { expect, test } from 'vitest'
import { commitDigest } from '../../../src/shared/wire/primary/commit-digest.js'
import { CHECKPOINT_INTERVAL } from '../../../src/shared/wire/primary/limits.js'
import { append, EMPTY_RANGE, type NodePlace, rangeRoot } from '../../../src/shared/wire/primary/mountain-range.js'
import { sha256 } from '../../../src/shared/wire/primary/sha256.js'
import { encodeInterval, verifyInterval } from '../../../src/threads/primary/history/interval.js'

const committeeDigest = new Uint8Array(32).fill(9)

/** A log of so many intervals: records of some bytes, and the nodes over them. */
function logOf(intervals: number) {
  const records = Array.from({ length: intervals * CHECKPOINT_INTERVAL }, (_, n) => Buffer.alloc(40 + (n % 7), n))
  const nodes: (readonly Uint8Array[])[] = []
  const roots: Uint8Array[] = []
  let range = EMPTY_RANGE
  for (const record of records) {
    const next = append(sha256, range, commitDigest(committeeDigest, [record]))
    range = next.range
    nodes.push(next.nodes)
    roots.push(rangeRoot(sha256, range))
  }
  const nodeAt = ({ height, record }: NodePlace): Uint8Array => nodes[record - 1]![height]!
  const under = (count: number) => ({ count, root: roots[count - 1]! })
  const interval = (n: number, count: number): Uint8Array => {
    const first = n * CHECKPOINT_INTERVAL + 1
    const own = records.slice(first - 1, first - 1 + CHECKPOINT_INTERVAL)
    return encodeInterval(own, { first, count, nodeAt })
  }
  return { interval, records, under }
}

test('each interval of a log is proven under the root of each checkpoint behind it, and gives its records back', () => {
  const { interval, records, under } = logOf(7)
  for (let last = 1; last <= 7; last += 1) {
    const count = last * CHECKPOINT_INTERVAL
    for (let n = 0; n < last; n += 1) {
      const first = n * CHECKPOINT_INTERVAL + 1
      const found = verifyInterval(interval(n, count), { committeeDigest, first, under: under(count) })
      expect(found?.map(({ bytes }) => Buffer.from(bytes))).toEqual(
        records.slice(first - 1, first - 1 + CHECKPOINT_INTERVAL),
      )
    }
  }
})

test('one whose bytes, place, root or committee are others is not believed', () => {
  const { interval, under } = logOf(5)
  const count = 5 * CHECKPOINT_INTERVAL
  const bytes = interval(2, count)
  const first = 2 * CHECKPOINT_INTERVAL + 1
  const verified = (
    changed: Uint8Array,
    more: Partial<Parameters<typeof verifyInterval>[1]> = {},
  ): 'refused' | 'believed' => {
    try {
      return verifyInterval(changed, { committeeDigest, first, under: under(count), ...more }) ? 'believed' : 'refused'
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_CODEC' })
      return 'refused'
    }
  }
  expect(verified(bytes)).toBe('believed')
  // Any byte: a node, a length, a record, wherever it stands.
  for (let at = 0; at < bytes.length; at += 13) {
    const changed = Uint8Array.from(bytes)
    changed[at]! ^= 1
    expect(verified(changed)).toBe('refused')
  }
  expect(verified(bytes, { first: CHECKPOINT_INTERVAL + 1 })).toBe('refused')
  expect(verified(bytes, { under: under(4 * CHECKPOINT_INTERVAL) })).toBe('refused')
  expect(verified(bytes, { under: { count: 4 * CHECKPOINT_INTERVAL, root: under(count).root } })).toBe('refused')
  expect(verified(bytes, { committeeDigest: new Uint8Array(32) })).toBe('refused')
  expect(verified(bytes.subarray(0, -1))).toBe('refused')
  expect(verified(Buffer.concat([bytes, Buffer.of(0)]))).toBe('refused')
  expect(verified(new Uint8Array())).toBe('refused')
})
