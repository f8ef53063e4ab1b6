import { describe, expect, it } from 'vitest'
import { cpuRow, latencyRow, ROW_TITLES, rateRow, rowCells } from '../../bench/lib/row.js'
import { latencies, meanAndMargin, percentile } from '../../bench/lib/statistics.js'
import { formatBytesPerS, formatNumber, formatRate, formatSize, formatTime } from '../../bench/lib/units.js'

describe('a figure', () => {
  it('has three digits that count, however small it is', () => {
    expect([1250, 125, 12.5, 1.25, 0.125, 0.00125].map(formatNumber)).toEqual([
      '1250',
      '125',
      '12.5',
      '1.25',
      '0.125',
      '0.00125',
    ])
  })

  it('that rounds up to the next power of ten has three digits too', () => {
    expect([99.96, 9.996, 0.9996, 0.09996].map(formatNumber)).toEqual(['100', '10.0', '1.00', '0.100'])
  })

  it('of nothing is 0, and a negative one keeps its sign', () => {
    expect([0, -1.234].map(formatNumber)).toEqual(['0', '-1.23'])
  })

  it('of time is in the unit that leaves the fewest digits', () => {
    expect([0.25, 1, 999.4, 999.6, 12_500, 3.1e6, 2e9].map(formatTime)).toEqual([
      '0.250 ns',
      '1.00 ns',
      '999 ns',
      '1.00 µs',
      '12.5 µs',
      '3.10 ms',
      '2.00 s',
    ])
  })

  it('of a rate is in powers of 1000', () => {
    expect([12, 2_410_000].map(formatRate)).toEqual(['12.0', '2.41 M'])
    expect([950, 1.2e8, 2e9, 1.5e12].map(formatBytesPerS)).toEqual(['950 B/s', '120 MB/s', '2.00 GB/s', '1.50 TB/s'])
  })

  it('of a size is exact', () => {
    expect([32, 1024, 16_384, 262_064].map(formatSize)).toEqual(['32 B', '1 KiB', '16 KiB', '262064 B'])
  })
})

describe('a row', () => {
  const name = { stage: 'lmdb', case: 'put', op: 'batch' }

  it('has a cell for each title', () => {
    expect(rowCells(cpuRow(name, 1))).toHaveLength(ROW_TITLES.length)
  })

  it('of a rate says how many bytes that is', () => {
    expect(rowCells(rateRow(name, 2000, 1000, { rme_percent: 1.5 }))).toEqual([
      ...['lmdb', 'put', 'batch', '500 k', '2.00 µs', '±1.50 %', '500 MB/s', '2.00'],
    ])
  })

  it('of ops without bytes says nothing about them', () => {
    expect(rowCells(rateRow(name, 2000, undefined, {})).slice(5)).toEqual(['-', '-', '-'])
  })

  it('shows latency in place of a margin', () => {
    const cells = rowCells(latencyRow(name, { p50_ns: 1500, p99_ns: 2e6 }))
    expect(cells.slice(3)).toEqual(['-', '-', 'p50 1.50 µs, p99 2.00 ms', '-', '-'])
  })
})

describe('statistics', () => {
  it('a percentile is a sample: the least that as many are not above', () => {
    const sorted = Array.from({ length: 200 }, (_, n) => n + 1)
    expect([0, 0.5, 0.99, 1].map((share) => percentile(sorted, share))).toEqual([1, 100, 198, 200])
  })

  it('latencies are of samples in any order, compared as numbers', () => {
    expect(latencies([10, 9, 100])).toEqual({ p50_ns: 10, p99_ns: 100 })
  })

  it('samples that are all alike have no margin of error', () => {
    expect(meanAndMargin([4, 4, 4])).toEqual({ mean: 4, rmePercent: 0 })
  })

  it('the margin is that of Student: t · s / √n of the mean', () => {
    const { mean, rmePercent } = meanAndMargin([9, 10, 11])
    expect(mean).toBe(10)
    expect(rmePercent).toBeCloseTo((4.3 * Math.sqrt(1 / 3) * 100) / 10, 6)
  })

  it('a single sample has a mean and no margin', () => {
    expect(meanAndMargin([7])).toEqual({ mean: 7, rmePercent: undefined })
  })

  it('nothing has neither', () => {
    expect(() => meanAndMargin([])).toThrow(RangeError)
    expect(() => latencies([])).toThrow(RangeError)
  })
})
