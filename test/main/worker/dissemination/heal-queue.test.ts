import { expect, test } from 'vitest'
import { type Heal, HealQueue } from '../../../../src/main/worker/dissemination/heal-queue.js'
import { HealShare } from '../../../../src/main/worker/dissemination/heal-share.js'
import {
  HEAL_LINK_SHARE,
  HEAL_LOOKUP_BYTES,
  HEAL_STILL_BYTES_PER_SECOND,
  HEAL_STILL_LINK_SHARE,
  HEALED_REMEMBERED_MAX,
  HEALS_WAITING_MAX,
  PUSH_AGAIN_INTERVAL_MS,
} from '../../../../src/main/worker/dissemination/limits.js'
import { PUSH_AGAIN_QUEUE_MAX } from '../../../../src/shared/constants.js'
import { digestOf } from '../../../support/numbered-digests.js'

const numberOf = (heal: Heal | undefined): number | undefined =>
  heal === undefined ? undefined : Buffer.from(heal.digest).readUInt32BE()
const toAll = (number: number): Heal => ({ digest: digestOf(number), peer: undefined })
const digests = (from: number, to: number): Uint8Array[] =>
  Array.from({ length: to - from }, (_, index) => digestOf(from + index))

test('sources take turns: who asks for one waits for no one who asks for thousands', () => {
  const queue = new HealQueue()
  queue.add(digests(0, 4_000), 'a', 0)
  queue.add(digests(10_000, 10_002), 'b', 0)
  queue.add(digests(20_000, 20_001), 'c', 0)
  expect(Array.from({ length: 6 }, () => numberOf(queue.next(0)))).toEqual([
    3_999, 10_001, 20_000, 3_998, 10_000, 3_997,
  ])
})

test('the newest of a source goes first: of an older header no vote is needed any more', () => {
  const queue = new HealQueue()
  queue.add(digests(0, 10), 'a', 0)
  expect(numberOf(queue.next(0))).toBe(9)
  queue.add([digestOf(50)], 'a', 1)
  expect(numberOf(queue.next(1))).toBe(50)
  expect(numberOf(queue.next(1))).toBe(8)
})

test('what is owed to a peer waits also if all were just sent it, in a line of its own, and is for that peer alone', () => {
  const queue = new HealQueue()
  queue.healed(toAll(1), 0)
  expect(queue.add([digestOf(1)], 'a', 1)).toBe(0)
  expect(queue.size).toBe(0)
  for (const peer of [2, 3, 2]) queue.addOwed([digestOf(1)], peer, 1)
  expect(queue.size).toBe(2)
  queue.add(digests(10, 12), 'a', 1)
  const heals = Array.from({ length: 5 }, () => queue.next(1))
  expect(heals.map(numberOf)).toEqual([1, 1, 11, 10, undefined])
  expect(heals.map((heal) => heal?.peer)).toEqual([2, 3, undefined, undefined, undefined])
})

test('what a peer alone was sent is sent to it once in the interval, and to the others as if it had not been', () => {
  const queue = new HealQueue()
  queue.healed({ digest: digestOf(1), peer: 2 }, 0)
  queue.addOwed([digestOf(1)], 2, PUSH_AGAIN_INTERVAL_MS - 1)
  expect([queue.size, queue.wasHealedFor(2, digestOf(1), PUSH_AGAIN_INTERVAL_MS - 1)]).toEqual([0, true])
  expect(queue.wasHealedFor(3, digestOf(1), PUSH_AGAIN_INTERVAL_MS - 1)).toBe(false)
  queue.addOwed([digestOf(1)], 3, PUSH_AGAIN_INTERVAL_MS - 1)
  queue.add([digestOf(1)], 'a', PUSH_AGAIN_INTERVAL_MS - 1)
  expect(queue.size).toBe(2)
  // It goes to all, so to this one too.
  queue.addOwed([digestOf(1)], 2, PUSH_AGAIN_INTERVAL_MS)
  expect(queue.size).toBe(2)
  expect([queue.next(PUSH_AGAIN_INTERVAL_MS)?.peer, queue.next(PUSH_AGAIN_INTERVAL_MS)?.peer]).toEqual([3, undefined])
  queue.addOwed([digestOf(1)], 2, PUSH_AGAIN_INTERVAL_MS)
  expect(queue.next(PUSH_AGAIN_INTERVAL_MS)?.peer).toBe(2)
})

test('a digest waits once whoever asks, and is healed once in the interval, however many others are', () => {
  const queue = new HealQueue()
  queue.add([digestOf(1), digestOf(1)], 'a', 0)
  queue.add([digestOf(1)], 'b', 0)
  expect(queue.size).toBe(1)
  expect(numberOf(queue.next(0))).toBe(1)
  queue.healed(toAll(1), 0)
  for (let number = 2; number < HEALED_REMEMBERED_MAX; number += 1) queue.healed(toAll(number), 1)
  queue.add([digestOf(1)], 'a', PUSH_AGAIN_INTERVAL_MS - 1)
  expect(queue.size).toBe(0)
  queue.add([digestOf(1)], 'a', PUSH_AGAIN_INTERVAL_MS)
  expect(numberOf(queue.next(PUSH_AGAIN_INTERVAL_MS))).toBe(1)
})

test('when no more can be remembered nothing is healed until the oldest may be forgotten', () => {
  const queue = new HealQueue()
  for (let number = 0; number < HEALED_REMEMBERED_MAX; number += 1) queue.healed(toAll(number), number === 0 ? 0 : 5)
  queue.add([digestOf(99_999)], 'a', 5)
  expect(queue.next(PUSH_AGAIN_INTERVAL_MS - 1)).toBeUndefined()
  expect(numberOf(queue.next(PUSH_AGAIN_INTERVAL_MS))).toBe(99_999)
})

test('small batches are healed at the full rate, also while our primary stands still', () => {
  const queue = new HealQueue()
  const perSecond = HEAL_STILL_BYTES_PER_SECOND / HEAL_LOOKUP_BYTES
  for (let second = 0, number = 0; second < (3 * PUSH_AGAIN_INTERVAL_MS) / 1000; second += 1) {
    const nowMs = second * 1000
    queue.add(digests(number, number + perSecond), 'a', nowMs)
    for (let count = 0; count < perSecond; count += 1, number += 1) queue.healed(queue.next(nowMs)!, nowMs)
  }
})

test('what was looked for and not found may be asked for again at once', () => {
  const queue = new HealQueue()
  queue.add([digestOf(1)], 'a', 0)
  queue.next(0)
  queue.add([digestOf(1)], 'a', 0)
  expect(queue.size).toBe(1)
})

test('each source has its places, all have theirs, and the longest line makes way for the others', () => {
  const queue = new HealQueue()
  expect(queue.add(digests(0, PUSH_AGAIN_QUEUE_MAX + 7), 'a', 0)).toBe(7)
  // Its own oldest, not what it lacks now.
  expect(numberOf(queue.next(0))).toBe(PUSH_AGAIN_QUEUE_MAX + 6)
  expect(queue.add([digestOf(99_000)], 'a', 0)).toBe(0)
  for (let source = 1; source < HEALS_WAITING_MAX / PUSH_AGAIN_QUEUE_MAX; source += 1) {
    const from = source * 100_000
    expect(queue.add(digests(from, from + PUSH_AGAIN_QUEUE_MAX), `hoarder ${source}`, 0)).toBe(0)
  }
  expect(queue.size).toBe(HEALS_WAITING_MAX)
  expect(queue.add(digests(900_000, 900_010), 'honest', 0)).toBe(10)
  expect(queue.size).toBe(HEALS_WAITING_MAX)
  const taken = Array.from({ length: 5 }, () => numberOf(queue.next(0)))
  expect(taken).toContain(900_009)
})

test('a link gives healing its share beside fresh batches, all of it without them, and saves nothing up', () => {
  const share = new HealShare()
  const bytes = 1_000
  let [fresh, heals] = [0, 0]
  for (let step = 0; step < 800; step += 1) {
    if (share.allows(true)) {
      share.startedHeal(bytes)
      heals += 1
    } else {
      share.startedFresh(bytes)
      fresh += 1
    }
  }
  expect(heals / (heals + fresh)).toBeCloseTo(HEAL_LINK_SHARE, 2)
  share.startedHeal(bytes)
  expect(share.allows(true)).toBe(false)
  expect(share.allows(false)).toBe(true)
  // Nor is anything owed for those that went while nobody waited: at most what is owed for one.
  for (let step = 0; step < 100; step += 1) share.startedHeal(bytes)
  for (let step = 0; step < 1 / HEAL_LINK_SHARE - 1; step += 1) {
    expect(share.allows(true)).toBe(false)
    share.startedFresh(bytes)
  }
  expect(share.allows(true)).toBe(true)
  for (let step = 0; step < 1_000; step += 1) share.startedFresh(bytes)
  expect(share.allows(true)).toBe(true)
  share.startedHeal(bytes)
  expect(share.allows(true)).toBe(false)
})

test('while our primary stands still, fresh batches keep the smaller share', () => {
  const share = new HealShare()
  const bytes = 1_000
  let [fresh, heals] = [0, 0]
  for (let step = 0; step < 800; step += 1) {
    if (share.allows(true)) {
      share.startedHeal(bytes, true)
      heals += 1
    } else {
      share.startedFresh(bytes)
      fresh += 1
    }
  }
  // One of the other kind goes between two, since both are as large.
  expect(heals / (heals + fresh)).toBeGreaterThanOrEqual(1 / 2)
  expect(bytes / HEAL_STILL_LINK_SHARE - bytes).toBeLessThan(bytes)
  expect(fresh).toBeGreaterThan(0)
})
