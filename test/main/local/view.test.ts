import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Latencies } from '../../../src/main/local/latencies.js'
import { emptyStages, type StageLatencies } from '../../../src/main/local/ledger.js'
import { peerNumber } from '../../../src/main/local/live-view.js'
import { byLabel, greatestOf, parseMetrics, sumOf } from '../../../src/main/local/metrics-text.js'
import { joinScrapes, type NodeStats, nodeStats, processUse } from '../../../src/main/local/node-stats.js'
import { History, sparkline } from '../../../src/main/local/sparkline.js'
import {
  clip,
  paint,
  redraw,
  type StyledLine,
  styled,
  wantsColours,
  widthOf,
} from '../../../src/main/local/styled-text.js'
import {
  type Canvas,
  drawView,
  formatBytes,
  formatElapsed,
  lagOf,
  type ViewRow,
  type ViewState,
} from '../../../src/main/local/view.js'

const text = (transactions: number, ackSum: number, ackCount: number): string => `
# HELP narval_transactions_certified_total Transactions in certified batches.
# TYPE narval_transactions_certified_total counter
narval_transactions_certified_total ${transactions}
narval_transaction_bytes_certified_total ${transactions * 512}
narval_batches_in_flight 3
narval_store_bytes 2.5e+6
process_resident_memory_bytes 104857600
narval_rss_bytes_max 204857600
process_cpu_user_seconds_total{worker="0"} 1.5
process_cpu_user_seconds_total{worker="1"} 1.5
narval_primary_round 12
process_cpu_system_seconds_total 0.5
narval_ack_latency_seconds_bucket{le="0.005",peer="abc"} 1
narval_ack_latency_seconds_bucket{le="+Inf",peer="abc"} ${ackCount}
narval_ack_latency_seconds_sum{peer="abc"} ${ackSum}
narval_ack_latency_seconds_count{peer="abc"} ${ackCount}
narval_refusals_total{kind="peer",reason="batch \\"x\\""} 2
narval_refusals_total{kind="client",reason="too-large"} 3
`

describe('metrics text', () => {
  it('values, labels and escapes are read, comments are not', () => {
    const metrics = parseMetrics(text(10, 0, 0))
    expect(metrics.get('narval_store_bytes')).toEqual([{ labels: {}, value: 2_500_000 }])
    expect(sumOf(metrics, 'narval_refusals_total')).toBe(5)
    expect(byLabel(metrics, 'narval_refusals_total', 'reason')).toEqual(
      new Map([
        ['batch "x"', 2],
        ['too-large', 3],
      ]),
    )
    expect(metrics.get('narval_ack_latency_seconds_bucket')).toHaveLength(2)
    expect([...metrics.keys()].some((name) => name.includes('#'))).toBe(false)
  })

  it('what is missing counts as zero', () => {
    expect(sumOf(parseMetrics(''), 'narval_store_bytes')).toBe(0)
    expect(greatestOf(parseMetrics(''), 'narval_store_bytes')).toBe(0)
  })
})

describe('node statistics', () => {
  it('ACK latencies are those between two scrapes', () => {
    const before = { metrics: parseMetrics(text(100, 1, 10)) }
    const now = { metrics: parseMetrics(text(300, 1.5, 110)) }
    expect(nodeStats(before, now)).toEqual({
      round: 12,
      batchesInFlight: 3,
      ackMsByPeer: new Map([['abc', 5]]),
      rssBytes: 104_857_600,
      storeBytes: 2_500_000,
      missing: undefined,
    })
  })

  it('whose stake is missing is said while nothing is ordered, and not before', () => {
    const of = (ordering: number): NodeStats =>
      nodeStats(undefined, {
        metrics: parseMetrics(
          `narval_primary_ordering ${ordering}\nnarval_primary_missing_stake{authority="abc"} 1\nnarval_primary_missing_stake{authority="def"} 2\n`,
        ),
      })
    expect(of(1).missing).toBeUndefined()
    expect(of(0).missing).toEqual(
      new Map([
        ['abc', 1],
        ['def', 2],
      ]),
    )
  })

  it('a first scrape counts since the start, and a peer without a new ACK has no latency', () => {
    const now = { metrics: parseMetrics(text(300, 1.1, 110)) }
    expect(nodeStats(undefined, now).ackMsByPeer).toEqual(new Map([['abc', 10]]))
    expect(nodeStats(now, now).ackMsByPeer).toEqual(new Map())
  })

  it('several processes of an authority are one row: what they hold adds up', () => {
    const one = { metrics: parseMetrics(text(300, 1.5, 110)) }
    const joined = nodeStats(undefined, joinScrapes([one, one])!)
    expect([joined.rssBytes, joined.batchesInFlight]).toEqual([2 * 104_857_600, 6])
    expect(joinScrapes([one, undefined])).toBeUndefined()
    expect(nodeStats(undefined, joinScrapes([one])!)).toEqual(nodeStats(undefined, one))
  })

  it('the use of a process is its CPU time and the most that it held, however many parts say it', () => {
    expect(processUse(parseMetrics(text(0, 0, 0)))).toEqual({ userS: 1.5, systemS: 0.5, rssBytesMax: 204_857_600 })
  })
})

function latenciesOf(...values: number[]): Latencies {
  const latencies = new Latencies()
  for (const value of values) latencies.record(value)
  return latencies
}

const stages = (certified: number, ordered: number, endToEnd: number): StageLatencies => ({
  certified: latenciesOf(certified, 2 * certified),
  ordered: latenciesOf(ordered, 2 * ordered),
  endToEnd: latenciesOf(endToEnd, 2 * endToEnd),
})

const stats: NodeStats = {
  round: 1312,
  batchesInFlight: 3,
  ackMsByPeer: new Map([
    ['1', 4.25],
    ['2', 130.4],
  ]),
  rssBytes: 204e6,
  storeBytes: 2.5e9,
  missing: undefined,
}

const row: ViewRow = {
  name: '0',
  stats,
  commit: 1298,
  commitsPerS: 24,
  certifiedPerS: 5_000.4,
  orderedPerS: 20_003,
  latencies: stages(20, 50, 55),
}

const digest = `3f2a9c01${'00'.repeat(28)}`

const state: ViewState = {
  head: { authorities: 4, faults: 1, quorum: 3, rule: 'shoal', rate: 20_000, transactionBytes: 512 },
  elapsedS: 75,
  rows: [row, { ...row, name: '1' }, { ...row, name: '2', commit: 1297 }],
  latencies: stages(20, 50, 55),
  logs: { count: 1297, difference: undefined, digest },
  throughput: [undefined, 0, 10_000, 20_003],
  p99Ms: [undefined, undefined, 55, 110],
}

const UNLIMITED: Canvas = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY }

function textOf(drawn: readonly StyledLine[]): string[] {
  return drawn.map((line) => paint(line, false))
}

/** The piece of the drawing with exactly this text. */
function pieceOf(drawn: readonly StyledLine[], text: string) {
  return drawn.flat().find((piece) => piece.text === text)
}

describe('the view', () => {
  it('has a line for each authority, their sum, how it went of late, and whether the logs agree', () => {
    expect(textOf(drawView(state, UNLIMITED))).toEqual([
      'narval  4 authorities, 1 left out · shoal · 20,000 tx/s of 512 B · 1:15',
      '',
      '                                ────── tx/s ──────  ──── latency p50/p99, ms ─────',
      'node  round  commit  commits/s  certified  ordered  certified  ordered  end to end  in flight  memory    store  ACK ms by peer',
      '0     1,312   1,298       24.0      5,000   20,003      20/40   50/100      55/110          3  204 MB  2.50 GB  1: 4.3  2: 130',
      '1     1,312   1,298       24.0      5,000   20,003      20/40   50/100      55/110          3  204 MB  2.50 GB  1: 4.3  2: 130',
      '2     1,312   1,297       24.0      5,000   20,003      20/40   50/100      55/110          3  204 MB  2.50 GB  1: 4.3  2: 130',
      'all           1,297       24.0     15,001   20,003      20/40   50/100      55/110          9  612 MB  7.50 GB',
      '',
      'tx/s ordered     ▁▄█ 20,003',
      'p99 end to end    ▅█ 110 ms',
      'All 3 logs agree on 1,297 commits, up to 3f2a9c0100000000…, the furthest is 1 ahead',
    ])
  })

  it('of one authority does not speak of several', () => {
    const one = { ...state, rows: state.rows.slice(0, 1), logs: { ...state.logs, count: 1 } }
    expect(textOf(drawView(one, UNLIMITED)).at(-1)).toMatch(
      /^The log of the one authority has 1 commit, up to 3f2a9c01/,
    )
  })

  it('before there is anything, it says so', () => {
    const none: ViewRow = {
      ...row,
      stats: undefined,
      commit: 0,
      commitsPerS: 0,
      certifiedPerS: 0,
      orderedPerS: 0,
      latencies: emptyStages(),
    }
    const nothing: ViewState = {
      ...state,
      elapsedS: 0,
      rows: [none],
      latencies: emptyStages(),
      logs: { count: 0, difference: undefined, digest: undefined },
      throughput: [],
      p99Ms: [],
    }
    const drawn = textOf(drawView(nothing, UNLIMITED))
    expect(drawn[4]).toBe(
      '0         -       0        0.0          0        0          -        -           -          -       -      -  -',
    )
    expect(drawn.slice(-3)).toEqual(['tx/s ordered     -', 'p99 end to end   -', 'No commit is read by all yet'])
  })

  it('without a quorum it says that nothing is ordered', () => {
    const head = { ...state.head, faults: 2 }
    const drawn = textOf(drawView({ ...state, head, rows: state.rows.slice(1) }, UNLIMITED))
    expect(drawn.at(-1)).toBe('Nothing is ordered: 2 of 4 run, and 3 are a quorum')
  })

  it('in a stall it names who is missing, when all that answer say so', () => {
    const stalled = (...missing: [string, number][]): ViewRow => ({
      ...row,
      stats: { ...stats, missing: new Map(missing) },
    })
    const silent: ViewRow = { ...row, stats: undefined }
    const last = (...rows: ViewRow[]): string => textOf(drawView({ ...state, rows }, UNLIMITED)).at(-1)!
    const both = stalled(['3', 1], ['2', 1])
    expect(last(both, stalled(['3', 1]), silent)).toBe('Nothing is ordered: stake 2 is missing, of authorities 2, 3')
    expect(last(stalled(['3', 1]), silent, silent)).toBe('Nothing is ordered: stake 1 is missing, of authority 3')
    expect(last(stalled(), silent, silent)).toBe('Nothing is ordered, and nobody is known to be missing')
    expect(last(row, both, both)).toMatch(/^All 3 logs agree/)
    expect(pieceOf(drawView({ ...state, rows: [both, both] }, UNLIMITED), last(both, both))).toMatchObject({
      style: 'bad',
    })
  })

  it('logs that differ are named, in the colour of what is bad', () => {
    const difference = { index: 7, authorities: [0, 2], said: ['a', 'b'] } as const
    const drawn = drawView({ ...state, logs: { ...state.logs, difference } }, UNLIMITED)
    expect(drawn.at(-1)).toEqual([{ text: 'THE LOGS DIFFER: commit 7 of authorities 0 and 2', style: 'bad' }])
    expect(pieceOf(drawView(state, UNLIMITED), 'All 3 logs agree')).toMatchObject({ style: 'good' })
  })

  it('who lags is named, and coloured by how far; who does not answer too', () => {
    const rows = [
      row,
      { ...row, name: '1', commit: 1250 },
      { ...row, name: '2', commit: 1000 },
      { ...row, name: '3', stats: undefined },
    ]
    const drawn = drawView({ ...state, rows }, UNLIMITED)
    expect(pieceOf(drawn, '0')).toMatchObject({ style: 'plain' })
    expect(pieceOf(drawn, '1 lags')).toMatchObject({ style: 'warning' })
    expect(pieceOf(drawn, '1,250')).toMatchObject({ style: 'warning' })
    expect(pieceOf(drawn, '2 lags')).toMatchObject({ style: 'bad' })
    expect(drawn[7]![0]).toEqual({ text: '3', style: 'bad' })
  })

  it('lagging begins a second behind, and at three commits where they are slow', () => {
    expect([10, 9, 8, 7].map((commit) => lagOf({ commit }, 10, 1))).toEqual(['none', 'none', 'none', 'some'])
    expect([100, 77, 76, 1, 0].map((commit) => lagOf({ commit }, 100, 24))).toEqual([
      'none',
      'none',
      'some',
      'some',
      'some',
    ])
    expect(lagOf({ commit: 0 }, 120, 24)).toBe('far')
  })

  it('no line is wider than the terminal, whatever it shows and however narrow it is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 60 }),
        fc.nat(12),
        (columns, rows, nodes) => {
          const many = Array.from({ length: nodes + 1 }, (_, index) => ({
            ...row,
            name: String(index),
            commit: 1298 - 20 * index,
          }))
          const drawn = drawView({ ...state, rows: many }, { columns, rows })
          expect(Math.max(...drawn.map(widthOf))).toBeLessThanOrEqual(columns)
          expect(drawn.length).toBeLessThanOrEqual(Math.max(rows, 12) + 1)
        },
      ),
    )
  })

  it('where there is no room for all columns, those that matter least are left out whole', () => {
    const [, , , headings, first] = textOf(drawView(state, { columns: 80, rows: 24 }))
    expect(headings).toBe('node  commit  commits/s  certified  ordered  certified  ordered  end to end')
    expect(first).toBe('0      1,298       24.0      5,000   20,003      20/40   50/100      55/110')
    expect(textOf(drawView(state, { columns: 20, rows: 24 }))[3]).toBe('node  end to end')
  })

  it('where there is no room for all nodes, the others are counted, and the sum and the logs stay', () => {
    const rows = Array.from({ length: 20 }, (_, index) => ({ ...row, name: String(index) }))
    const drawn = textOf(drawView({ ...state, rows }, { columns: 120, rows: 24 }))
    expect(drawn).toHaveLength(23)
    expect(drawn).toContain('… 7 more')
    expect(drawn.at(-6)).toMatch(/^… 7 more/)
    expect(drawn.at(-5)).toMatch(/^all /)
    expect(drawn.at(-1)).toMatch(/^All 20 logs agree/)
  })
})

describe('sparklines', () => {
  it('go from zero to the greatest that is shown; what is not known is left free', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], 9)).toBe('▁▂▃▄▅▆▇██')
    expect(sparkline([8, 0, 4], 2)).toBe('▁█')
    expect(sparkline([undefined, 5], 4)).toBe(' █')
    expect(sparkline([0, 0], 4)).toBe('▁▁')
    expect(sparkline([], 4)).toBe('')
    expect(sparkline([1, 2], 0)).toBe('')
  })

  it('have as many figures as are kept', () => {
    const history = new History(3)
    for (let figure = 0; figure < 5; figure += 1) history.push(figure)
    expect(history.figures).toEqual([2, 3, 4])
  })
})

describe('styled text', () => {
  const line = [styled('abc', 'bad'), styled('def')]

  it('has colours only where they are wanted, and its width is without them', () => {
    expect(paint(line, false)).toBe('abcdef')
    expect(paint(line, true)).toBe('\u001b[31mabc\u001b[0mdef')
    expect(widthOf(line)).toBe(6)
  })

  it('is cut to a width, in its colours', () => {
    expect(clip(line, 6)).toBe(line)
    expect(paint(clip(line, 5), true)).toBe('\u001b[31mabc\u001b[0md…')
    expect(paint(clip(line, 2), true)).toBe('\u001b[31ma\u001b[0m…')
    expect([paint(clip(line, 1), true), paint(clip(line, 0), true)]).toEqual(['…', ''])
  })

  it('is drawn over what was drawn before', () => {
    expect(redraw(0, ['a', 'b'])).toBe('a\nb\n')
    expect(redraw(2, ['c'])).toBe('\u001b[2A\r\u001b[Jc\n')
  })

  it('has colours on a terminal, unless the environment says otherwise', () => {
    const asked: readonly (readonly [Record<string, string>, boolean, boolean])[] = [
      [{}, true, true],
      [{}, false, false],
      [{ NO_COLOR: '1' }, true, false],
      [{ NO_COLOR: '' }, true, true],
      [{ TERM: 'dumb' }, true, false],
      [{ FORCE_COLOR: '1' }, false, true],
      [{ FORCE_COLOR: '' }, false, true],
      [{ FORCE_COLOR: '0' }, true, false],
      [{ FORCE_COLOR: 'false' }, true, false],
      [{ FORCE_COLOR: '1', NO_COLOR: '1' }, false, true],
    ]
    for (const [env, isTerminal, wanted] of asked)
      expect(wantsColours(env, isTerminal), JSON.stringify(env)).toBe(wanted)
  })
})

describe('figures', () => {
  it('bytes are shown in units of a thousand', () => {
    expect([0, 999_499, 1e6, 999e6, 1.5e9].map(formatBytes)).toEqual(['0 kB', '999 kB', '1 MB', '999 MB', '1.50 GB'])
  })

  it('time goes by in minutes and hours', () => {
    expect([0, 7.9, 754, 3723].map(formatElapsed)).toEqual(['0:00', '0:07', '12:34', '1:02:03'])
  })

  it('a peer is shown by the number of its authority, one that is unknown by the start of its name', () => {
    const names = ['AAAAaaaaaaaaaaaa=', 'BBBBbbbbbbbbbbbb=']
    expect(peerNumber('BBBBbbbb', names)).toBe('1')
    expect(peerNumber('AAAAaaaaaaaaaaaa=', names)).toBe('0')
    expect(peerNumber('CCCCcccccccc', names)).toBe('CCCCcccc')
  })
})
