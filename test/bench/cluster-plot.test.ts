import { describe, expect, it } from 'vitest'
import type { Choices, Configuration } from '../../bench/cluster/configuration.js'
import { configurationsOf } from '../../bench/cluster/configuration.js'
import type { Measurement } from '../../bench/cluster/measurement.js'
import { drawPlot } from '../../bench/cluster/plot.js'
import { panelsOf } from '../../bench/cluster/series.js'

const choices: Choices = { nodes: [4, 7], sizes: [512, 64], levels: ['stored', 'durable'] }

const environment = {
  cpu: 'a <cpu> & "co"',
  cores: 2,
  memory_bytes: 1e9,
  kernel: 'Linux 6.8',
  node: 'v20.20.2',
  commit: 'abc',
  date: '2024-01-02T03:04:05.678Z',
}

function measured(
  configuration: Configuration,
  points: [rate: number, bps: number, p50: number | null][],
): Measurement {
  return {
    configuration,
    points: points.map(([rate, bps, p50]) => ({
      rate,
      certifiedTps: rate,
      durationS: 10,
      run: {
        result: {
          config: {
            ...{ nodes: 4, workers: 1, rate, size: 512, duration: 1, faults: 0 },
            ...{ ack_level: 'stored', node_version: 'v20.20.2' },
          },
          certified: {
            ...{ transactions: 1, bytes: 1, batches: 1, tps: rate, bps },
            latency_ms: { mean: p50, p50, p99: p50 === null ? null : 2 * p50 },
          },
          sent_transactions: 1,
          lost_transactions: 0,
          cpu: { user_s: 1, system_s: 1, ns_per_transaction_byte: 1 },
          rss_bytes_max: 1,
        },
        disk_write_bytes: null,
        elapsed_s: 1,
      },
    })),
  }
}

const points: [number, number, number | null][] = [
  [20, 2e6, 60],
  [10, 1e6, 50],
]
const all = configurationsOf(choices).map((configuration) => measured(configuration, points))

describe('the panels of the plot', () => {
  it('are the sizes and the committee sizes at each level, with every configuration in its place', () => {
    const panels = panelsOf(choices, all)
    expect(panels.map(({ title }) => title)).toEqual([
      'Transaction sizes, 4 nodes, ACK level stored',
      'Committee sizes, 512 B, ACK level stored',
      'Transaction sizes, 4 nodes, ACK level durable',
      'Committee sizes, 512 B, ACK level durable',
    ])
    const names = panels.map(({ series }) => series.map(({ name, percentile }) => `${name} ${percentile}`))
    expect(names[0]).toEqual(['64 B p50', '64 B p99', '512 B p50', '512 B p99'])
    expect(names[1]).toEqual(['4 nodes p50', '4 nodes p99', '7 nodes p50', '7 nodes p99'])
  })

  it('have points of MB/s and ms, in the order of the offered rates', () => {
    const [sizes] = panelsOf(choices, all)
    expect(sizes!.series[0]!.points).toEqual([
      [1, 50],
      [2, 60],
    ])
    expect(sizes!.series[1]!.points.map(([, latencyMs]) => latencyMs)).toEqual([100, 120])
  })

  it('leave out what has no latency, and put less than a millisecond at one', () => {
    const configuration = configurationsOf(choices)[0]!
    const one = { nodes: [4], sizes: [512], levels: ['stored'] } as const
    const series = (p50: number | null) => panelsOf(one, [measured(configuration, [[10, 1e6, p50]])])
    expect(series(null)).toEqual([])
    expect(series(0)[0]!.series[0]!.points).toEqual([[1, 1]])
  })

  it('are one for each level where nothing is varied', () => {
    const one: Choices = { nodes: [4], sizes: [512], levels: ['stored', 'durable'] }
    const panels = panelsOf(
      one,
      configurationsOf(one).map((configuration) => measured(configuration, points)),
    )
    expect(panels.map(({ title }) => title)).toEqual([
      '4 nodes, 512 B, ACK level stored',
      '4 nodes, 512 B, ACK level durable',
    ])
  })
})

describe('the plot', () => {
  it('is an SVG with a background, a legend for each configuration, and both axes with units', () => {
    const svg = drawPlot(panelsOf(choices, all), environment, 10)
    expect(svg).toMatch(/^<svg [^>]*xmlns/)
    expect(svg).toContain('fill="#ffffff"')
    for (const text of [
      '64 B',
      '512 B',
      '4 nodes',
      '7 nodes',
      'p50',
      'p99',
      'MB/s of transactions',
      'certificate, ms',
    ]) {
      expect(svg).toContain(text)
    }
  })

  it('is well-formed: what the machine is called does not end an attribute or a tag', () => {
    const svg = drawPlot(panelsOf(choices, all), environment, 10)
    expect(svg).toContain('a &lt;cpu&gt; &amp; ')
    const withoutTags = svg.replaceAll(/<[^<>]*>/g, '')
    expect(withoutTags).not.toMatch(/[<>]/)
    // Quotes within an attribute are what a font's name once brought in.
    for (const [tag] of svg.matchAll(/<[a-z][^<>]*>/gi)) {
      expect(tag).toMatch(/^<[a-zA-Z]+(\s+[\w:-]+="[^"]*")*\s*\/?>$/)
    }
  })

  it('can be drawn of nothing', () => {
    expect(drawPlot([], environment, 10)).toMatch(/^<svg/)
  })
})
