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

describe('shares under a primary that says what is named', () => {
  const lifetime = { namedBytesMax: 10_000, retentionBytes: 0 }
  const ordered = { ...base, storeBytesMax: 65_000, lifetime }

  test('count only what nobody has named: neither what is named nor what is committed keeps an author out', () => {
    const shares = new Shares(ordered)
    expect(shares.shares).toEqual([2_000, 2_000, 2_000, 2_000])
    shares.add(0, 2_000, 'unnamed')
    expect(shares.admit(0, 1, false)).toBe('quota')
    // A primary lags behind in committing: what it has named is as much as it may be.
    shares.add(0, -2_000, 'unnamed')
    shares.add(0, 2_000, 'named')
    shares.add(0, 30_000, 'committed')
    expect([shares.admit(0, 2_000, false), shares.of(0), shares.usedOf(0)]).toEqual(['ok', 0, 0])
    // It falls out of the order, and counts again.
    shares.add(0, -2_000, 'named')
    shares.add(0, 2_000, 'unnamed')
    expect(shares.admit(0, 1, false)).toBe('quota')
    expect(shares.admit(2, 2_000, false)).toBe('ok')
  })

  test('say how much an author has used before it is refused, and nothing under another primary', () => {
    const shares = new Shares(ordered)
    shares.add(0, 950)
    expect(shares.usedOf(0)).toBe(500)
    shares.add(0, 950)
    expect(shares.usedOf(0)).toBe(1000)
    expect(shares.admit(0, 100, false)).toBe('ok')
    shares.add(0, 100)
    expect([shares.usedOf(0), shares.admit(0, 1, false)]).toEqual([1000, 'quota'])
    const other = new Shares(base)
    other.add(0, 7_000)
    expect(other.usedOf(0)).toBe(0)
  })

  test('let what is fetched go beyond them, but not a liar fill the store with what nobody else names', () => {
    const shares = new Shares(ordered)
    shares.add(0, 2_000)
    expect(shares.admit(0, 4_000, true)).toBe('ok')
    expect(shares.admit(0, 4_001, true)).toBe('quota')
    shares.add(0, 4_000)
    // Another one has its own share still, and what was fetched and is named makes room.
    expect(shares.admit(2, 2_000, true)).toBe('ok')
    expect(shares.admit(2, 2_001, true)).toBe('quota')
    shares.add(0, -4_000)
    shares.add(0, 4_000, 'named')
    expect(shares.admit(2, 2_001, true)).toBe('ok')
  })

  test('have what is committed give way to all others, down to nothing, and to what was set', () => {
    const shares = new Shares(ordered)
    expect(shares.committedBytesMax).toBe(56_000)
    shares.add(0, 2_000)
    shares.add(0, 50_000, 'named')
    expect(shares.committedBytesMax).toBe(4_000)
    shares.add(2, 10_000, 'named')
    expect(shares.committedBytesMax).toBe(0)
    const set = new Shares({ ...ordered, lifetime: { ...lifetime, retentionBytes: 7_000 } })
    expect(set.committedBytesMax).toBe(7_000)
  })

  test('say at the start if the sum does not fit, and what to change', () => {
    expect(new Shares(ordered).problem).toBeUndefined()
    // 8,000 of shares, 4,000 of what is fetched, and 52,000 are all.
    const fits = (namedBytesMax: number, retentionBytes: number): Shares =>
      new Shares({ ...ordered, lifetime: { namedBytesMax, retentionBytes } })
    expect(fits(52_000, 0).problem).toBeUndefined()
    expect(fits(22_000, 30_000).problem).toBeUndefined()
    const { problem } = fits(52_000, 13_000)
    expect(problem).toMatch(/^store_bytes_max is 65000, and there may be 78000 bytes .* retention_bytes 13000,/)
    const raised = Number(/Raise it to (\d+), or lower retention_bytes, batch_size or gc_depth$/.exec(problem!)![1])
    const larger = { ...ordered, storeBytesMax: raised, lifetime: { namedBytesMax: 52_000, retentionBytes: 13_000 } }
    expect(new Shares(larger).problem).toBeUndefined()
    expect(fits(52_001, 0).problem).toMatch(/, or lower batch_size or gc_depth$/)
  })
})
