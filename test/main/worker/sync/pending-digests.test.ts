import { describe, expect, test } from 'vitest'
import { type Patience, PendingDigests } from '../../../../src/main/worker/sync/pending-digests.js'

const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
/** After so many ms, whatever the peers send. */
const patienceOf = (ms: number): Patience => ({ retryMs: ms, longestMs: ms, sentMs: () => 0 })
const bytesOf = (entries: readonly { digest: Uint8Array }[]): number[] => entries.map((entry) => entry.digest[0]!)

describe('digests that are looked for', () => {
  test('are due at once, and again after the delay, and not in between', () => {
    const pending = new PendingDigests(10)
    pending.add(digest(1), 3, 0n)
    expect(bytesOf(pending.takeDue(1_000, patienceOf(500)).first)).toEqual([1])
    expect(pending.takeDue(1_499, patienceOf(500))).toEqual({ first: [], again: [] })
    pending.add(digest(2), 3, 0n)
    const due = pending.takeDue(1_500, patienceOf(500))
    expect(bytesOf(due.first)).toEqual([2])
    expect(bytesOf(due.again)).toEqual([1])
    expect(bytesOf(pending.takeDue(2_000, patienceOf(500)).again)).toEqual([1, 2])
  })

  test('are not due while their peer goes on sending others, unless it has answered without them or it lasts too long', () => {
    const pending = new PendingDigests(10)
    for (const byte of [1, 2]) pending.add(digest(byte), 3, 0n)
    const sends = (ms: number): Patience => ({
      retryMs: 500,
      longestMs: 2_000,
      sentMs: (peer) => (peer === 3 ? ms : 0),
    })
    pending.takeDue(1_000, sends(0))
    expect(pending.takeDue(1_600, sends(1_101)).again).toEqual([])
    pending.notSent(digest(2), 7)
    expect(pending.takeDue(1_600, sends(1_101)).again).toEqual([])
    pending.notSent(digest(2), 3)
    expect(bytesOf(pending.takeDue(1_600, sends(1_101)).again)).toEqual([2])
    // Who is asked again is not waited for: it is asked of others after each delay.
    expect(bytesOf(pending.takeDue(2_100, sends(2_100)).again)).toEqual([2])
    expect(bytesOf(pending.takeDue(2_200, sends(1_700)).again)).toEqual([1])
    pending.add(digest(4), 3, 0n)
    pending.takeDue(2_200, sends(2_200))
    expect(bytesOf(pending.takeDue(4_199, sends(4_199)).again)).toEqual([1, 2])
    expect(bytesOf(pending.takeDue(4_200, sends(4_200)).again)).toEqual([4])
  })

  test('are looked for once, under the first target and round, however often they are added', () => {
    const pending = new PendingDigests(10)
    pending.add(digest(1), 3, 5n)
    pending.takeDue(0, patienceOf(100))
    expect(pending.add(digest(1), 2, 9n)).toBe(true)
    expect(pending.size).toBe(1)
    expect(pending.get(digest(1))).toMatchObject({ target: 3, round: 5n, askedMs: 0 })
    expect(pending.takeDue(50, patienceOf(100))).toEqual({ first: [], again: [] })
  })

  test('are known by their bytes, not by the memory that they stand in', () => {
    const pending = new PendingDigests(10)
    const memory = Buffer.concat([digest(7), digest(1), digest(8)])
    pending.add(memory.subarray(32, 64), 3, 0n)
    expect(pending.get(digest(1))).toBeDefined()
    expect(pending.delete(digest(1))).toBe(true)
    expect(pending.delete(digest(1))).toBe(false)
    expect(pending.takeDue(0, patienceOf(0))).toEqual({ first: [], again: [] })
  })

  test('are limited: beyond it none is added, until one is found', () => {
    const pending = new PendingDigests(2)
    expect(pending.add(digest(1), 0, 0n)).toBe(true)
    expect(pending.add(digest(2), 0, 0n)).toBe(true)
    expect(pending.add(digest(3), 0, 0n)).toBe(false)
    expect(pending.add(digest(2), 0, 0n)).toBe(true)
    expect(pending.size).toBe(2)
    pending.delete(digest(1))
    expect(pending.add(digest(3), 0, 0n)).toBe(true)
  })

  test('of one target are limited by its share: its newest take the place of its oldest, and of nobody else’s', () => {
    const pending = new PendingDigests(4, 2)
    for (const [byte, target] of [
      [1, 7],
      [2, 8],
      [3, 7],
      [4, 7],
      [5, 7],
    ] as const) {
      expect(pending.add(digest(byte), target, 0n)).toBe(true)
    }
    expect(bytesOf(pending.takeDue(0, patienceOf(0)).first)).toEqual([2, 4, 5])
    pending.delete(digest(4))
    expect(pending.add(digest(6), 7, 0n)).toBe(true)
    expect([2, 5, 6].map((byte) => pending.get(digest(byte)) !== undefined)).toEqual([true, true, true])
    expect(pending.add(digest(9), 9, 0n)).toBe(true)
    expect(pending.add(digest(10), 9, 0n)).toBe(false)
  })

  test('are forgotten when nobody has wanted them for a time, and not while somebody does', () => {
    const pending = new PendingDigests(10)
    pending.add(digest(1), 0, 0n, 100)
    pending.add(digest(2), 0, 0n, 100)
    pending.takeDue(150, patienceOf(10))
    pending.add(digest(2), 0, 0n, 200)
    expect([pending.forget(100), pending.forget(150), pending.size]).toEqual([0, 1, 1])
    expect(pending.get(digest(2))).toMatchObject({ askedMs: 150, namedMs: 200 })
    expect([pending.forget(201), pending.size]).toEqual([1, 0])
  })

  test('are given up gc_depth rounds after they were asked for, and not one before', () => {
    const pending = new PendingDigests(10)
    pending.add(digest(1), 0, 10n)
    pending.add(digest(2), 0, 11n)
    expect(pending.cleanup(59n, 50n)).toBe(0)
    expect(pending.cleanup(60n, 50n)).toBe(1)
    expect(pending.get(digest(1))).toBeUndefined()
    expect(pending.get(digest(2))).toBeDefined()
    expect(pending.cleanup(1_000n, 50n)).toBe(1)
    expect(pending.size).toBe(0)
  })
})
