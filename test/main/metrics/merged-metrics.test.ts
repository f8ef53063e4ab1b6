import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { byLabel, parseMetrics } from '../../../src/main/local/metrics-text.js'
import { MergedMetrics } from '../../../src/main/metrics/merged-metrics.js'

function registryOf(value: number, more: (registry: Registry) => void = () => {}): Registry {
  const registry = new Registry()
  const registers = [registry]
  new Gauge({ name: 'narval_store_bytes', help: 'Bytes.', registers }).set(value)
  new Counter({ name: 'narval_refusals_total', help: 'Refused.', labelNames: ['kind'], registers }).inc({
    kind: 'peer',
  })
  new Histogram({ name: 'narval_seconds', help: 'Time.', buckets: [1], registers }).observe(value)
  new Gauge({ name: 'process_cpu_user_seconds_total', help: 'CPU.', registers }).set(value)
  more(registry)
  return registry
}

describe('the metrics of an authority', () => {
  const parts = () => [
    {
      registry: registryOf(
        1,
        (registry) => new Gauge({ name: 'narval_primary_round', help: 'Round.', registers: [registry] }),
      ),
    },
    { registry: registryOf(2), labels: { worker: '0' } },
    { registry: registryOf(3), labels: { worker: '7' } },
  ]

  test('have every family once, with the rows of all, each with its label', async () => {
    const text = await new MergedMetrics(parts()).text()
    const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
    expect(types).toEqual([...new Set(types)])
    const helps = [...text.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name)
    expect(helps).toEqual(types)
    const metrics = parseMetrics(text)
    expect(metrics.get('narval_store_bytes')).toEqual([
      { labels: {}, value: 1 },
      { labels: { worker: '0' }, value: 2 },
      { labels: { worker: '7' }, value: 3 },
    ])
    expect(metrics.get('narval_refusals_total')).toContainEqual({ labels: { kind: 'peer', worker: '7' }, value: 1 })
    expect([...byLabel(metrics, 'narval_seconds_sum', 'worker')]).toEqual([
      ['0', 2],
      ['7', 3],
    ])
    expect(metrics.get('narval_primary_round')).toEqual([{ labels: {}, value: 0 }])
  })

  test('keep the rows of a family together, as the format wants', async () => {
    const text = await new MergedMetrics(parts()).text()
    for (const block of text.trim().split('\n\n')) {
      const [help, type, ...rows] = block.split('\n')
      const name = /^# HELP (\S+)/.exec(help!)![1]!
      expect(type).toMatch(new RegExp(`^# TYPE ${name} `))
      for (const row of rows) expect(row.startsWith(name)).toBe(true)
    }
  })

  test('have what is of the process once', async () => {
    const metrics = parseMetrics(await new MergedMetrics(parts()).text())
    expect(metrics.get('process_cpu_user_seconds_total')).toEqual([{ labels: {}, value: 1 }])
  })
})
