import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Choices, configurationsOf, nameOf } from '../../bench/cluster/configuration.js'
import { costOf, ratiosOf } from '../../bench/cluster/ratios.js'
import { follows, nextRate, type Point, saturationOf, startRateOf } from '../../bench/cluster/saturation.js'
import { writtenBytes } from '../../bench/lib/disk-writes.js'

const options = { startRate: 1_000, resolution: 1.25, pointsMax: 20 }

/** Searches a machine that certifies everything up to its capacity, and that much beyond it. */
function search(capacity: number, overrides: Partial<typeof options> = {}): Point[] {
  const points: Point[] = []
  for (;;) {
    const rate = nextRate(points, { ...options, ...overrides })
    if (rate === undefined) return points
    points.push({ rate, certifiedTps: Math.min(rate, capacity), durationS: 10 })
  }
}

describe('the search for the saturation', () => {
  it('begins with the rate that it is given', () => {
    expect(nextRate([], options)).toBe(1_000)
  })

  it('doubles while what is certified follows, then halves the gap', () => {
    expect(search(6_000).map(({ rate }) => rate)).toEqual([1_000, 2_000, 4_000, 8_000, 5_700, 6_800])
  })

  it('goes down where the first rate is too high already', () => {
    const rates = search(300).map(({ rate }) => rate)
    expect(rates.slice(0, 3)).toEqual([1_000, 500, 250])
  })

  it('ends within the resolution of any capacity', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 200_000 }), (capacity) => {
        const points = search(capacity)
        const { rate } = saturationOf(points)!
        expect(points.length).toBeLessThan(options.pointsMax)
        // A rate is followed when 95 % of it are certified, and rates have two digits.
        expect(rate).toBeLessThanOrEqual(capacity / 0.95)
        expect(rate * options.resolution * 1.1).toBeGreaterThan(capacity)
      }),
    )
  })

  it('asks for no rate twice', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), (capacity) => {
        const rates = search(capacity, { startRate: 4, resolution: 1.01 }).map(({ rate }) => rate)
        expect(new Set(rates).size).toBe(rates.length)
      }),
    )
  })

  it('does not take the tail of a short run for saturation', () => {
    expect(follows({ rate: 1_000, certifiedTps: 900, durationS: 2 })).toBe(true)
    expect(follows({ rate: 1_000, certifiedTps: 900, durationS: 20 })).toBe(false)
  })

  it('gives up where a tenth of the first rate is too much', () => {
    expect(search(0).map(({ rate }) => rate)).toEqual([1_000, 500, 250, 130])
  })

  it('ends after as many runs as it may have, and where nothing is ever certified', () => {
    expect(search(1e9, { pointsMax: 3 })).toHaveLength(3)
    expect(search(0, { startRate: 4 }).map(({ rate }) => rate)).toEqual([4, 2, 1])
  })

  it('takes a rate that was missed below one that was followed for bad luck', () => {
    const points = [
      { rate: 1_000, certifiedTps: 500, durationS: 10 },
      { rate: 2_000, certifiedTps: 2_000, durationS: 10 },
    ]
    expect(nextRate(points, options)).toBe(4_000)
    expect(saturationOf(points)!.rate).toBe(2_000)
  })

  it('begins lower for more nodes and for larger transactions', () => {
    expect(startRateOf(10, 512)).toBeLessThan(startRateOf(4, 512))
    expect(startRateOf(4, 4096)).toBeLessThan(startRateOf(4, 512))
  })
})

describe('the saturation', () => {
  it('is the highest rate that was followed, in whatever order rates were offered', () => {
    const points = search(6_000)
    expect(saturationOf(points)!.rate).toBe(5_700)
    expect(saturationOf([...points].reverse())!.rate).toBe(5_700)
  })

  it('is the point that certified most where no rate was followed, and nothing without points', () => {
    const points = [
      { rate: 8_000, certifiedTps: 3_000, durationS: 10 },
      { rate: 4_000, certifiedTps: 3_500, durationS: 10 },
    ]
    expect(points.some(follows)).toBe(false)
    expect(saturationOf(points)!.rate).toBe(4_000)
    expect(saturationOf([])).toBeUndefined()
  })
})

describe('the configurations', () => {
  const choices: Choices = { nodes: [4, 7, 10], sizes: [64, 512, 4096], levels: ['stored', 'durable'] }

  it('vary one thing at a time around 4 × 512 B, at each level', () => {
    expect(configurationsOf(choices).map(nameOf)).toEqual(
      ['stored', 'durable'].flatMap((level) =>
        ['4 × 512', '4 × 64', '4 × 4096', '7 × 512', '10 × 512'].map((name) => `${level}, ${name} B`),
      ),
    )
  })

  it('have the first choices for a base where 4 and 512 B are not among them', () => {
    const names = configurationsOf({ nodes: [7, 10], sizes: [64, 128], levels: ['stored'] }).map(nameOf)
    expect(names).toEqual(['stored, 7 × 64 B', 'stored, 7 × 128 B', 'stored, 10 × 64 B'])
  })
})

describe('the costs', () => {
  const result = (bytes: number, user_s: number, system_s: number) => ({
    certified: { transactions: 0, bytes, batches: 0, tps: 0, bps: 0, latency_ms: { mean: null, p50: null, p99: null } },
    cpu: { user_s, system_s, ns_per_transaction_byte: null },
  })

  it('are CPU time over certified bytes, user and system apart', () => {
    expect(costOf(result(1e9, 20, 5))).toEqual({ total: 25, user: 20, system: 5 })
  })

  it('have ratios of the product to each floor', () => {
    const ratios = ratiosOf(costOf(result(1e9, 20, 5)), costOf(result(2e9, 16, 4)), costOf(result(1e9, 12, 3)))
    expect(ratios).toEqual({
      product_to_floor: 2.5,
      product_to_floor_user: 2.5,
      product_to_floor_system: 2.5,
      product_to_libp2p: 1.67,
      libp2p_to_floor: 1.5,
    })
  })

  it('are null where nothing was certified, and so is every ratio with them', () => {
    const nothing = costOf(result(0, 1, 1))
    expect(nothing).toEqual({ total: null, user: null, system: null })
    expect(new Set(Object.values(ratiosOf(nothing, nothing, nothing)))).toEqual(new Set([null]))
  })
})

describe('what reached the disk', () => {
  const diskstats =
    ' 254       0 vda 71025 76 4157998 9500 113216 17000 42391576 99000 0 1 2 0 0 0 0 3 4\n 254  1 vda1 1 2 3 4 5 6 7 8\n'

  it('is the written sectors of the one device', () => {
    expect(writtenBytes(diskstats, '254:0')).toBe(42391576 * 512)
    expect(writtenBytes(diskstats, '254:1')).toBe(7 * 512)
  })

  it('is null for a device that the system does not list', () => {
    expect(writtenBytes(diskstats, '0:47')).toBeNull()
  })
})
