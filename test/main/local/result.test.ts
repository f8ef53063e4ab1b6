import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Agreement } from '../../../src/main/local/agreement.js'
import {
  type CommitteeMeasurement,
  referenceFigures,
  toAuthorityResult,
} from '../../../src/main/local/authority-result.js'
import { Latencies } from '../../../src/main/local/latencies.js'
import { Ledger } from '../../../src/main/local/ledger.js'
import { canCertify, clientRate, type LocalOptions, startedWorkers } from '../../../src/main/local/options.js'
import { type Measurement, toResult, windowS } from '../../../src/main/local/result.js'
import { summary } from '../../../src/main/local/summary.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'

const options: LocalOptions = {
  nodes: 4,
  workers: 1,
  rate: 20_000,
  transactionBytes: 512,
  warmupS: 0,
  api: undefined,
  durationS: 10,
  faults: 1,
  unbuffered: false,
  split: false,
  ackLevel: 'stored',
  rule: 'shoal',
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
  fromMs: undefined,
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
  fromMs: 1_000,
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

const A = { authority: 0, worker: 0 }
const B = { authority: 1, worker: 0 }

/** Two authorities, a batch of each; the second lags, and has read one commit less. */
function committee(): CommitteeMeasurement {
  const ledger = new Ledger(2)
  ledger.sampleSent(A, 0, 1_000)
  ledger.sampleSent(B, 0, 1_100)
  for (const [authority, digest, name] of [
    [0, 'x', A],
    [1, 'y', B],
  ] as const) {
    ledger.containsSample(name, digest, 0)
    ledger.contains(authority, digest, 500 * 512)
    ledger.certified(digest, 1_150 + 10 * authority)
    ledger.created(digest, 2_000 + 50 * authority)
  }
  ledger.committed(0, 'x', 3_000)
  ledger.committed(1, 'x', 2_900)
  ledger.committed(0, 'y', 6_000)
  ledger.sampleRead(A, 0, 3_010)
  ledger.finish()
  const agreement = new Agreement(2)
  const first = { index: 1, digest: '0a'.repeat(32), batches: 1, bytes: 500 * 512, checksum: '00000000' }
  agreement.read(0, first, 3_010)
  agreement.read(1, first, 21_000)
  agreement.read(0, { ...first, index: 2, digest: '0b'.repeat(32) }, 6_010)
  const { fromMs, lastStopMs, cpuSystemS, cpuUserS, rssBytesMax } = something
  return { fromMs, lastStopMs, cpuSystemS, cpuUserS, rssBytesMax, sentTransactions: 1001, ledger, agreement }
}

const untouched = (): CommitteeMeasurement => ({
  ...committee(),
  fromMs: undefined,
  lastStopMs: undefined,
  sentTransactions: 0,
  ledger: new Ledger(2),
  agreement: new Agreement(2),
})

describe('result of authorities', () => {
  it('has the order beside what was certified; what only some have read is lost', () => {
    const result = toAuthorityResult(options, 'v20', committee())
    expect(Object.keys(result)).toEqual([
      'config',
      'certified',
      'consensus',
      'end_to_end',
      'commits',
      'sent_transactions',
      'lost_transactions',
      'cpu',
      'rss_bytes_max',
    ])
    expect(result.config.rule).toBe('shoal')
    expect(result.certified).toMatchObject({ transactions: 1000, batches: 2, latency_ms: { mean: 105 } })
    // Both batches, from the first header at 2 s to the last commit at 6 s; each takes 0.9 and 3.95 s from its own.
    expect(result.consensus).toEqual({ tps: 250, bps: 128_000, latency_ms: { mean: 2425, p50: 900, p99: 3950 } })
    // The one that both have read, when the slower one had; the other's client waits.
    expect(result.end_to_end).toEqual({ tps: 25, bps: 12_800, latency_ms: { mean: 2010, p50: 2010, p99: 2010 } })
    expect(result.commits).toEqual({ count: 1, digest: '0a'.repeat(32), agree: true })
    expect([result.sent_transactions, result.lost_transactions]).toEqual([1001, 501])
  })

  it('says that logs differ', () => {
    const measurement = committee()
    const second = { index: 2, digest: 'ff'.repeat(32), batches: 1, bytes: 500 * 512, checksum: '00000000' }
    measurement.agreement.read(1, second, 22_000)
    expect(toAuthorityResult(options, 'v20', measurement).commits.agree).toBe(false)
    expect(summaryOf(measurement)).toContain(' Logs: THEY DIFFER: commit 2 is 0b0b')
  })

  it('with nothing ordered rates are 0, latencies and the digest null', () => {
    const { commits, consensus, end_to_end, lost_transactions } = toAuthorityResult(options, 'v20', untouched())
    const nothingFlows = { tps: 0, bps: 0, latency_ms: { mean: null, p50: null, p99: null } }
    expect([consensus, end_to_end]).toEqual([nothingFlows, nothingFlows])
    expect(commits).toEqual({ count: 0, digest: null, agree: true })
    expect(lost_transactions).toBe(0)
  })
})

/** What the reference's parser takes from logs (benchmark/logs.py): every line is kept, and all is computed at the end. */
interface ParsedLogs {
  readonly starts: number[]
  readonly sent: Map<string, number>
  readonly sizes: Map<string, number>
  readonly samples: Map<string, string>
  readonly proposals: Map<string, number>
  readonly commits: Map<string, number>
}

function earliest(times: Map<string, number>, digest: string, timeMs: number): void {
  times.set(digest, Math.min(times.get(digest) ?? timeMs, timeMs))
}

function parserFigures({ commits, proposals, samples, sent, sizes, starts }: ParsedLogs, transactionBytes: number) {
  const mean = (values: number[]): number => (values.length === 0 ? 0 : values.reduce((a, b) => a + b) / values.length)
  const bytes = [...sizes].filter(([digest]) => commits.has(digest)).reduce((sum, [, size]) => sum + size, 0)
  const end = Math.max(...commits.values())
  const rates = (start: number) => ({
    bps: bytes / ((end - start) / 1000),
    tps: bytes / ((end - start) / 1000) / transactionBytes,
  })
  return {
    consensus: {
      ...rates(Math.min(...proposals.values())),
      latencyMs: mean([...commits].map(([digest, timeMs]) => timeMs - proposals.get(digest)!)),
    },
    endToEnd: {
      ...rates(Math.min(...starts)),
      latencyMs: mean(
        [...samples]
          .filter(([, digest]) => commits.has(digest))
          .map(([sample, digest]) => commits.get(digest)! - sent.get(sample)!),
      ),
    },
  }
}

describe("the reference's figures", () => {
  it('are those that its parser takes from the same lines', () => {
    const batchOf = fc.record({
      author: fc.nat(3),
      bytes: fc.integer({ min: 1, max: 500_000 }),
      sentMs: fc.integer({ min: 1_001, max: 2_000 }),
      createdAfterMs: fc.integer({ min: 1, max: 200 }),
      // By authority; some never commit it, as far as their logs go.
      committedAfterMs: fc.array(fc.option(fc.integer({ min: 1, max: 900 }), { nil: undefined }), {
        minLength: 4,
        maxLength: 4,
      }),
    })
    fc.assert(
      fc.property(
        fc.array(batchOf, { minLength: 1, maxLength: 12 }),
        fc.infiniteStream(fc.nat(1_000)),
        (batches, order) => {
          fc.pre(batches.some(({ committedAfterMs }) => committedAfterMs.some((after) => after !== undefined)))
          const logs: ParsedLogs = {
            starts: [1_000],
            sent: new Map(),
            sizes: new Map(),
            samples: new Map(),
            proposals: new Map(),
            commits: new Map(),
          }
          const lines: ((ledger: Ledger) => void)[] = []
          for (const [number, batch] of batches.entries()) {
            const { author, bytes, committedAfterMs, createdAfterMs, sentMs } = batch
            const name = { authority: author, worker: 0 }
            const digest = `digest-${number}`
            const createdMs = sentMs + createdAfterMs
            logs.sent.set(digest, sentMs)
            logs.sizes.set(digest, bytes)
            logs.samples.set(digest, digest)
            earliest(logs.proposals, digest, createdMs)
            lines.push(
              (ledger) => ledger.sampleSent(name, number, sentMs),
              (ledger) => ledger.containsSample(name, digest, number),
              (ledger) => ledger.contains(author, digest, bytes),
              (ledger) => ledger.certified(digest, sentMs + 1),
              (ledger) => ledger.created(digest, createdMs),
            )
            for (const [authority, after] of committedAfterMs.entries()) {
              if (after === undefined) continue
              earliest(logs.commits, digest, createdMs + after)
              lines.push((ledger) => ledger.committed(authority, digest, createdMs + after))
            }
          }
          const ledger = new Ledger(4)
          const keys = lines.map(() => order.next().value!)
          for (const { line } of lines.map((line, at) => ({ line, key: keys[at]! })).sort((a, b) => a.key - b.key))
            line(ledger)
          ledger.finish()
          const { consensus, endToEnd } = referenceFigures(options, { fromMs: 1_000, ledger })
          const expected = parserFigures(logs, options.transactionBytes)
          for (const [ours, theirs] of [
            [consensus, expected.consensus],
            [endToEnd, expected.endToEnd],
          ] as const) {
            expect(ours.bps).toBeCloseTo(theirs.bps, 6)
            expect(ours.tps).toBeCloseTo(theirs.tps, 6)
            expect(ours.latencyMs).toBeCloseTo(theirs.latencyMs, 6)
          }
        },
      ),
    )
  })
})

function summaryOf(measurement: CommitteeMeasurement): string {
  const parameters = defaultParameters()
  const result = toAuthorityResult(options, 'v20', measurement)
  const reference = referenceFigures(options, measurement)
  return summary({ options, parameters, result, reference, agreement: measurement.agreement })
}

describe('summary', () => {
  it("is the reference's block, line by line, and ours behind it", () => {
    expect(summaryOf(committee()).split('\n')).toEqual([
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
      ' Execution time: 5 s',
      '',
      ' Header size: 1,000 B',
      ' Max header delay: 100 ms',
      ' GC depth: 50 round(s)',
      ' Sync retry delay: 5,000 ms',
      ' Sync retry nodes: 3 node(s)',
      ' batch size: 500,000 B',
      ' Max batch delay: 100 ms',
      '',
      ' + RESULTS:',
      ' Consensus TPS: 250 tx/s',
      ' Consensus BPS: 128,000 B/s',
      ' Consensus latency: 2,425 ms',
      '',
      ' End-to-end TPS: 200 tx/s',
      ' End-to-end BPS: 102,400 B/s',
      ' End-to-end latency: 3,400 ms',
      '',
      ' + RESULTS of narval, rule shoal, ACK level stored:',
      ' Certified: 100 tx/s, latency 105 ms (p50 60, p99 150)',
      ' Consensus: 250 tx/s, latency 2,425 ms (p50 900, p99 3950)',
      ' Read by all: 25 tx/s, latency 2,010 ms (p50 2010, p99 2010)',
      '',
      ' Sent: 1,001 tx',
      ' Certified: 1,000 tx in 2 batches',
      ' Lost: 501 tx',
      ` Logs: all 3 agree on 1 commit, up to ${'0a'.repeat(32)}`,
      ' CPU of the nodes: 0.8 s (1464.8 ns per transaction byte)',
      ' Memory of the largest node: 0 kB',
      '-----------------------------------------',
      '',
    ])
  })

  it('says that there is no latency where nothing was certified, and zeros where the reference does', () => {
    const text = summaryOf(untouched())
    expect(text).toContain(' Certified: 0 tx/s, latency none\n')
    expect(text).toContain(' Consensus latency: 0 ms\n')
    expect(text).toContain(' Logs: no commit\n')
  })

  it('where there is no quorum, nothing is lost', () => {
    const measurement = untouched()
    const few = { ...options, faults: 2 }
    const result = toAuthorityResult(few, 'v20', { ...measurement, sentTransactions: 7 })
    const reference = referenceFigures(few, measurement)
    const { agreement } = measurement
    const text = summary({ options: few, parameters: defaultParameters(), result, reference, agreement })
    expect(text).toContain(' Uncertified: 7 tx, for want of a quorum: 2 of 4 authorities run, and 3 are needed\n')
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
