import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { CleanupClock } from '../../../../src/main/worker/primary-link/cleanup-clock.js'
import { CLEANUP_JUMP_MAX, CLEANUP_ROUNDS_PER_SECOND } from '../../../../src/main/worker/primary-link/limits.js'

const NEW = { stamp: 0n, primaryRound: 0n }
const U64_MAX = 2n ** 64n - 1n

/** Takes rounds one after the other; returns the stamp after each. */
function stamps(clock: CleanupClock, rounds: readonly bigint[], nowMs = 0): bigint[] {
  return rounds.map((round) => {
    clock.take(round, nowMs)
    return clock.stamp
  })
}

test('rounds that rise are the stamps, and what is repeated or overtaken changes nothing', () => {
  const clock = new CleanupClock(NEW, 0)
  expect(stamps(clock, [1n, 2n, 2n, 5n, 4n, 6n, 3n, 7n])).toEqual([1n, 2n, 2n, 5n, 5n, 6n, 6n, 7n])
  expect(clock.take(7n, 0)).toEqual({ kind: 'repeated' })
  expect(clock.take(5n, 0)).toEqual({ kind: 'not-followed', reason: 'cleanup-lower', last: 7n })
})

test('a primary that begins anew is followed from its second message on, and the stamps go on', () => {
  const clock = new CleanupClock({ stamp: 5_000n, primaryRound: 5_000n }, 0)
  expect(clock.take(1n, 0)).toMatchObject({ kind: 'not-followed', reason: 'cleanup-lower' })
  expect(clock.take(2n, 0)).toEqual({
    kind: 'begins-anew',
    was: 5_000n,
    made: 1n,
    state: { stamp: 5_001n, primaryRound: 2n },
  })
  expect(stamps(clock, [3n, 4n, 10n])).toEqual([5_002n, 5_003n, 5_009n])
  // And once more.
  expect(stamps(clock, [1n, 3n, 4n])).toEqual([5_009n, 5_011n, 5_012n])
})

test.each([10n ** 9n, 2n ** 63n, U64_MAX])('one absurd round, %i, changes nothing', (absurd) => {
  const clock = new CleanupClock(NEW, 0)
  stamps(clock, [1n, 2n])
  expect(clock.take(absurd, 0)).toEqual({ kind: 'not-followed', reason: 'cleanup-implausible', last: 2n })
  expect(stamps(clock, [3n, absurd, 4n, 5n])).toEqual([3n, 3n, 4n, 5n])
})

test('absurd rounds that go on are followed, with nothing deleted for the jump, and so is the way back', () => {
  const clock = new CleanupClock(NEW, 0)
  stamps(clock, [1n, 2n])
  expect(stamps(clock, [2n ** 40n, 2n ** 40n + 3n, 2n ** 40n + 4n])).toEqual([2n, 5n, 6n])
  expect(stamps(clock, [3n, 4n, 5n])).toEqual([6n, 7n, 8n])
})

test('how far a round may be ahead grows with the time since the last', () => {
  const jump = BigInt(CLEANUP_JUMP_MAX)
  const clock = new CleanupClock(NEW, 0)
  expect(clock.take(jump + 1n, 0)).toMatchObject({ reason: 'cleanup-implausible' })
  expect(clock.take(jump, 0)).toMatchObject({ kind: 'advanced' })
  const tenSeconds = BigInt(10 * CLEANUP_ROUNDS_PER_SECOND)
  expect(clock.take(2n * jump + tenSeconds, 9_999)).toMatchObject({ reason: 'cleanup-implausible' })
  expect(clock.take(2n * jump + tenSeconds, 10_000)).toMatchObject({ kind: 'advanced' })
})

test('two primaries in turn: the one that was followed goes on, the other cannot hasten deletion', () => {
  const clock = new CleanupClock({ stamp: 900n, primaryRound: 900n }, 0)
  expect(stamps(clock, [901n, 5n, 902n, 6n, 903n, 7n, 904n]).at(-1)).toBe(904n)
})

test('whatever comes, stamps never fall, never leave a u64, and rise by no more than is plausible', () => {
  const round = fc.oneof(fc.bigInt(0n, 50n), fc.bigInt(0n, U64_MAX), fc.bigInt(U64_MAX - 50n, U64_MAX))
  fc.assert(
    fc.property(fc.array(round), fc.bigInt(0n, U64_MAX), (rounds, stamp) => {
      const clock = new CleanupClock({ stamp, primaryRound: stamp }, 0)
      let last = stamp
      for (const next of stamps(clock, rounds)) {
        if (next < last || next > U64_MAX || next - last > BigInt(CLEANUP_JUMP_MAX)) return false
        last = next
      }
      return true
    }),
  )
})

test('after a primary began anew at most one round in two is lost to the store: retention always goes on', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, U64_MAX), fc.bigInt(0n, U64_MAX / 2n), (was, first) => {
      const clock = new CleanupClock({ stamp: 7n, primaryRound: was }, 0)
      for (let round = first; round < first + 10n; round += 1n) clock.take(round, 0)
      return clock.stamp >= 7n + 8n
    }),
  )
})

test.each([
  ['in one jump', [150n]],
  ['in a burst', Array.from({ length: 150 }, (_, round) => BigInt(round + 1))],
  ['with numbers that begin anew', [10n, 160n]],
])('what a primary that was away makes up for, %s, ages nothing; then its rounds age as ever', (_, rounds) => {
  const clock = new CleanupClock({ stamp: 100n, primaryRound: rounds.length === 2 ? 900n : 0n }, 0)
  const retentionMs = 10_000
  clock.limit(1 / 100, retentionMs, 0)
  expect(stamps(clock, rounds).at(-1)).toBe(100n)
  let round = rounds.at(-1)!
  // By the time's pace, which is also the primary's.
  for (let nowMs = 100; nowMs <= 2_000; nowMs += 100) {
    round += 1n
    expect(clock.take(round, nowMs)).toMatchObject({ kind: 'advanced', made: 1n })
  }
  expect(clock.stamp).toBe(120n)
  // Faster than that, and the same once the time of a retention is over.
  expect(stamps(clock, [round + 60n], 2_500).at(-1)).toBe(125n)
  expect(stamps(clock, [round + 120n], retentionMs).at(-1)).toBe(185n)
})
