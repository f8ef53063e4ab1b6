import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Ledger } from '../../../src/main/local/ledger.js'
import { LOCAL_CERTIFIED_REMEMBERED } from '../../../src/main/local/limits.js'
import { LineSplitter, parseLogLine } from '../../../src/main/local/log-lines.js'

const worker = (text: string): string => `[2024-05-01T12:00:00.123Z INFO  narval::worker] ${text}`

describe('log lines', () => {
  it("the reference's lines say what they say, and others nothing", () => {
    expect(parseLogLine(worker('Batch 3q2+7w== contains 499712 B'))).toEqual({
      type: 'batch-contains',
      digest: '3q2+7w==',
      bytes: 499712,
    })
    expect(parseLogLine(worker('Batch 3q2+7w== contains sample tx 12'))).toEqual({
      type: 'batch-sample',
      digest: '3q2+7w==',
      sample: 12,
    })
    const timeMs = Date.UTC(2024, 4, 1, 12, 0, 0, 123)
    expect(parseLogLine(worker('Sending sample transaction 7'))).toEqual({ type: 'sample-sent', sample: 7, timeMs })
    expect(parseLogLine(worker('Start sending transactions'))).toEqual({ type: 'client-started', timeMs })
    expect(parseLogLine(worker('Worker 0 successfully booted on 127.0.0.1'))).toEqual({ type: 'booted' })
    expect(parseLogLine(worker('Sent 1200 transactions'))).toEqual({ type: 'client-sent', transactions: 1200 })
    for (const line of ['', 'Error: boom', worker('Batch x contains many B'), worker('something else')]) {
      expect(parseLogLine(line)).toBeUndefined()
    }
  })

  it('lines come out whole, however they were cut', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z ]{0,8}$/)), fc.array(fc.nat(60)), (lines, cuts) => {
        const text = lines.map((line) => `${line}\n`).join('')
        const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length]
        const splitter = new LineSplitter()
        const out = at.slice(1).flatMap((end, index) => splitter.push(text.slice(at[index], end)))
        expect([...out, ...splitter.end()]).toEqual(lines)
      }),
    )
  })

  it('a last line without its line feed is not lost', () => {
    const splitter = new LineSplitter()
    expect(splitter.push('a\nb')).toEqual(['a'])
    expect(splitter.end()).toEqual(['b'])
    expect(splitter.end()).toEqual([])
  })
})

describe('ledger', () => {
  it('the same comes out in whatever order the three sources are heard', () => {
    const events: ((ledger: Ledger) => void)[] = [
      (ledger) => ledger.sampleSent(1, 100),
      (ledger) => ledger.sampleSent(2, 150),
      (ledger) => ledger.containsSample('x', 1),
      (ledger) => ledger.containsSample('x', 2),
      (ledger) => ledger.contains('x', 1024),
      (ledger) => ledger.reported('x', 220),
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray(events, { minLength: events.length }), (order) => {
        const ledger = new Ledger()
        for (const event of order) event(ledger)
        expect([ledger.bytes, ledger.batches, ledger.latencies.count, ledger.latencies.meanMs]).toEqual([
          1024, 1, 2, 95,
        ])
      }),
    )
  })

  it('a batch that is reported twice counts once', () => {
    const ledger = new Ledger()
    ledger.contains('x', 10)
    ledger.reported('x', 1)
    ledger.reported('x', 2)
    ledger.contains('x', 10)
    expect([ledger.bytes, ledger.batches]).toEqual([10, 1])
  })

  it('a batch that was never reported does not count', () => {
    const ledger = new Ledger()
    ledger.contains('x', 10)
    ledger.sampleSent(0, 1)
    ledger.containsSample('x', 0)
    expect([ledger.bytes, ledger.batches, ledger.latencies.count]).toEqual([0, 0, 0])
  })

  it('a sample line that comes after many later batches still finds its batch, within what is remembered', () => {
    const ledger = new Ledger()
    ledger.sampleSent(5, 0)
    ledger.contains('first', 1)
    ledger.reported('first', 40)
    for (let i = 1; i < LOCAL_CERTIFIED_REMEMBERED; i++) {
      ledger.contains(`${i}`, 1)
      ledger.reported(`${i}`, 50)
    }
    ledger.containsSample('first', 5)
    expect(ledger.latencies.meanMs).toBe(40)
  })
})
