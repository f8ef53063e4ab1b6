/** Helper over real libp2p streams, with a store of one batch: peers that ask and read slowly, or not at all. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Supervisor } from '../../../../src/main/lib/supervisor.js'
import { SYNC_PROTOCOL } from '../../../../src/main/network/protocols.js'
import { Router } from '../../../../src/main/network/router.js'
import { Helper, type HelperOptions } from '../../../../src/main/worker/sync/helper.js'
import {
  HELPER_BYTES_PER_SECOND,
  LOOKUP_BYTES,
  REPLY_BYTES_MAX,
  REQUESTS_OPEN_MAX,
} from '../../../../src/main/worker/sync/limits.js'
import { REQUEST_DIGESTS_MAX, SLICE_BYTES, STREAM_WINDOW_BYTES } from '../../../../src/shared/constants.js'
import { NarvalError } from '../../../../src/shared/errors.js'
import { FRAME_TYPES } from '../../../../src/shared/wire/frames.js'
import { encodeDigests } from '../../../../src/shared/wire/sync-messages.js'
import { frame, RawStream } from '../../../support/raw-stream.js'
import { StreamPairs } from '../../../support/stream-pair.js'
import { until } from '../../../support/until.js'
import { fillMuxer, openWindow } from '../../../support/yamux.js'

const PEER = 1
const bytes = new Uint8Array(500_000).fill(7)
const author = new Uint8Array(32).fill(2)
const digests = Array.from({ length: REQUEST_DIGESTS_MAX }, (_, i) => new Uint8Array(32).fill(i))

let pairs: StreamPairs
beforeAll(async () => {
  pairs = await StreamPairs.start()
})
afterAll(() => pairs.stop())

let reads: number
let refused: string[]
/** What a bug of ours is said to be of. */
let failures: string[]
beforeEach(() => {
  reads = 0
  refused = []
  failures = []
})

type Ask = () => Promise<{ author: Uint8Array; bytes: Uint8Array } | undefined>
type Opened = { asker: RawStream; answerer: Stream }

/** A helper with a store of one batch, or of what `ask` gives; opens a sync stream to it as any peer. */
function startHelper(options: Partial<HelperOptions> = {}, ask?: Ask): (peer: number) => Promise<Opened> {
  const read = async (): ReturnType<Ask> => {
    reads += 1
    return ask === undefined ? { author, bytes } : ask()
  }
  const helper = new Helper(
    { batchBytesMax: bytes.length, ...options },
    {
      processor: { ask: read } as unknown as ConstructorParameters<typeof Helper>[1]['processor'],
      supervisor: new Supervisor(({ message }) => void failures.push(message)),
    },
    { onServed() {}, onRefused: (peer, refusal) => refused.push(`${peer} ${refusal}`) },
  )
  const router = new Router(
    () => ({ helper, inbound: { accept: () => expect.unreachable('no batch stream is opened') } }),
    (peer, refusal) => refused.push(`${peer} ${refusal}`),
  )
  return async (peer) => {
    const { near, far } = await pairs.open((stream) => {
      router.accept(SYNC_PROTOCOL, peer, stream)
      return stream
    })
    return { asker: new RawStream(near), answerer: far }
  }
}

/** A request for as many batches as may be; the reply is on its way. */
async function request(stallMs?: number): Promise<Opened> {
  const opened = await startHelper(stallMs === undefined ? {} : { stallMs })(PEER)
  await opened.asker.sendFrame(FRAME_TYPES.request, encodeDigests(digests))
  return opened
}

/** The asker reads no more; as much of the reply has been sent as its window lets through. */
async function windowFull(asker: RawStream, answerer: Stream): Promise<void> {
  asker.stream.pause()
  await until('its window is full', () => answerer.writableNeedsDrain && answerer.writeBufferLength > 0)
}

test('a reply to a peer that reads arrives whole, though it is many times the window', async () => {
  const { asker } = await request()
  await asker.framesCame(digests.length + 1)
  expect(digests.length * bytes.length).toBeGreaterThan(5 * STREAM_WINDOW_BYTES)
  for (const [i, digest] of digests.entries()) {
    expect(Buffer.compare(asker.frames[i]!.payload, Buffer.concat([digest, author, bytes]))).toBe(0)
  }
  expect(asker.frames.at(-1)!.type).toBe(FRAME_TYPES.missing)
  expect(refused).toEqual([])
})

test('a peer that opens its window by a few bytes at a time has one slice of its reply waiting, not all of it', async () => {
  const { asker, answerer } = await request()
  await windowFull(asker, answerer)
  const before = reads
  let updates = 0
  let waitingMax = 0
  answerer.addEventListener('drain', () => {
    updates += 1
  })
  for (let i = 0; i < 100; i += 1) {
    openWindow(asker.stream, 20)
    await until('the update has come', () => updates > i)
    waitingMax = Math.max(waitingMax, answerer.writeBufferLength)
  }
  expect(waitingMax).toBeLessThanOrEqual(SLICE_BYTES)
  // No further batch is read from the store for it.
  expect(reads).toBe(before)
  asker.abort()
})

test('a peer that opens its window while the connection is full has one slice waiting below the stream', async () => {
  const { asker, answerer } = await request()
  await windowFull(asker, answerer)
  fillMuxer(answerer)
  let sent = 0
  answerer.addEventListener('idle', () => {
    sent += 1
  })
  openWindow(asker.stream, 2 ** 30)
  await until('the slice has left the stream', () => sent > 0)
  // Each of these would let one slice more through, if it were listened to.
  let read = false
  answerer.addEventListener('message', () => {
    read = true
  })
  for (let i = 0; i < 100; i += 1) openWindow(asker.stream, 20)
  await asker.send(new Uint8Array(1))
  await until('they have come, and what was sent behind them', () => read)
  expect(sent).toBe(1)
  asker.abort()
})

test('a peer that takes nothing of its reply is refused, and its place is free again', async () => {
  const { asker, answerer } = await request(200)
  await windowFull(asker, answerer)
  await until('it is refused', () => refused.length > 0)
  expect(refused).toEqual([`${PEER} reply-unread`])
  await until('the stream is gone', () => answerer.status === 'aborted')
})

const one = encodeDigests(digests.slice(0, 1))

test('a request whose stream is reset keeps its place until the batch that is read for it is there', async () => {
  const read: (() => void)[] = []
  const open = startHelper({}, () => new Promise((resolve) => read.push(() => resolve({ author, bytes }))))
  for (let i = 0; i < REQUESTS_OPEN_MAX; i += 1) {
    const { asker, answerer } = await open(PEER)
    await asker.sendFrame(FRAME_TYPES.request, encodeDigests(digests))
    await until('it is read', () => reads === i + 1)
    asker.abort()
    await until('the stream is gone', () => answerer.status !== 'open')
  }
  const more = await open(PEER)
  await until('it is refused', () => refused.length > 0)
  expect(refused).toEqual([`${PEER} request-rate`])
  await until('it is closed', () => more.answerer.status === 'aborted')
  for (const done of read) done()
  const { asker } = await open(PEER)
  await asker.sendFrame(FRAME_TYPES.request, one)
  await until('it is read', () => reads === REQUESTS_OPEN_MAX + 1)
  // Of those that were reset nothing more was read.
  read.at(-1)!()
  await asker.framesCame(2)
  expect(reads).toBe(REQUESTS_OPEN_MAX + 1)
})

test('a peer that has its replies may ask again before it has ended their streams', async () => {
  const open = startHelper({}, async () => ({ author, bytes: bytes.slice(0, 1_000) }))
  for (let i = 0; i < 2 * REQUESTS_OPEN_MAX; i += 1) {
    const { asker } = await open(PEER)
    await asker.sendFrame(FRAME_TYPES.request, one)
    await asker.framesCame(2)
    await until('nothing more comes', () => asker.stream.remoteWriteStatus === 'closed')
  }
  expect([reads, refused]).toEqual([2 * REQUESTS_OPEN_MAX, []])
})

test('of replies to all peers so many batches are in memory as the limit says; the others wait their turn', async () => {
  const batchesMax = 4
  const read: (() => void)[] = []
  const open = startHelper(
    { batchBytesMax: REPLY_BYTES_MAX / batchesMax },
    () => new Promise((resolve) => read.push(() => resolve({ author, bytes }))),
  )
  const streams = await Promise.all([1, 1, 2, 2, 3, 3, 4, 4].map((peer) => open(peer)))
  for (const { asker } of streams) await asker.sendFrame(FRAME_TYPES.request, one)
  await until('as many as may be are read', () => reads === batchesMax)
  // Who is gone does not wait any more.
  streams[7]!.asker.abort()
  await until('it is gone', () => streams[7]!.answerer.status !== 'open')
  expect(reads).toBe(batchesMax)
  for (let done = 0; done < 7; done += 1) {
    await until('one more is read', () => read.length > done)
    expect(read.length - done).toBeLessThanOrEqual(batchesMax)
    read[done]!()
  }
  for (const { asker } of streams.slice(0, 7)) await asker.framesCame(2)
  expect(reads).toBe(7)
  expect(refused).toEqual([])
})

test('while others wait for memory, a peer that does not take what it asked for gives way', async () => {
  const open = startHelper({ batchBytesMax: REPLY_BYTES_MAX / 2, heldMs: 600 })
  const slow = await Promise.all([open(1), open(1)])
  for (const { asker, answerer } of slow) {
    await asker.sendFrame(FRAME_TYPES.request, encodeDigests(digests))
    await windowFull(asker, answerer)
  }
  const { asker } = await open(2)
  await asker.sendFrame(FRAME_TYPES.request, one)
  await asker.framesCame(2)
  expect(refused[0]).toBe('1 reply-unread')
  expect(refused).not.toContain('2 reply-unread')
  for (const { asker: reader } of slow) reader.abort()
})

test.each(['nothing', 'half a request', 'a byte now and then'])('a stream that brings %s is closed', async (what) => {
  const open = startHelper({ requestMs: 600 })
  const silent = await Promise.all([open(PEER), open(PEER)])
  const wanted = frame(FRAME_TYPES.request, one)
  let sent = 0
  const trickle = setInterval(() => {
    if (what !== 'a byte now and then') return
    for (const { asker } of silent) void asker.send(wanted.subarray(sent, sent + 1)).catch(() => {})
    sent += 1
  }, 50)
  if (what === 'half a request') for (const { asker } of silent) await asker.send(wanted.subarray(0, 20))
  for (const { answerer } of silent) await until('it is closed', () => answerer.status === 'aborted')
  clearInterval(trickle)
  expect(refused).toEqual([`${PEER} request-late`, `${PEER} request-late`])
  const { asker } = await open(PEER)
  await asker.sendFrame(FRAME_TYPES.request, one)
  await asker.framesCame(2)
})

test('a request that is served for long is not late, and a peer that does not end its side is not waited for', async () => {
  const open = startHelper({ requestMs: 600, stallMs: 400 }, async () => {
    await sleep(250)
    return { author, bytes }
  })
  const { asker, answerer } = await open(PEER)
  await asker.sendFrame(FRAME_TYPES.request, encodeDigests(digests.slice(0, 3)))
  await asker.framesCame(4)
  await until('its stream is over', () => answerer.status === 'aborted')
  expect(refused).toEqual([])
})

test('a peer that has had its bytes waits with no batch in memory, and a reset ends the wait', async () => {
  const large = { author, bytes: new Uint8Array(11 * HELPER_BYTES_PER_SECOND) }
  const open = startHelper({ batchBytesMax: large.bytes.length }, async () => large)
  const first = await open(PEER)
  await first.asker.sendFrame(FRAME_TYPES.request, one)
  await windowFull(first.asker, first.answerer)
  first.asker.abort()
  for (let i = 0; i < 2 * REQUESTS_OPEN_MAX; i += 1) {
    const { asker, answerer } = await open(PEER)
    await asker.sendFrame(FRAME_TYPES.request, one)
    await sleep(50)
    expect(reads).toBe(1)
    asker.abort()
    await until('it is gone', () => answerer.status !== 'open')
  }
  expect(refused).toEqual([])
})

test('what is not here counts as a look into the store: a peer that asks for rubbish is slowed down too', async () => {
  // One look a second, ten at once.
  const open = startHelper({ bytesPerSecond: LOOKUP_BYTES }, async () => undefined)
  const { asker } = await open(PEER)
  await asker.sendFrame(FRAME_TYPES.request, encodeDigests(digests))
  await until('those at once are looked for', () => reads >= 10)
  const other = await open(PEER + 1)
  await other.asker.sendFrame(FRAME_TYPES.request, one)
  await other.asker.framesCame(1)
  expect(reads).toBeLessThan(digests.length / 2)
  asker.abort()
})

describe('a reply that cannot go on', () => {
  const asked = encodeDigests(digests.slice(0, 2))

  test('for a bug of ours is the failure of the worker, and nothing that the peer did', async () => {
    const { asker } = await startHelper({}, async () => {
      throw new TypeError('a bug of ours')
    })(PEER)
    await asker.sendFrame(FRAME_TYPES.request, asked)
    await until('the supervisor is told', () => failures.length === 1)
    expect(failures[0]).toMatch(/^the main thread failed in a reply: TypeError: a bug of ours/)
    expect(refused).toEqual([])
    asker.abort()
  })

  test('since the worker is closing ends its stream, and is no failure', async () => {
    const { asker } = await startHelper({}, async () => {
      throw new NarvalError('ERR_CLOSED', 'the worker is closed')
    })(PEER)
    await asker.sendFrame(FRAME_TYPES.request, asked)
    await asker.gone()
    expect([failures, refused]).toEqual([[], []])
  })

  test.each(['while its batch is read', 'while it is sent', 'before its end'])(
    'since the peer went away %s is no failure, and no offence',
    async (when) => {
      let go: () => void = () => {}
      const { asker, answerer } = await startHelper({}, async () => {
        if (when === 'while its batch is read') await new Promise<void>((resolve) => (go = resolve))
        return { author, bytes }
      })(PEER)
      await asker.sendFrame(FRAME_TYPES.request, asked)
      await until('it is read', () => reads > 0)
      if (when === 'before its end') await asker.framesCame(1)
      asker.abort()
      await until('it is gone', () => answerer.status !== 'open')
      go()
      await sleep(20)
      expect([failures, refused]).toEqual([[], []])
    },
  )
})
