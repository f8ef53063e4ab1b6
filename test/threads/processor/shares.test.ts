/** Shares: what each author may take of the store. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FETCH_PART, SHARE_BATCHES_MIN } from '../../../src/threads/processor/limits.js'
import { Shares } from '../../../src/threads/processor/shares.js'

const OWN = 1
const base = {
  stakes: [1, 1, 1, 1],
  ownIndex: OWN,
  reserveBytes: 1_000,
  batchStoredBytesMax: 100,
  storeBytesMax: 33_000,
}

describe('shares', () => {
  test('are equal for equal stake, and leave the reserve and a part for what is asked for', () => {
    const shares = new Shares(base)
    expect(shares.shares).toEqual([7_000, 7_000, 7_000, 7_000])
    expect(shares.room).toBe(32_000)
    expect((32_000 * (FETCH_PART - 1)) / FETCH_PART / 4).toBe(7_000)
  })

  test('are by stake: many names with little stake do not get more', () => {
    const shares = new Shares({ ...base, stakes: [100, 100, 100, ...Array.from({ length: 40 }, () => 1)] })
    const small = shares.shares.slice(3).reduce((sum, share) => sum + share, 0)
    expect(small / shares.shares.reduce((sum, share) => sum + share, 0)).toBeLessThan(1 / 4)
  })

  test('have room for two batches for everybody, also without stake; a store that is too small for that says so', () => {
    const shares = new Shares({ ...base, stakes: [1_000, 1_000, 1_000, 0] })
    expect(shares.shares[3]).toBe(SHARE_BATCHES_MIN * 100)
    expect(shares.problem).toBeUndefined()
    const small = new Shares({ ...base, storeBytesMax: 1_000 + 799 })
    expect(small.problem).toMatch('raise it to 1800')
    expect(new Shares({ ...base, storeBytesMax: 1_000 + 800 }).problem).toBeUndefined()
  })

  test('an author that fills its own leaves the others theirs, whatever comes in which order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ author: fc.integer({ min: 0, max: 3 }), bytes: fc.integer({ min: 1, max: 100 }) }), {
          maxLength: 2_000,
        }),
        (batches) => {
          const shares = new Shares({ ...base, storeBytesMax: 5_000 })
          for (const { author, bytes } of batches) {
            const admitted = author === OWN ? !shares.isFullForOwn : shares.admit(author, bytes, false) === 'ok'
            if (!admitted) {
              // Nobody is refused for what others have.
              if (author === OWN) expect(shares.of(OWN) + 100).toBeGreaterThan(shares.shares[OWN]!)
              else expect(shares.of(author) + bytes).toBeGreaterThan(shares.shares[author]!)
              continue
            }
            shares.add(author, bytes)
            if (author !== OWN) expect(shares.of(author)).toBeLessThanOrEqual(shares.shares[author]!)
          }
          expect(shares.total).toBeLessThanOrEqual(5_000)
        },
      ),
    )
  })

  test('do not count in what was asked for, which stops at the whole, and never at our own batches under way', () => {
    const shares = new Shares(base)
    shares.add(0, 7_000)
    expect(shares.admit(0, 1, false)).toBe('quota')
    expect(shares.admit(0, 25_000, true)).toBe('ok')
    expect(shares.admit(0, 25_001, true)).toBe('store-full')
    // Own batches beyond our share lie in the reserve.
    shares.add(OWN, 8_000)
    expect(shares.room).toBe(32_000 - 7_000 - 7_000)
    expect(shares.isFullForOwn).toBe(true)
  })

  test('stop our own while one more of the largest size would go beyond ours', () => {
    const shares = new Shares(base)
    shares.add(OWN, 7_000 - 100)
    expect(shares.isFullForOwn).toBe(false)
    shares.add(OWN, 1)
    expect(shares.isFullForOwn).toBe(true)
  })

  test('give our own batches under way the reserve, and no more of what is for all', () => {
    const shares = new Shares(base)
    shares.add(OWN, 7_000 + 1_000)
    expect(shares.room).toBe(32_000 - 7_000)
    // A smaller store than before, or less stake: what is beyond the reserve takes from the whole.
    shares.add(OWN, 500)
    expect(shares.room).toBe(32_000 - 7_000 - 500)
  })

  test('know nobody of an authority that has left, whose bytes are there all the same', () => {
    const shares = new Shares(base)
    shares.add(-1, 32_000)
    expect(shares.total).toBe(32_000)
    expect(shares.admit(0, 1, false)).toBe('store-full')
    expect(shares.isFullForOwn).toBe(true)
    shares.add(-1, -32_000)
    expect(shares.admit(0, 1, false)).toBe('ok')
  })
})
