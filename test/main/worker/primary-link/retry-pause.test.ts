import { expect, test } from 'vitest'
import {
  PRIMARY_RETRY_MS,
  PRIMARY_RETRY_MS_MAX,
  PRIMARY_STABLE_MS,
} from '../../../../src/main/worker/primary-link/limits.js'
import { RetryPause } from '../../../../src/main/worker/primary-link/retry-pause.js'

test('a primary that is away is asked at the same pace for ever', () => {
  const pause = new RetryPause()
  for (let i = 0; i < 100; i += 1) expect(pause.after(undefined)).toBe(PRIMARY_RETRY_MS)
})

test('the pause doubles with each connection that did not last, up to its limit', () => {
  const pause = new RetryPause()
  expect([0, 1, 0, PRIMARY_STABLE_MS - 1].map((ms) => pause.after(ms))).toEqual(
    [1, 2, 4, 8].map((times) => times * PRIMARY_RETRY_MS),
  )
  for (let i = 0; i < 2_000; i += 1) pause.after(0)
  expect(pause.after(0)).toBe(PRIMARY_RETRY_MS_MAX)
})

test('after a connection that lasted it is short again', () => {
  const pause = new RetryPause()
  for (let i = 0; i < 5; i += 1) pause.after(0)
  expect(pause.after(PRIMARY_STABLE_MS)).toBe(PRIMARY_RETRY_MS)
  expect(pause.after(0)).toBe(PRIMARY_RETRY_MS)
  expect(pause.after(0)).toBe(2 * PRIMARY_RETRY_MS)
})

test('one that is away after it came and went is asked as often as any, and has its longer rest when it comes and goes again', () => {
  const pause = new RetryPause()
  for (let i = 0; i < 4; i += 1) pause.after(0)
  for (let i = 0; i < 100; i += 1) expect(pause.after(undefined)).toBe(PRIMARY_RETRY_MS)
  // An attempt that fails between two such connections shortens no rest.
  expect(pause.after(0)).toBe(16 * PRIMARY_RETRY_MS)
  expect(pause.after(undefined)).toBe(PRIMARY_RETRY_MS)
  expect(pause.after(0)).toBe(PRIMARY_RETRY_MS_MAX)
})
