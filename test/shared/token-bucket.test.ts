import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TokenBucket } from '../../src/shared/token-bucket.js'

describe('a token bucket', () => {
  test('gives a burst at once, and then so much a second', () => {
    const bucket = new TokenBucket(100, 250)
    expect(bucket.take(250, 0)).toBe(0)
    expect(bucket.take(100, 0)).toBe(1_000)
    expect(bucket.take(50, 1_000)).toBe(500)
    expect(bucket.take(0, 1_500)).toBe(0)
  })

  test('takes on credit, and says how long that is to be waited for', () => {
    const bucket = new TokenBucket(10, 10)
    expect(bucket.take(1_010, 5_000)).toBe(100_000)
    expect(bucket.take(0, 105_000)).toBe(0)
  })

  test('does not fill beyond the burst, however long nothing is taken', () => {
    const bucket = new TokenBucket(100, 250)
    bucket.take(250, 0)
    expect(bucket.tryTake(251, 1e9)).toBe(false)
    expect(bucket.tryTake(250, 1e9)).toBe(true)
    expect(bucket.tryTake(1, 1e9)).toBe(false)
  })

  test('that is asked for more than it has gives nothing of it', () => {
    const bucket = new TokenBucket(1, 5)
    expect(bucket.tryTake(6, 0)).toBe(false)
    expect(bucket.tryTake(5, 0)).toBe(true)
    expect(bucket.tryTake(1, 999)).toBe(false)
    expect(bucket.tryTake(1, 1_000)).toBe(true)
  })

  test('says what is left, also while it is on credit', () => {
    const bucket = new TokenBucket(10, 5)
    expect(bucket.left(0)).toBe(5)
    bucket.take(8, 0)
    expect(bucket.left(0)).toBe(-3)
    expect(bucket.left(400)).toBe(1)
    expect(bucket.left(1e9)).toBe(5)
  })

  test('never gives more than the burst and the rate since its start', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(500), fc.nat(3_000))), (takes) => {
        const bucket = new TokenBucket(100, 300)
        let nowMs = 0
        let given = 0
        for (const [count, passedMs] of takes) {
          nowMs += passedMs
          if (bucket.tryTake(count, nowMs)) given += count
          expect(given).toBeLessThanOrEqual(300 + (nowMs / 1000) * 100 + 1e-6)
        }
      }),
    )
  })
})
