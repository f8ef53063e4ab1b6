import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Ledger } from '../../../src/main/local/ledger.js'
import { LOCAL_BATCHES_REMEMBERED } from '../../../src/main/local/limits.js'
import { LineSplitter, parseLogLine } from '../../../src/main/local/log-lines.js'
import { MeasuredWindow } from '../../../src/main/local/measured-window.js'

const line = (text: string): string => `[2024-05-01T12:00:00.123Z INFO  narval::authority] ${text}`
const timeMs = Date.UTC(2024, 4, 1, 12, 0, 0, 123)
const hash = '0f'.repeat(32)

describe('log lines', () => {
  it("the reference's lines say what they say, with the part of an authority before them or without", () => {
    for (const label of ['', 'worker 0: ', 'primary: ']) {
      const of = (text: string) => parseLogLine(line(`${label}${text}`))
      expect(of('Batch 3q2+7w== contains 499712 B')).toEqual({
        type: 'batch-contains',
        digest: '3q2+7w==',
        bytes: 499712,
      })
      expect(of('Batch 3q2+7w== contains sample tx 12')).toEqual({
        type: 'batch-sample',
        worker: 0,
        digest: '3q2+7w==',
        sample: 12,
      })
      expect(of('Created B7(2hHOVfBLdXlMOQUb) -> 3q2+7w==')).toEqual({
        type: 'batch-created',
        digest: '3q2+7w==',
        timeMs,
      })
      expect(of('Committed B7(2hHOVfBLdXlMOQUb) -> 3q2+7w==')).toEqual({
        type: 'batch-committed',
        digest: '3q2+7w==',
        timeMs,
      })
      expect(of('Sending sample transaction 7')).toEqual({ type: 'sample-sent', sample: 7, timeMs })
      expect(of('Start sending transactions')).toEqual({ type: 'client-started', timeMs })
      expect(of('Worker 3 successfully booted on 127.0.0.1')).toEqual({ type: 'worker-booted', worker: 3 })
      expect(of('Sent 1200 transactions')).toEqual({ type: 'client-sent', transactions: 1200 })
    }
  })

  it('our own say what was certified and read, and of which worker', () => {
    expect(parseLogLine(line('worker 2: Batch x= contains sample tx 5'))).toMatchObject({ worker: 2, sample: 5 })
    expect(parseLogLine(line('primary: Batch x= is certified'))).toEqual({
      type: 'batch-certified',
      digest: 'x=',
      timeMs,
    })
    expect(parseLogLine(line('worker 2: Read sample tx 5'))).toEqual({
      type: 'sample-read',
      worker: 2,
      sample: 5,
      timeMs,
    })
    expect(parseLogLine(line(`Read commit 12 ${hash}: 3 batches of 1500 B, checksum 00ffee11`))).toEqual({
      type: 'commit-read',
      commit: { index: 12, digest: hash, batches: 3, bytes: 1500, checksum: '00ffee11' },
      timeMs,
    })
    expect(parseLogLine('narval: 12 lines of the log are lost here: their reader did not keep up')).toEqual({
      type: 'lines-lost',
      lines: 12,
    })
  })

  it('others say nothing', () => {
    for (const other of [
      'Batch x contains many B',
      'something else',
      'Read commit 1 zz: 1 batches',
      'a: Sent 1 transactions',
    ])
      expect(parseLogLine(line(other))).toBeUndefined()
    for (const other of ['', 'Error: boom', 'Sent 1200 transactions']) expect(parseLogLine(other)).toBeUndefined()
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

const ALICE = { authority: 0, worker: 0 }
const BOB = { authority: 1, worker: 0 }

describe('ledger', () => {
  it('the same comes out in whatever order the logs are heard', () => {
    const events: ((ledger: Ledger) => void)[] = [
      (ledger) => ledger.sampleSent(ALICE, 1, 100),
      (ledger) => ledger.sampleSent(ALICE, 2, 150),
      // Another client counts from the same number.
      (ledger) => ledger.sampleSent(BOB, 1, 1000),
      (ledger) => ledger.containsSample(ALICE, 'x', 1),
      (ledger) => ledger.containsSample(ALICE, 'x', 2),
      (ledger) => ledger.contains(0, 'x', 1024),
      (ledger) => ledger.certified('x', 220),
      (ledger) => ledger.created('x', 230),
      (ledger) => ledger.committed(0, 'x', 300),
      (ledger) => ledger.committed(1, 'x', 290),
      (ledger) => ledger.sampleRead(ALICE, 1, 310),
      (ledger) => ledger.sampleRead(ALICE, 2, 310),
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray(events, { minLength: events.length }), (order) => {
        const ledger = new Ledger(2)
        for (const event of order) event(ledger)
        ledger.finish()
        const { certified, endToEnd, ordered } = ledger.accounts[0]!.total
        expect([ledger.certifiedBytes, ledger.certifiedBatches]).toEqual([1024, 1])
        expect([ledger.orderedBytes, ledger.orderedBatches]).toEqual([1024, 1])
        expect([certified.count, certified.meanMs]).toEqual([2, 95])
        // In the log of its own authority, read by its own application.
        expect([ordered.count, ordered.meanMs]).toEqual([2, 175])
        expect([endToEnd.count, endToEnd.meanMs]).toEqual([2, 185])
        // Of a batch, from its header to the first log that has it; of a sample, to the same.
        expect([ledger.consensus.count, ledger.consensus.meanMs]).toEqual([1, 60])
        expect([ledger.firstCommitted.count, ledger.firstCommitted.meanMs]).toEqual([2, 165])
        expect([ledger.firstCreatedMs, ledger.lastFirstCommittedMs]).toEqual([230, 290])
        expect(ledger.accounts[1]!.total.certified.count).toBe(0)
      }),
    )
  })

  it('what is told twice counts once, and a batch that is in two headers since the first', () => {
    const ledger = new Ledger(2)
    for (let time = 1; time <= 2; time += 1) {
      ledger.contains(0, 'x', 10)
      ledger.certified('x', time)
      ledger.created('x', 10 * time)
      ledger.committed(1, 'x', 100 * time)
    }
    ledger.finish()
    expect([ledger.certifiedBytes, ledger.certifiedBatches]).toEqual([10, 1])
    expect([ledger.orderedBytes, ledger.orderedBatches]).toEqual([10, 1])
    expect([ledger.consensus.count, ledger.consensus.meanMs]).toEqual([1, 90])
  })

  it('a batch that was only sealed, or only certified, is not ordered', () => {
    const ledger = new Ledger(1)
    ledger.contains(0, 'sealed', 10)
    ledger.contains(0, 'certified', 10)
    ledger.containsSample(ALICE, 'certified', 0)
    ledger.sampleSent(ALICE, 0, 1)
    ledger.certified('certified', 2)
    ledger.created('certified', 3)
    ledger.finish()
    expect([ledger.certifiedBytes, ledger.orderedBytes]).toEqual([10, 0])
    const { certified, endToEnd, ordered } = ledger.accounts[0]!.total
    expect([certified.count, ordered.count, endToEnd.count, ledger.firstCommitted.count]).toEqual([1, 0, 0, 0])
    expect([ledger.consensus.count, ledger.lastFirstCommittedMs]).toEqual([0, undefined])
  })

  it('of a warm-up nothing counts, but for the view and for what it is the beginning of', () => {
    const measured = new MeasuredWindow(1)
    const ledger = new Ledger(1, measured)
    const pass = (digest: string, sample: number, sentMs: number): void => {
      ledger.sampleSent(ALICE, sample, sentMs)
      ledger.contains(0, digest, 10)
      ledger.containsSample(ALICE, digest, sample)
      ledger.certified(digest, sentMs + 10)
      ledger.created(digest, sentMs + 20)
      ledger.committed(0, digest, sentMs + 30)
      ledger.sampleRead(ALICE, sample, sentMs + 40)
    }
    pass('before anybody knows when it begins', 0, 900)
    measured.start(1_000)
    pass('in the warm-up', 1, 1_500)
    pass('sent in the warm-up and ordered behind it', 2, 1_975)
    pass('behind it', 3, 2_000)
    ledger.finish()
    expect([ledger.certifiedBatches, ledger.orderedBatches]).toEqual([1, 2])
    expect([ledger.certifiedBytes, ledger.orderedBytes]).toEqual([10, 20])
    expect([ledger.firstCreatedMs, ledger.lastCertifiedMs, ledger.lastFirstCommittedMs]).toEqual([2_020, 2_010, 2_030])
    expect([ledger.consensus.count, ledger.firstCommitted.count]).toEqual([1, 1])
    const [account] = ledger.accounts
    expect([account!.certifiedBytes, account!.window.endToEnd.count]).toEqual([40, 4])
    expect([account!.total.endToEnd.count, account!.total.endToEnd.meanMs]).toEqual([1, 40])
  })

  it('what was of late is taken once, and stays in the total', () => {
    const ledger = new Ledger(1)
    ledger.sampleSent(ALICE, 0, 0)
    ledger.sampleRead(ALICE, 0, 7)
    expect(ledger.takeWindow(0).endToEnd.meanMs).toBe(7)
    expect(ledger.takeWindow(0).endToEnd.count).toBe(0)
    expect(ledger.accounts[0]!.total.endToEnd.count).toBe(1)
  })

  it('a line of an authority that lags still finds its batch, within what is remembered', () => {
    const ledger = new Ledger(2)
    const order = (digest: string, timeMs: number): void => {
      ledger.contains(0, digest, 1)
      ledger.certified(digest, timeMs)
      ledger.created(digest, timeMs)
      ledger.committed(0, digest, timeMs + 5)
    }
    order('first', 0)
    for (let i = 1; i < LOCAL_BATCHES_REMEMBERED; i++) order(`${i}`, 50)
    ledger.committed(1, 'first', 2)
    ledger.finish()
    expect(ledger.orderedBatches).toBe(LOCAL_BATCHES_REMEMBERED)
    expect(ledger.consensus.count).toBe(LOCAL_BATCHES_REMEMBERED)
    expect(ledger.consensus.percentileMs(0)).toBe(2)
  })
})
