import { expect, test } from 'vitest'
import { REPEAT_INTERVAL_MS, REPEATS_PER_PEER_MAX } from '../../../../src/main/worker/primary-link/limits.js'
import { RepeatedReports } from '../../../../src/main/worker/primary-link/repeated-reports.js'
import { digestOf } from '../../../support/numbered-digests.js'

test('a batch that one peer sends again and again is reported again once in the interval', () => {
  const repeated = new RepeatedReports()
  const admitted = Array.from({ length: 28_000 }, (_, index) => repeated.admit(2, digestOf(1), index / 10))
  expect(admitted.filter(Boolean)).toHaveLength(1)
  expect(repeated.admit(2, digestOf(1), REPEAT_INTERVAL_MS - 1)).toBe(false)
  expect(repeated.admit(2, digestOf(1), REPEAT_INTERVAL_MS)).toBe(true)
})

test('a peer that repeats many batches in turn has its share, and takes nothing from others', () => {
  const repeated = new RepeatedReports()
  let admitted = 0
  for (let step = 0; step < 10 * REPEATS_PER_PEER_MAX; step += 1) {
    admitted += Number(repeated.admit(2, digestOf(step % (2 * REPEATS_PER_PEER_MAX)), 0))
  }
  expect(admitted).toBe(REPEATS_PER_PEER_MAX)
  expect(repeated.admit(3, digestOf(0), 0)).toBe(true)
})
