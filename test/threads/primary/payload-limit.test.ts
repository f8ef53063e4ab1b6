/** How many batches the next header lists, while some are not to be had by a quorum. */
import { expect, test } from 'vitest'
import { HEADER_PAYLOAD_MAX } from '../../../src/shared/wire/primary/limits.js'
import { GIVEN_UP_BEFORE_PROBE } from '../../../src/threads/primary/limits.js'
import { PayloadLimit } from '../../../src/threads/primary/payload-limit.js'

/** After so many full headers in a row that were given up. */
function afterGivenUp(headers: number): PayloadLimit {
  const limit = new PayloadLimit()
  for (let at = 0; at < headers; at += 1) limit.givenUp(limit.count)
  return limit
}

test('full headers are tried until so many in a row are given up, and then an empty one', () => {
  expect(afterGivenUp(GIVEN_UP_BEFORE_PROBE - 1).count).toBe(HEADER_PAYLOAD_MAX)
  expect(afterGivenUp(GIVEN_UP_BEFORE_PROBE).count).toBe(0)
})

test('a batch that no quorum can get is found by halves, and the limit doubles again behind it', () => {
  const limit = afterGivenUp(GIVEN_UP_BEFORE_PROBE)
  expect(limit.certified(0)).toBe(false)
  const tried: number[] = []
  while (limit.count > 0) {
    tried.push(limit.count)
    limit.givenUp(limit.count)
  }
  expect(tried).toEqual([256, 128, 64, 32, 16, 8, 4, 2, 1])
  expect(limit.certified(0)).toBe(true)
  const after: number[] = []
  for (let header = 0; header < 4; header += 1) {
    after.push(limit.count)
    limit.certified(limit.count)
  }
  expect(after).toEqual([1, 2, 4, 8])
})
