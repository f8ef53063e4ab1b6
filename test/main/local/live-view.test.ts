import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Agreement } from '../../../src/main/local/agreement.js'
import { Ledger } from '../../../src/main/local/ledger.js'
import { LiveView } from '../../../src/main/local/live-view.js'
import type { LocalOptions } from '../../../src/main/local/options.js'

const options: LocalOptions = {
  nodes: 1,
  workers: 1,
  rate: 1000,
  transactionBytes: 512,
  warmupS: 0,
  api: undefined,
  durationS: 0,
  faults: 0,
  unbuffered: false,
  split: false,
  ackLevel: 'durable',
  rule: 'shoal',
  json: false,
  directory: undefined,
  keep: false,
}

/** What there is of a stream: what was written to it, and how large it is. */
class Terminal extends EventEmitter {
  readonly written: string[] = []
  readonly isTTY: boolean
  columns = 100
  rows = 30

  constructor(isTTY: boolean) {
    super()
    this.isTTY = isTTY
  }

  write(text: string): boolean {
    this.written.push(text)
    return true
  }
}

const digest = 'ab'.repeat(32)
let terminal: Terminal
let ledger: Ledger
let agreement: Agreement
let view: LiveView

function start(isTTY: boolean): void {
  terminal = new Terminal(isTTY)
  ledger = new Ledger(1)
  agreement = new Agreement(1)
  view = new LiveView({
    options,
    ledger,
    agreement,
    nodes: { scrape: async () => [undefined] },
    authorities: ['A'],
    stream: terminal as unknown as NodeJS.WriteStream,
  })
  view.start()
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubEnv('NO_COLOR', undefined)
  vi.stubEnv('FORCE_COLOR', undefined)
  vi.stubEnv('TERM', 'xterm')
})

afterEach(() => {
  view.stop()
  vi.unstubAllEnvs()
  vi.useRealTimers()
})

describe('the live view', () => {
  it('on a terminal is drawn in its place each second, in colours, with what came since', async () => {
    start(true)
    await vi.advanceTimersByTimeAsync(0)
    const [first] = terminal.written
    expect(first).toContain('No commit is read by all yet')
    expect(first).toContain('\u001b[')
    const lines = first!.split('\n').length - 1
    agreement.read(0, { index: 1, digest, batches: 1, bytes: 512_000, checksum: '00000000' }, 0)
    ledger.sampleSent({ authority: 0, worker: 0 }, 0, 0)
    ledger.sampleRead({ authority: 0, worker: 0 }, 0, 42)
    await vi.advanceTimersByTimeAsync(1000)
    const second = terminal.written[1]!
    expect(second.startsWith(`\u001b[${lines}A\r\u001b[J`)).toBe(true)
    expect(second).toContain('1,000')
    expect(second).toContain('42/42')
    expect(second).toContain('The log of the one authority has 1 commit')
    // Samples of the second before are not of this one.
    await vi.advanceTimersByTimeAsync(1000)
    expect(terminal.written[2]).not.toContain('42/42')
  })

  it('after the terminal has another size, is drawn anew below, as wide as it is now', async () => {
    start(true)
    await vi.advanceTimersByTimeAsync(0)
    terminal.columns = 30
    terminal.emit('resize')
    await vi.advanceTimersByTimeAsync(1000)
    const drawn = terminal.written[1]!
    expect(drawn).not.toContain('\u001b[J')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are taken out.
    const plain = drawn.replaceAll(/\u001b\[\d+m/g, '')
    expect(Math.max(...plain.split('\n').map((line) => line.length))).toBeLessThanOrEqual(30)
  })

  it('elsewhere is a block every five seconds, without colours and whatever its width', async () => {
    start(false)
    await vi.advanceTimersByTimeAsync(4_999)
    expect(terminal.written).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(terminal.written).toHaveLength(2)
    expect(terminal.written.join('')).not.toContain('\u001b')
    expect(terminal.written[1]).toContain('ACK ms by peer')
  })

  it('stays where it stands when it is stopped', async () => {
    start(true)
    await vi.advanceTimersByTimeAsync(0)
    view.stop()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(terminal.written).toHaveLength(1)
    expect(terminal.listenerCount('resize')).toBe(0)
  })
})
