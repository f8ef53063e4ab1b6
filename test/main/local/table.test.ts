import { describe, expect, it } from 'vitest'
import { peerNumber } from '../../../src/main/local/live-view.js'
import { byLabel, parseMetrics, sumOf } from '../../../src/main/local/metrics-text.js'
import { nodeStats, processUse } from '../../../src/main/local/node-stats.js'
import { clip, drawTable, formatBytes, redraw } from '../../../src/main/local/table.js'

const text = (transactions: number, ackSum: number, ackCount: number): string => `
# HELP narval_transactions_certified_total Transactions in certified batches.
# TYPE narval_transactions_certified_total counter
narval_transactions_certified_total ${transactions}
narval_transaction_bytes_certified_total ${transactions * 512}
narval_batches_in_flight 3
narval_store_bytes 2.5e+6
process_resident_memory_bytes 104857600
narval_rss_bytes_max 204857600
process_cpu_user_seconds_total 1.5
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
  })
})

describe('node statistics', () => {
  it('rates and ACK latencies are those between two scrapes', () => {
    const before = { timeMs: 1000, metrics: parseMetrics(text(100, 1, 10)) }
    const now = { timeMs: 3000, metrics: parseMetrics(text(300, 1.5, 110)) }
    expect(nodeStats(before, now)).toEqual({
      transactionsPerS: 100,
      bytesPerS: 51_200,
      batchesInFlight: 3,
      ackMsByPeer: new Map([['abc', 5]]),
      rssBytes: 104_857_600,
      storeBytes: 2_500_000,
    })
  })

  it('a first scrape has no rates, and a peer without a new ACK no latency', () => {
    const now = { timeMs: 3000, metrics: parseMetrics(text(300, 1.5, 110)) }
    expect(nodeStats(undefined, now).transactionsPerS).toBe(0)
    expect(nodeStats(now, { ...now, timeMs: 4000 }).ackMsByPeer).toEqual(new Map())
  })

  it('the use of a process is its CPU time and the most that it held', () => {
    expect(processUse(parseMetrics(text(0, 0, 0)))).toEqual({ userS: 1.5, systemS: 0.5, rssBytesMax: 204_857_600 })
  })
})

describe('table', () => {
  const stats = {
    transactionsPerS: 12_345.6,
    bytesPerS: 6.32e6,
    batchesInFlight: 3,
    ackMsByPeer: new Map([
      ['1', 4.25],
      ['2', 130.4],
    ]),
    rssBytes: 104e6,
    storeBytes: 2.5e9,
  }

  it('has a line for each node and their sum, in columns', () => {
    expect(
      drawTable([
        { name: '0', stats },
        { name: '1', stats: undefined },
        { name: '2', stats },
      ]),
    ).toEqual([
      'node    tx/s  MB/s  in flight  memory    store  ACK ms by peer',
      '0     12,346   6.3          3  104 MB  2.50 GB  1: 4.3  2: 130',
      '1          -     -          -       -        -  -',
      '2     12,346   6.3          3  104 MB  2.50 GB  1: 4.3  2: 130',
      'all   24,691  12.6          6  208 MB  5.00 GB',
    ])
  })

  it('is drawn over the last one, and no line is wider than the terminal', () => {
    expect(redraw(0, ['abcdef', 'x'], 4)).toBe('abc…\nx\n')
    expect(redraw(2, ['y'], 4)).toBe('\u001b[2A\r\u001b[Jy\n')
    expect(clip('abcd', 4)).toBe('abcd')
  })

  it('bytes are shown in units of a thousand', () => {
    expect([0, 999_499, 1e6, 999e6, 1.5e9].map(formatBytes)).toEqual(['0 kB', '999 kB', '1 MB', '999 MB', '1.50 GB'])
  })

  it('a peer is shown by the number of its authority, one that is unknown by the start of its name', () => {
    const names = ['AAAAaaaaaaaaaaaa=', 'BBBBbbbbbbbbbbbb=']
    expect(peerNumber('BBBBbbbb', names)).toBe('1')
    expect(peerNumber('AAAAaaaaaaaaaaaa=', names)).toBe('0')
    expect(peerNumber('CCCCcccccccc', names)).toBe('CCCCcccc')
  })
})
