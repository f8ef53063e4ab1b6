import { expect, test } from 'vitest'
import { LogLimiter } from '../../../src/shared/runtime/thread-control.js'

test('the first line of a key is let through, and then one in a while that says how many were kept back', () => {
  const limiter = new LogLimiter(1_000)
  expect(limiter.admit('a', 5_000)).toBe(0)
  expect(limiter.admit('a', 5_001)).toBeNull()
  expect(limiter.admit('a', 5_999)).toBeNull()
  expect(limiter.admit('b', 5_999)).toBe(0)
  expect(limiter.admit('a', 6_000)).toBe(2)
  expect(limiter.admit('a', 6_001)).toBeNull()
  expect(limiter.admit('a', 7_000)).toBe(1)
  expect(limiter.admit('a', 8_000)).toBe(0)
})
