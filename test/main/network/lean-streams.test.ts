/** What narval changes of the installed noise and yamux, over real connections, and in parts. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gatherWrites, leanReads, MessageCutter } from '../../../src/main/network/lean-noise.js'
import { tame, widenWindow, type YamuxStream } from '../../../src/main/network/lean-yamux.js'
import { SLICE_BYTES, STREAM_WINDOW_BYTES, STREAM_WINDOW_INITIAL_BYTES } from '../../../src/shared/constants.js'
import { StreamPairs } from '../../support/stream-pair.js'
import { until } from '../../support/until.js'

/** Collects what comes; `pause` and `resume` of the stream are the test's. */
function collector(stream: Stream): { stream: Stream; pieces: Buffer[]; bytes: () => number } {
  const pieces: Buffer[] = []
  let bytes = 0
  stream.addEventListener('message', ({ data }) => {
    const piece = Buffer.from(data.subarray())
    pieces.push(piece)
    bytes += piece.length
  })
  return { stream, pieces, bytes: () => bytes }
}

async function send(stream: Stream, data: Uint8Array, sliceBytes: number): Promise<void> {
  for (let at = 0; at < data.length; at += sliceBytes) {
    while (stream.writableNeedsDrain || stream.writeBufferLength > 0) await sleep(1)
    stream.send(data.subarray(at, at + sliceBytes))
  }
}

describe('the installed noise and yamux', () => {
  let pairs: StreamPairs
  beforeAll(async () => {
    pairs = await StreamPairs.start()
  })
  afterAll(() => pairs.stop())

  test('are the versions whose internals are known', async () => {
    await pairs.open(collector)
    expect(pairs.asShipped()).toBe(0)
  })

  test.each([1, 1000, 65_519, SLICE_BYTES, SLICE_BYTES + 1])(
    'carry the bytes they are given, in slices of %i',
    async (sliceBytes) => {
      const sent = randomBytes(Math.min(3_000_000, sliceBytes * 50))
      const { near, far } = await pairs.open(collector)
      await send(near, sent, sliceBytes)
      await until('all has come', () => far.bytes() === sent.length)
      expect(Buffer.concat(far.pieces).equals(sent)).toBe(true)
    },
  )

  test('tell of what they allocate beside the heap, where it is enciphered and where it is deciphered', async () => {
    const sent = randomBytes(1_000_000)
    const { near, far } = await pairs.open(collector)
    const before = pairs.allocatedBytes
    await send(near, sent, SLICE_BYTES)
    await until('all has come', () => far.bytes() === sent.length)
    expect(pairs.allocatedBytes - before).toBeGreaterThan(2 * sent.length)
  })

  test('carry more than a window to a reader that stops and goes on', async () => {
    const sent = randomBytes(3 * STREAM_WINDOW_BYTES)
    const { near, far } = await pairs.open(collector)
    const sending = send(near, sent, SLICE_BYTES)
    while (far.bytes() < sent.length) {
      far.stream.pause()
      await sleep(5)
      const before = far.bytes()
      far.stream.resume()
      await until('more has come', () => far.bytes() > before)
    }
    await sending
    expect(Buffer.concat(far.pieces).equals(sent)).toBe(true)
  })
})

describe.each([undefined, 'dialler', 'listener'] as const)('windows, with a stock node as the %s', (stock) => {
  let pairs: StreamPairs
  beforeAll(async () => {
    pairs = await StreamPairs.start(stock)
  })
  afterAll(() => pairs.stop())

  /** Bytes that a sender gets rid of while the other end reads none. */
  async function takenUnread(from: Stream, to: Stream): Promise<number> {
    const bytes = 2 * STREAM_WINDOW_BYTES
    to.pause()
    // What came before the pause is of the negotiation.
    from.send(new Uint8Array(bytes))
    let left: number
    do {
      left = from.writeBufferLength
      await sleep(200)
    } while (from.writeBufferLength !== left)
    return bytes - left
  }

  test.runIf(stock !== 'listener')('are those of the specification on a stream that the other end opened', async () => {
    const { near, far } = await pairs.open((stream) => stream)
    const taken = await takenUnread(near, far)
    expect(taken).toBeLessThanOrEqual(STREAM_WINDOW_INITIAL_BYTES)
    expect(taken).toBeGreaterThan(STREAM_WINDOW_INITIAL_BYTES - 1000)
  })

  test.runIf(stock !== 'dialler')('are those of the specification on a stream that we opened', async () => {
    const { near, far } = await pairs.open((stream) => stream)
    const taken = await takenUnread(far, near)
    expect(taken).toBeLessThanOrEqual(STREAM_WINDOW_INITIAL_BYTES)
    expect(taken).toBeGreaterThan(STREAM_WINDOW_INITIAL_BYTES - 1000)
  })

  test.runIf(stock !== 'listener')('are wide where the reader of an inbound stream made them so', async () => {
    const { near, far } = await pairs.open((stream) => {
      widenWindow(stream)
      return stream
    })
    const taken = await takenUnread(near, far)
    expect(taken).toBeLessThanOrEqual(STREAM_WINDOW_BYTES)
    expect(taken).toBeGreaterThan(STREAM_WINDOW_BYTES - 1000)
  })

  test.runIf(stock !== 'dialler')('are wide where the reader of an outbound stream made them so', async () => {
    const { near, far } = await pairs.open((stream) => stream)
    widenWindow(near)
    const taken = await takenUnread(far, near)
    expect(taken).toBeLessThanOrEqual(STREAM_WINDOW_BYTES)
    expect(taken).toBeGreaterThan(STREAM_WINDOW_BYTES - 1000)
  })

  test.runIf(stock !== 'listener')('that are made wide during a pause are wide after it', async () => {
    const { near, far } = await pairs.open((stream) => {
      stream.pause()
      widenWindow(stream)
      return collector(stream)
    })
    near.send(new Uint8Array(2 * STREAM_WINDOW_BYTES))
    await sleep(300)
    expect(2 * STREAM_WINDOW_BYTES - near.writeBufferLength).toBeLessThanOrEqual(STREAM_WINDOW_INITIAL_BYTES)
    far.stream.resume()
    await until('all has come', () => far.bytes() === 2 * STREAM_WINDOW_BYTES)
  })

  test.each([
    ['listener', 65_519],
    ['listener', SLICE_BYTES],
    ['dialler', 65_519],
    ['dialler', SLICE_BYTES],
  ] as const)('carry many times their size to the %s, in slices of %i', async (reader, sliceBytes) => {
    const sent = randomBytes(2 * STREAM_WINDOW_BYTES + 1)
    const { near, far } = await pairs.open(collector)
    const [sender, to] = reader === 'listener' ? [near, far] : [far.stream, collector(near)]
    await send(sender, sent, sliceBytes)
    await until('all has come', () => to.bytes() === sent.length)
    expect(Buffer.concat(to.pieces).equals(sent)).toBe(true)
  })

  test.each(['near', 'far'] as const)('of a stream that is gone are left alone: the %s end is reset', async (end) => {
    const { near, far } = await pairs.open((stream) => stream)
    const ends = { near, far }
    ends[end].abort(new Error('the test resets'))
    widenWindow(near)
    widenWindow(far)
    await until('both are gone', () => near.status !== 'open' && far.status !== 'open')
    widenWindow(near)
    widenWindow(far)
  })
})

describe('the message cutter', () => {
  const message = (payload: Uint8Array): Buffer => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(payload.length)
    return Buffer.concat([length, payload])
  }

  test('finds the same messages however the bytes are split, and skips empty ones', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 8 }),
        fc.array(fc.nat(3000), { maxLength: 12 }),
        (payloads, cuts) => {
          const bytes = Buffer.concat(payloads.map(message))
          const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b)
          const cutter = new MessageCutter()
          const found: Buffer[] = []
          let at = 0
          for (const end of ends) {
            for (const one of cutter.decode(bytes.subarray(at, end))) found.push(Buffer.from(one.subarray()))
            at = end
          }
          expect(found).toEqual(payloads.filter(({ length }) => length > 0).map((payload) => Buffer.from(payload)))
          expect(cutter.buffer.byteLength).toBe(0)
        },
      ),
    )
  })

  test('keeps what is not complete, and copies nothing', () => {
    const cutter = new MessageCutter()
    const bytes = message(randomBytes(65_535))
    expect(cutter.decode(bytes.subarray(0, 65_536))).toEqual([])
    const [found] = cutter.decode(bytes.subarray(65_536))
    const pieces = [...found!]
    expect(pieces.map(({ length }) => length)).toEqual([65_534, 1])
    expect(pieces.every(({ buffer }) => buffer === bytes.buffer)).toBe(true)
  })
})

describe('packages with other internals', () => {
  test('are left as they are, and it is said', () => {
    expect(leanReads({} as never)).toBe(false)
    expect(leanReads({ decrypt() {}, decoder: { decode() {} }, handshake: {} } as never)).toBe(false)
    expect(gatherWrites({ sendData() {} } as never)).toBe(false)
    expect(tame({} as never)).toBe(false)
  })
})

describe('window updates', () => {
  function stream(state: number, left: number, protocol = '/test/1'): { it: YamuxStream; sent: () => number } {
    let sent = 0
    const it: YamuxStream = {
      recvWindow: 1000,
      maxStreamWindowSize: 16_000,
      recvWindowCapacity: left,
      state,
      protocol,
      sendWindowUpdate: () => {
        sent += 1
      },
    }
    tame(it)
    return { it, sent: () => sent }
  }

  test.each([
    ['are held back while more than half of the window is left', 3, 501, 0],
    ['are sent once half of it is used up', 3, 500, 1],
    ['are sent when they open the stream', 0, 1000, 1],
    ['are sent when they accept the stream', 2, 1000, 1],
    ['are sent when they accept a stream that is not negotiated yet', 2, 1000, 1, ''],
    ['are held back on a stream that is not negotiated yet', 3, 0, 0, ''],
  ])('%s', (_claim, state, left, expected, protocol = '/test/1') => {
    const { it, sent } = stream(state, left, protocol)
    it.sendWindowUpdate()
    expect(sent()).toBe(expected)
  })
})
