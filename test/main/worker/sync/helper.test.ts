/** Helper over real libp2p streams, with a store of one batch: peers that ask and read slowly, or not at all. */
import type { Stream } from '@libp2p/interface'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { SYNC_PROTOCOL } from '../../../../src/main/network/protocols.js'
import { Router } from '../../../../src/main/network/router.js'
import { Helper } from '../../../../src/main/worker/sync/helper.js'
import { REQUEST_DIGESTS_MAX, SLICE_BYTES, STREAM_WINDOW_BYTES } from '../../../../src/shared/constants.js'
import { FRAME_TYPES } from '../../../../src/shared/wire/frames.js'
import { encodeDigests } from '../../../../src/shared/wire/sync-messages.js'
import { RawStream } from '../../../support/raw-stream.js'
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
beforeEach(() => {
  reads = 0
  refused = []
})

/** A request for as many batches as may be; the reply is on its way. */
async function request(stallMs?: number): Promise<{ asker: RawStream; answerer: Stream }> {
  const processor = {
    ask: async () => {
      reads += 1
      return { author, bytes }
    },
  }
  const helper = new Helper(
    { batchBytesMax: 8_388_608, ...(stallMs !== undefined && { stallMs }) },
    { processor: processor as unknown as ConstructorParameters<typeof Helper>[1]['processor'] },
    { onServed() {}, onRefused: (peer, refusal) => refused.push(`${peer} ${refusal}`) },
  )
  const router = new Router(
    () => ({ helper, inbound: { accept: () => expect.unreachable('no batch stream is opened') } }),
    (peer, refusal) => refused.push(`${peer} ${refusal}`),
  )
  const { near, far } = await pairs.open((stream) => {
    router.accept(SYNC_PROTOCOL, PEER, stream)
    return stream
  })
  const asker = new RawStream(near)
  await asker.sendFrame(FRAME_TYPES.request, encodeDigests(digests))
  return { asker, answerer: far }
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
