/** FrameStream over real libp2p streams: their events, their windows and their ends. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Stream, StreamMessageEvent } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  collect,
  type FrameSink,
  FrameStream,
  type FrameStreamOptions,
  type Refused,
} from '../../../src/main/network/frame-stream.js'
import { STREAM_WINDOW_BYTES } from '../../../src/shared/constants.js'
import { frame } from '../../support/raw-stream.js'
import { StreamPairs } from '../../support/stream-pair.js'
import { until } from '../../support/until.js'

let pairs: StreamPairs
beforeAll(async () => {
  pairs = await StreamPairs.start()
})
afterAll(() => pairs.stop())

/** A FrameStream that writes down what happens to it. */
class Taker {
  readonly frames: { type: number; payload: Buffer }[] = []
  readonly events: string[] = []
  /** How many more frames have a place; the rest wait. */
  places = Number.POSITIVE_INFINITY
  asked = 0
  refuse: ((type: number, bytes: number) => Refused | undefined) | undefined
  refuseEnd: Refused | undefined
  readonly frameStream: FrameStream

  constructor(stream: Stream, options: FrameStreamOptions = {}) {
    this.frameStream = new FrameStream(
      stream,
      {
        onFrame: (type, bytes) => this.begin(type, bytes),
        onRefused: (refusal, detail) => this.events.push(`refused ${refusal}: ${detail}`),
        onEnd: () => this.events.push('end'),
        onClosed: () => this.events.push('closed'),
      },
      options,
    )
  }

  give(places: number): void {
    this.places += places
    this.frameStream.retry()
  }

  private begin(type: number, bytes: number): FrameSink | 'wait' | Refused {
    this.asked += 1
    const refused = this.refuse?.(type, bytes)
    if (refused !== undefined) return refused
    if (this.places === 0) return 'wait'
    this.places -= 1
    const sink = collect(bytes, (payload) => {
      this.frames.push({ type, payload: Buffer.from(payload) })
      return this.refuseEnd
    })
    return { ...sink, abort: () => this.events.push('sink aborted') }
  }
}

const open = (options?: FrameStreamOptions): Promise<{ near: Stream; far: Taker }> =>
  pairs.open((stream) => new Taker(stream, options))

async function send(stream: Stream, bytes: Uint8Array): Promise<void> {
  if (!stream.send(bytes)) await stream.onDrain({ signal: AbortSignal.timeout(30_000) })
}

describe('frames come out as they went in', () => {
  const sent = [
    { type: 1, payload: randomBytes(100) },
    { type: 2, payload: Buffer.alloc(0) },
    { type: 255, payload: randomBytes(1) },
    { type: 0, payload: randomBytes(48) },
  ]
  const bytes = Buffer.concat(sent.map(({ type, payload }) => frame(type, payload)))

  test('cut in two at every place', async () => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const { near, far } = await open()
      // Two sends arrive as one event or as two; with a turn between them, as two.
      if (cut > 0) near.send(bytes.subarray(0, cut))
      await sleep(0)
      if (cut < bytes.length) near.send(bytes.subarray(cut))
      await until('all frames are there', () => far.frames.length === sent.length)
      expect(far.frames).toEqual(sent)
      near.abort(new Error('done'))
    }
  })

  test('cut into single bytes', async () => {
    const { near, far } = await open()
    for (const byte of bytes) near.send(Uint8Array.of(byte))
    await until('all frames are there', () => far.frames.length === sent.length)
    expect(far.frames).toEqual(sent)
    near.abort(new Error('done'))
  })

  test('with 20 MiB in one frame, which is more than the window', async () => {
    const { near, far } = await open()
    const payload = randomBytes(20 * 1024 * 1024)
    await send(near, frame(1, payload))
    await until('it is there', () => far.frames.length === 1)
    expect(far.frames[0]!.payload.equals(payload)).toBe(true)
    near.abort(new Error('done'))
  })
})

describe('a frame that has to wait', () => {
  test('is asked for again with its whole header, and nothing of it is lost', async () => {
    const { near, far } = await open()
    far.places = 0
    const payloads = [randomBytes(10), randomBytes(200_000), randomBytes(3)]
    for (const payload of payloads) await send(near, frame(7, payload))
    await until('it waits', () => far.asked === 1)
    for (let i = 1; i <= payloads.length; i += 1) {
      far.give(1)
      await until('one more is there', () => far.frames.length === i)
    }
    expect(far.frames.map(({ payload }) => payload)).toEqual(payloads)
    near.abort(new Error('done'))
  })

  test('is over when the muxer takes no window update any more: who has the place is not to blame', async () => {
    const { near, far } = await open()
    far.places = 0
    near.send(frame(7, randomBytes(10)))
    await until('it waits', () => far.asked === 1)
    far.frameStream.stream.resume = () => {
      throw new Error('the connection is being closed')
    }
    far.give(1)
    expect(far.frames).toHaveLength(1)
    expect(far.events).toEqual(['closed'])
  })

  test('that still has no place waits on', async () => {
    const { near, far } = await open()
    far.places = 0
    near.send(frame(7, randomBytes(10)))
    await until('it waits', () => far.asked === 1)
    for (let i = 0; i < 5; i += 1) far.frameStream.retry()
    expect(far.asked).toBe(6)
    far.give(1)
    await until('it is there', () => far.frames.length === 1)
    // Nothing waits now: this asks for nothing.
    far.frameStream.retry()
    expect(far.asked).toBe(7)
    near.abort(new Error('done'))
  })

  test('holds the peer back at a window or two, and a stream with 40 MB behind it is neither aborted nor lost', async () => {
    const { near, far } = await open()
    far.places = 0
    const payload = randomBytes(500_000)
    const count = 80
    let handedOver = 0
    const sending = (async () => {
      for (let i = 0; i < count; i += 1) {
        await send(near, frame(1, payload))
        handedOver += 1
      }
    })()
    const left = (): number => handedOver * payload.length - near.writeBufferLength
    await until('the peer is held back', () => near.writableNeedsDrain)
    await sleep(200)
    expect(left()).toBeLessThanOrEqual(STREAM_WINDOW_BYTES + payload.length)
    expect(far.frameStream.stream.status).toBe('open')
    // With the first place the next frame has to wait within `resume`, and the peer is held back again.
    far.give(1)
    await until('one is there', () => far.frames.length === 1)
    await sleep(200)
    expect(left()).toBeLessThanOrEqual(2 * STREAM_WINDOW_BYTES + 2 * payload.length)
    // One place at a time: each retry finds the next frame without one, in what was held or in what `resume` brings.
    for (let i = 2; i <= count; i += 1) {
      far.give(1)
      await until('one more is there', () => far.frames.length === i)
      const ahead = left() - i * payload.length
      expect(ahead).toBeLessThanOrEqual(2 * STREAM_WINDOW_BYTES + payload.length)
    }
    await sending
    expect(far.frames.every((it) => it.payload.equals(payload))).toBe(true)
    expect(far.events).toEqual([])
    near.abort(new Error('done'))
  })

  test('before 180,000 pieces of two bytes, which come while it waits, costs no more than their bytes', async () => {
    const { near, far } = await open()
    far.places = 0
    near.send(frame(1, Buffer.of(0)))
    await until('it waits', () => far.asked === 1)
    const count = 40_000
    const bytes = Buffer.concat(Array.from({ length: count }, (_, i) => frame(1, Buffer.of(i & 255))))
    // The stream is paused, so what comes is handed over as a list, in the pieces in which it came.
    const pieces = new Uint8ArrayList()
    for (let at = 0; at < bytes.length; at += 2) pieces.append(bytes.subarray(at, at + 2))
    far.frameStream.stream.dispatchEvent(new StreamMessageEvent(pieces))
    for (let places = 1; far.frames.length < count + 1; places *= 4) far.give(places)
    expect(far.frames.slice(1).every(({ payload }, i) => payload[0] === (i & 255))).toBe(true)
    near.abort(new Error('done'))
  })

  test('in a row of small ones, of which each has to wait, is kept in order', async () => {
    const { near, far } = await open()
    far.places = 0
    const count = 2_000
    const numbered = Array.from({ length: count }, (_, i) => frame(1, Buffer.from([i & 255, i >>> 8])))
    near.send(Buffer.concat(numbered))
    await until('it waits', () => far.asked === 1)
    while (far.frames.length < count) {
      far.give(1 + (far.frames.length % 7))
      await sleep(0)
    }
    expect(far.frames.map(({ payload }) => payload.readUInt16LE())).toEqual(Array.from({ length: count }, (_, i) => i))
    near.abort(new Error('done'))
  })
})

describe('the end of the stream', () => {
  test('between frames is told as such', async () => {
    const { near, far } = await open()
    near.send(frame(1, randomBytes(5)))
    await near.close()
    await until('it has ended', () => far.events.includes('end'))
    expect(far.frames).toHaveLength(1)
    expect(far.events).toEqual(['end'])
    far.frameStream.abort('done')
    expect(far.events).toEqual(['end', 'closed'])
  })

  test('before any frame is told as such', async () => {
    const { near, far } = await open()
    await near.close()
    await until('it has ended', () => far.events.includes('end'))
    far.frameStream.abort('done')
  })

  test('is told after the frames that wait, which are not lost', async () => {
    const { near, far } = await open()
    far.places = 0
    const payloads = Array.from({ length: 12 }, () => randomBytes(500_000))
    const all = Buffer.concat(payloads.map((payload) => frame(1, payload)))
    // One window at most is here while the stream is paused: the rest comes after the first is read.
    const sending = send(near, all).then(() => near.close())
    await until('it waits', () => far.asked === 1)
    await sleep(100)
    for (let i = 1; i <= payloads.length; i += 1) {
      expect(far.events).toEqual([])
      far.give(1)
      await until('one more is there', () => far.frames.length === i)
    }
    await sending
    await until('it has ended', () => far.events.includes('end'))
    expect(far.frames.every(({ payload }, i) => payload.equals(payloads[i]!))).toBe(true)
    far.frameStream.abort('done')
  })

  test('that came whole before the first place is told after it', async () => {
    const { near, far } = await open()
    far.places = 0
    const payload = randomBytes(1_000)
    near.send(Buffer.concat([frame(1, payload), frame(2, payload)]))
    await near.close()
    await until('the end has come', () => far.frameStream.stream.remoteWriteStatus === 'closed')
    await sleep(20)
    expect(far.events).toEqual([])
    far.give(1)
    expect(far.frames).toHaveLength(1)
    expect(far.events).toEqual([])
    far.give(1)
    await until('it has ended', () => far.events.includes('end'))
    expect(far.frames.map(({ type }) => type)).toEqual([1, 2])
    far.frameStream.abort('done')
  })

  test.each([
    ['in a header', 5],
    ['behind a header', 8],
    ['in a payload', 60],
  ])('%s is refused, and the sink is told', async (_, bytes) => {
    const { near, far } = await open()
    near.send(frame(1, randomBytes(100)).subarray(0, bytes))
    await near.close()
    await until('it is closed', () => far.events.includes('closed'))
    expect(far.events[0]).toBe(
      `refused frame-truncated: the stream ended ${bytes < 8 ? 8 - bytes : 108 - bytes} bytes before its frame did`,
    )
    expect(far.events.filter((event) => event === 'sink aborted')).toHaveLength(bytes < 8 ? 0 : 1)
    expect(far.frameStream.isClosed).toBe(true)
  })

  test('by a reset in the middle of a frame is no refusal, and the sink is told once', async () => {
    const { near, far } = await open()
    near.send(frame(1, randomBytes(100)).subarray(0, 50))
    await until('the frame has begun', () => far.asked === 1)
    near.abort(new Error('reset'))
    await until('it is closed', () => far.events.includes('closed'))
    expect(far.events).toEqual(['sink aborted', 'closed'])
    far.frameStream.abort('again')
    far.frameStream.retry()
    expect(far.events).toEqual(['sink aborted', 'closed'])
  })

  test('by a reset while a frame waits forgets what was held', async () => {
    const { near, far } = await open()
    far.places = 0
    near.send(frame(1, randomBytes(100)))
    await until('it waits', () => far.asked === 1)
    near.abort(new Error('reset'))
    await until('it is closed', () => far.events.includes('closed'))
    far.give(1)
    expect(far.frames).toHaveLength(0)
    expect(far.events).toEqual(['closed'])
  })

  test('that was before the stream was handed over is told all the same', async () => {
    for (const how of ['reset', 'end'] as const) {
      const { near, far: stream } = await pairs.open((it) => it)
      if (how === 'reset') near.abort(new Error('reset'))
      else await near.close()
      await until('the other side has heard of it', () => stream.status !== 'open' || stream.readableEnded)
      const far = new Taker(stream)
      await until('it is told', () => far.events.length > 0)
      expect(far.events).toEqual([how === 'reset' ? 'closed' : 'end'])
      far.frameStream.abort('done')
    }
  })
})

describe('a stream is refused', () => {
  test('for reserved bytes in a header, before anything is asked', async () => {
    const { near, far } = await open()
    near.send(frame(1, randomBytes(10), { reserved: [0, 1, 0] }))
    await until('it is closed', () => far.events.includes('closed'))
    expect(far.events[0]).toMatch(/^refused frame-header-malformed: /)
    expect(far.asked).toBe(0)
    await until('the peer has heard of it', () => near.status !== 'open')
  })

  test('at the beginning of a frame, of which nothing is read then', async () => {
    const { near, far } = await open()
    far.refuse = (type, bytes) => ({ refused: 'frame-too-large', detail: `${type} ${bytes}` })
    near.send(Buffer.concat([frame(9, randomBytes(10), { length: 0xfffffffe }), frame(1, randomBytes(1))]))
    await until('it is closed', () => far.events.includes('closed'))
    expect(far.events).toEqual(['refused frame-too-large: 9 4294967294', 'closed'])
    expect(far.asked).toBe(1)
  })

  test('at the end of a frame, and what came with it is not read', async () => {
    const { near, far } = await open()
    far.refuseEnd = { refused: 'ack-malformed', detail: 'so' }
    near.send(Buffer.concat([frame(1, randomBytes(10)), frame(2, randomBytes(10)), frame(3, randomBytes(10))]))
    await until('it is closed', () => far.events.includes('closed'))
    expect(far.events).toEqual(['refused ack-malformed: so', 'closed'])
    expect(far.frames).toHaveLength(1)
  })

  test('is not what a clock makes of it that is set an hour ahead', async () => {
    const { near, far } = await open({ stallMs: 4_000 })
    near.send(frame(1, Buffer.alloc(100)).subarray(0, 50))
    await until('it has begun', () => far.asked === 1)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 })
    onTestFinished(() => void vi.useRealTimers())
    // It looks four times in that time.
    await sleep(1_300)
    expect(far.events).toEqual([])
  })

  test('when a frame does not go on, counted from its last byte', async () => {
    const { near, far } = await open({ stallMs: 100 })
    near.send(frame(1, randomBytes(100)).subarray(0, 60))
    await until('it is closed', () => far.events.includes('closed'))
    expect(far.events).toEqual([
      'refused frame-stalled: no byte for 100 ms in the middle of a frame',
      'sink aborted',
      'closed',
    ])
  })

  test('when a header does not go on', async () => {
    const { near, far } = await open({ stallMs: 100 })
    near.send(frame(1, randomBytes(100)).subarray(0, 1))
    await until('it is closed', () => far.events.includes('closed'))
    expect(far.events[0]).toMatch(/^refused frame-stalled/)
  })

  test('when a frame is owed and nothing comes, but not while we are what it waits for', async () => {
    const quiet = await open({ stallMs: 100, owesFrames: true })
    await until('it is closed', () => quiet.far.events.includes('closed'))
    expect(quiet.far.events[0]).toBe('refused frame-stalled: no byte for 100 ms where a frame is due')

    // Until the frame is here it is the peer that is waited for: on a busy machine that takes a while.
    const ours = await open({ stallMs: 600, owesFrames: true })
    ours.far.places = 0
    ours.near.send(frame(1, randomBytes(100)))
    await sleep(1_400)
    expect(ours.far.events).toEqual([])
    ours.far.give(1)
    expect(ours.far.frames).toHaveLength(1)
    ours.near.abort(new Error('done'))
  })

  test('not for silence between frames, where none is owed', async () => {
    const { near, far } = await open({ stallMs: 50 })
    near.send(frame(1, randomBytes(10)))
    await sleep(300)
    near.send(frame(1, randomBytes(10)))
    await until('both are there', () => far.frames.length === 2)
    expect(far.events).toEqual([])
    near.abort(new Error('done'))
  })
})
