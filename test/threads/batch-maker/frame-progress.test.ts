/** Whether a client goes on with its frame: times by hand. */
import { expect, test } from 'vitest'
import { frameProgress } from '../../../src/threads/batch-maker/frame-progress.js'
import { CLIENT_FRAME_BYTES_PER_S_MIN } from '../../../src/threads/batch-maker/limits.js'

const IDLE_MS = 30_000

test('a frame may take any pace for `client_idle_timeout`; what is older must have come at the least rate since', () => {
  expect(frameProgress(1, IDLE_MS, 0, IDLE_MS)).toBe('ok')
  for (const seconds of [1, 10, 1_000]) {
    const ageMs = IDLE_MS + seconds * 1_000
    expect(frameProgress(1, ageMs, seconds * CLIENT_FRAME_BYTES_PER_S_MIN, IDLE_MS)).toBe('ok')
    expect(frameProgress(1, ageMs, seconds * CLIENT_FRAME_BYTES_PER_S_MIN - 1, IDLE_MS)).toBe('frame-slow')
  }
})

test('one whose client is silent for `client_idle_timeout` is stalled, however much came before', () => {
  expect(frameProgress(IDLE_MS - 1, IDLE_MS, 1e9, IDLE_MS)).toBe('ok')
  expect(frameProgress(IDLE_MS, IDLE_MS, 1e9, IDLE_MS)).toBe('frame-stalled')
})
