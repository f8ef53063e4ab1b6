import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Latencies } from '../../../src/main/local/latencies.js'
import { canCertify, clientRate, type LocalOptions, startedWorkers } from '../../../src/main/local/options.js'
import { type Measurement, toResult, windowS } from '../../../src/main/local/result.js'
import { summary } from '../../../src/main/local/summary.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'

const options: LocalOptions = {
  nodes: 4,
  workers: 1,
  rate: 20_000,
  transactionBytes: 512,
  durationS: 10,
  faults: 1,
  unbuffered: false,
  ackLevel: 'stored',
  json: true,
  directory: undefined,
  keep: false,
}

function latenciesOf(...values: number[]): Latencies {
  const latencies = new Latencies()
  for (const value of values) latencies.record(value)
  return latencies
}

const nothing: Measurement = {
  firstStartMs: undefined,
  lastStopMs: undefined,
  lastCertifiedMs: undefined,
  certifiedBytes: 0,
  certifiedBatches: 0,
  sentTransactions: 0,
  latencies: new Latencies(),
  cpuUserS: 0.5,
  cpuSystemS: 0.25,
  rssBytesMax: 123,
}

const something: Measurement = {
  ...nothing,
  firstStartMs: 1_000,
  lastStopMs: 11_000,
  lastCertifiedMs: 11_000,
  certifiedBytes: 1000 * 512,
  certifiedBatches: 3,
  sentTransactions: 1001,
  latencies: latenciesOf(10, 20, 30),
}

describe('latencies', () => {
  it('percentiles are the nearest rank of the sorted values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(500), { minLength: 1, maxLength: 300 }),
        fc.constantFrom(0.01, 0.5, 0.9, 0.99, 1),
        (values, fraction) => {
          const sorted = [...values].sort((a, b) => a - b)
          const expected = sorted[Math.max(1, Math.ceil(fraction * sorted.length)) - 1]
          expect(latenciesOf(...values).percentileMs(fraction)).toBe(expected)
        },
      ),
    )
  })

  it('without a value there is no mean and no percentile', () => {
    expect([new Latencies().meanMs, new Latencies().percentileMs(0.5)]).toEqual([null, null])
  })

  it('those of several workers add up', () => {
    const sum = latenciesOf(1, 2)
    sum.add(latenciesOf(2, 7))
    expect([sum.count, sum.meanMs, sum.percentileMs(0.5), sum.percentileMs(0.99)]).toEqual([4, 3, 2, 7])
  })

  it('a clock that was set back gives zero, not a negative latency', () => {
    expect(latenciesOf(-5).meanMs).toBe(0)
  })
})

describe('result', () => {
  it('with nothing certified rates are 0 and quotients null', () => {
    expect(toResult(options, 'v20.20.2', nothing)).toEqual({
      config: {
        nodes: 4,
        workers: 1,
        rate: 20_000,
        size: 512,
        duration: 10,
        faults: 1,
        ack_level: 'stored',
        node_version: 'v20.20.2',
      },
      certified: {
        transactions: 0,
        bytes: 0,
        batches: 0,
        tps: 0,
        bps: 0,
        latency_ms: { mean: null, p50: null, p99: null },
      },
      sent_transactions: 0,
      lost_transactions: 0,
      cpu: { user_s: 0.5, system_s: 0.25, ns_per_transaction_byte: null },
      rss_bytes_max: 123,
    })
  })

  it('rates are over the window, CPU is per byte of certified transactions, lost is what was sent and not certified', () => {
    const result = toResult(options, 'v20', something)
    expect(result.certified).toEqual({
      transactions: 1000,
      bytes: 512_000,
      batches: 3,
      tps: 100,
      bps: 51_200,
      latency_ms: { mean: 20, p50: 20, p99: 30 },
    })
    expect(result.lost_transactions).toBe(1)
    expect(result.cpu.ns_per_transaction_byte).toBe(1464.84)
    expect('unbuffered' in result.config).toBe(false)
    expect(toResult({ ...options, unbuffered: true }, 'v20', something).config.unbuffered).toBe(true)
  })

  it('time spent on certifying what was left over counts, so that draining cannot raise a rate', () => {
    expect(windowS({ ...something, lastCertifiedMs: 16_000 })).toBe(15)
    expect(windowS({ ...something, lastCertifiedMs: 9_000 })).toBe(10)
  })
})

describe('summary', () => {
  it("is the reference's block up to its results", () => {
    const text = summary(options, defaultParameters(), toResult(options, 'v20', something), 10)
    expect(text.split('\n').slice(0, 20)).toEqual([
      '',
      '-----------------------------------------',
      ' SUMMARY:',
      '-----------------------------------------',
      ' + CONFIG:',
      ' Faults: 1 node(s)',
      ' Committee size: 4 node(s)',
      ' Worker(s) per node: 1 worker(s)',
      ' Collocate primary and workers: True',
      ' Input rate: 20,000 tx/s',
      ' Transaction size: 512 B',
      ' Execution time: 10 s',
      '',
      ' Header size: 1,000 B',
      ' Max header delay: 100 ms',
      ' GC depth: 50 round(s)',
      ' Sync retry delay: 5,000 ms',
      ' Sync retry nodes: 3 node(s)',
      ' batch size: 500,000 B',
      ' Max batch delay: 100 ms',
    ])
    expect(text).toContain(' Certified TPS: 100 tx/s\n Certified BPS: 51,200 B/s\n')
    expect(text).toContain(' Lost: 1 tx\n')
  })

  it('says that there is no latency where nothing was certified', () => {
    expect(summary(options, defaultParameters(), toResult(options, 'v20', nothing), 0)).toContain(
      ' Certified latency: none\n',
    )
  })
})

describe('options', () => {
  it('the last authorities are left out, and workers keep their numbers', () => {
    expect(startedWorkers({ nodes: 3, workers: 2, faults: 1 })).toEqual([
      { authority: 0, worker: 0 },
      { authority: 0, worker: 1 },
      { authority: 1, worker: 0 },
      { authority: 1, worker: 1 },
    ])
  })

  it('a committee certifies with f of 3f + 1 left out, and not with one more', () => {
    for (const [nodes, faults] of [
      [1, 0],
      [4, 1],
      [7, 2],
      [10, 3],
    ] as const) {
      expect(canCertify({ nodes, faults })).toBe(true)
      expect(canCertify({ nodes, faults: faults + 1 })).toBe(false)
    }
  })

  it("a client's rate is its share of all workers of the committee, rounded up, as in the reference", () => {
    expect(clientRate({ nodes: 4, workers: 2, rate: 20_001 })).toBe(2501)
  })
})
