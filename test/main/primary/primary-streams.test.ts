/** The streams between primaries: real libp2p streams, and a primary that has credits or none. */
import type { Connection, Stream } from '@libp2p/interface'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Peer, PeerTable } from '../../../src/main/network/peer-table.js'
import { Router } from '../../../src/main/network/router.js'
import {
  JOINED_FRAMES_BYTES,
  PEER_QUEUE_BYTES_MAX,
  PEER_QUEUE_RECORDS_MAX,
  RECORD_STREAM_STILL_MS,
} from '../../../src/main/primary/limits.js'
import { PrimaryStreams } from '../../../src/main/primary/primary-streams.js'
import { RecordQueue } from '../../../src/main/primary/record-queue.js'
import { encodeFrameOf } from '../../../src/shared/wire/frames.js'
import { RECORD_BYTES_MAX } from '../../../src/shared/wire/primary/limits.js'
import { StreamPairs } from '../../support/stream-pair.js'
import { until } from '../../support/until.js'

let pairs: StreamPairs
beforeAll(async () => {
  pairs = await StreamPairs.start()
})
afterAll(() => pairs.stop())

/** Streams of a primary with one peer, of index 1. */
function streamsOf() {
  const told: string[] = []
  const refused: string[] = []
  const records: number[][] = []
  const state = { hasCredit: true }
  const now = { ms: 0 }
  const peer = { index: 1, connections: [] as Connection[] } as unknown as Peer
  const router: Router = new Router(
    () => ({ primary: streams }),
    (_, reason) => refused.push(reason),
  )
  const streams: PrimaryStreams = new PrimaryStreams({
    peers: { peers: [peer] } as unknown as PeerTable,
    router,
    nowMs: () => now.ms,
    client: {
      connected: (index) => told.push(`connected ${index}`),
      disconnected: (index) => told.push(`disconnected ${index}`),
      hasCredit: () => state.hasCredit,
      message: (from, bytes) => records.push([from, ...bytes]),
    },
  })
  const accept = (stream: Stream): void => router.accept('/narval/primary/1', 1, stream)
  return { now, streams, peer, told, refused, records, state, accept }
}

/** A connection whose streams are these. */
function connectionOf(...opened: Stream[]): Connection {
  return { newStream: async () => opened.shift() } as unknown as Connection
}

const frameOf = (...bytes: number[]): Uint8Array => encodeFrameOf('record', Uint8Array.from(bytes))

test('records of a peer go to the primary, those that it has no credit for wait', async () => {
  const { accept, records, state, streams } = streamsOf()
  const { near } = await pairs.open(accept)
  near.send(Buffer.concat([frameOf(1, 2), frameOf(3)]))
  await until('both came', () => records.length === 2)
  expect(records).toEqual([
    [1, 1, 2],
    [1, 3],
  ])
  state.hasCredit = false
  near.send(Buffer.concat([frameOf(4), frameOf(5)]))
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(records).toHaveLength(2)
  state.hasCredit = true
  streams.onCredit(1)
  await until('they came', () => records.length === 4)
})

test('a record that is larger than any, and another frame, end the stream', async () => {
  const { accept, refused } = streamsOf()
  const tooLarge = await pairs.open(accept)
  const header = encodeFrameOf('record', new Uint8Array(0))
  new DataView(header.buffer).setUint32(0, RECORD_BYTES_MAX + 1, true)
  tooLarge.near.send(header)
  await until('it is refused', () => refused.length === 1)
  const other = await pairs.open(accept)
  other.near.send(encodeFrameOf('batch', new Uint8Array(1)))
  await until('it is refused', () => refused.length === 2)
  expect(refused).toEqual(['frame-too-large', 'frame-on-wrong-stream'])
  await until('both are gone', () => tooLarge.near.status !== 'open' && other.near.status !== 'open')
})

test('a newer stream of a peer takes the place of the one before', async () => {
  const { accept, records } = streamsOf()
  const first = await pairs.open(accept)
  const second = await pairs.open(accept)
  await until('the first is gone', () => first.near.status !== 'open')
  second.near.send(frameOf(7))
  await until('it came', () => records.length === 1)
})

test('what goes out goes on our stream of the newest connection, and the primary is told of each', async () => {
  const { peer, streams, told } = streamsOf()
  const received: Uint8Array[] = []
  const take = (stream: Stream): void =>
    stream.addEventListener('message', ({ data }) => received.push(data instanceof Uint8Array ? data : data.subarray()))
  streams.send([{ to: 1, bytes: Uint8Array.of(9) }])
  const [first, second] = [await pairs.open(take), await pairs.open(take)]
  ;(peer.connections as Connection[]).push(connectionOf(first.near))
  streams.onPeerConnected(peer)
  await until('it is connected', () => told.length === 1)
  streams.send([{ to: 'all', bytes: Uint8Array.of(1, 2) }])
  await until('it came', () => Buffer.concat(received).length > 0)
  // What was sent while there was no stream is not kept.
  expect(Buffer.concat(received)).toEqual(Buffer.from(frameOf(1, 2)))
  ;(peer.connections as Connection[]).push(connectionOf(second.near))
  streams.onPeerConnected(peer)
  await until('it is connected anew', () => told.length === 3)
  expect(told).toEqual(['connected 1', 'disconnected 1', 'connected 1'])
  await until('the first is gone', () => first.near.status !== 'open')
  received.length = 0
  streams.send([{ to: 1, bytes: Uint8Array.of(3) }])
  await until('it came', () => Buffer.concat(received).length > 0)
  expect(Buffer.concat(received)).toEqual(Buffer.from(frameOf(3)))
  streams.close()
})

test('what is said in one turn arrives, however much it is, and what is said after it', async () => {
  const { peer, streams, told } = streamsOf()
  let received = 0
  const take = (stream: Stream): void =>
    stream.addEventListener('message', ({ data }) => {
      received += data.byteLength
    })
  const { near } = await pairs.open(take)
  ;(peer.connections as Connection[]).push(connectionOf(near))
  streams.onPeerConnected(peer)
  await until('it is connected', () => told.length === 1)
  const record = new Uint8Array(JOINED_FRAMES_BYTES)
  for (let turn = 1; turn <= 2; turn += 1) {
    streams.send(Array.from({ length: 20 }, () => ({ to: 1, bytes: record })))
    await until(`all of turn ${turn} came`, () => received === turn * 20 * (record.length + 8))
  }
  streams.close()
})

test('a stream that takes nothing any more is opened anew, and one on which nothing waits stays', async () => {
  const { now, peer, streams, told } = streamsOf()
  let isRead = false
  const received: number[] = []
  const still = await pairs.open((stream) => stream.pause())
  const next = await pairs.open((stream) =>
    stream.addEventListener('message', ({ data }) => {
      isRead = true
      received.push(data.byteLength)
    }),
  )
  ;(peer.connections as Connection[]).push(connectionOf(still.near, next.near))
  streams.onPeerConnected(peer)
  await until('it is connected', () => told.length === 1)
  now.ms += RECORD_STREAM_STILL_MS
  streams.send([{ to: 1, bytes: Uint8Array.of(1) }])
  expect(told).toEqual(['connected 1'])
  const record = new Uint8Array(JOINED_FRAMES_BYTES)
  streams.send(Array.from({ length: 40 }, () => ({ to: 1, bytes: record })))
  await until('it takes no more', () => streams.stateOf(1).queued > 0)
  await new Promise((resolve) => setTimeout(resolve, 200))
  now.ms += RECORD_STREAM_STILL_MS
  streams.send([{ to: 1, bytes: Uint8Array.of(2) }])
  await until('it is opened anew', () => told.length === 3)
  expect(told).toEqual(['connected 1', 'disconnected 1', 'connected 1'])
  streams.send([{ to: 1, bytes: Uint8Array.of(3) }])
  await until('what is said then is heard', () => isRead)
  streams.close()
})

test('a queue holds what it may, and the oldest give way', () => {
  const queue = new RecordQueue()
  for (let count = 0; count < PEER_QUEUE_RECORDS_MAX + 3; count += 1) queue.push(Uint8Array.of(count))
  expect([queue.size, queue.dropped]).toEqual([PEER_QUEUE_RECORDS_MAX, 3])
  expect(queue.takeFrames()!.subarray(0, 9)).toEqual(frameOf(3))
  queue.clear()
  const large = Math.floor(PEER_QUEUE_BYTES_MAX / 4)
  for (let count = 0; count < 5; count += 1) queue.push(new Uint8Array(large))
  expect([queue.size, queue.dropped]).toEqual([4, 4])
  expect(queue.takeFrames()!.length).toBe(large + 8)
  queue.clear()
  expect(queue.takeFrames()).toBeUndefined()
  for (let count = 0; count < 3; count += 1) queue.push(new Uint8Array(JOINED_FRAMES_BYTES / 2))
  expect(queue.takeFrames()!.length).toBe(JOINED_FRAMES_BYTES + 16)
})
