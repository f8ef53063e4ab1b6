/** How many Synchronize messages are taken from whom: a clock by hand. */
import { expect, test } from 'vitest'
import {
  FOREIGN_SYNCHRONIZE_PER_SECOND,
  SOURCES_REMEMBERED_MAX,
  STRANGER_SYNCHRONIZE_PER_SECOND,
} from '../../../../src/main/worker/primary-link/limits.js'
import { SynchronizeRates } from '../../../../src/main/worker/primary-link/synchronize-rates.js'

/** Messages that are taken of so many at once. */
function taken(rates: SynchronizeRates, source: string, count: number, isStranger = false): number {
  return Array.from({ length: count }, () => rates.admit(source, isStranger, 1, 0)).filter((it) => it).length
}

test('each source has a rate of its own; strangers have one more together', () => {
  const rates = new SynchronizeRates()
  const count = 2 * FOREIGN_SYNCHRONIZE_PER_SECOND
  expect(taken(rates, 'a', count)).toBe(FOREIGN_SYNCHRONIZE_PER_SECOND)
  expect(taken(rates, 'b', count)).toBe(FOREIGN_SYNCHRONIZE_PER_SECOND)
  let ofStrangers = 0
  for (let n = 0; n <= STRANGER_SYNCHRONIZE_PER_SECOND; n += 1) ofStrangers += taken(rates, `stranger ${n}`, 1, true)
  expect(ofStrangers).toBe(STRANGER_SYNCHRONIZE_PER_SECOND)
})

test('so many sources are remembered; of more, the one that was not heard of for longest is forgotten', () => {
  const rates = new SynchronizeRates()
  for (const source of ['a', 'b']) taken(rates, source, FOREIGN_SYNCHRONIZE_PER_SECOND)
  for (let n = 0; n < SOURCES_REMEMBERED_MAX - 2; n += 1) taken(rates, `${n}`, 1)
  expect(taken(rates, 'a', 1)).toBe(0)
  taken(rates, 'one more', 1)
  expect(taken(rates, 'a', 1)).toBe(0)
  // The rate of this one is full again, since nobody remembers it.
  expect(taken(rates, 'b', 1)).toBe(1)
})
