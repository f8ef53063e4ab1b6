/** A guarded connection between two real nodes: what waits for a socket that nobody reads. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ConnectionGuard } from '../../../src/main/network/connection-guard.js'
import { ConnectionGuards } from '../../../src/main/network/connection-guards.js'
import { createLibp2pNode } from '../../../src/main/network/libp2p-node.js'
import {
  MUXER_FRAME_PIECES_MAX,
  NEGOTIATION_MS,
  QUEUED_FRAME_BYTES,
  SOCKET_BUFFER_BYTES,
  SOCKET_QUEUE_BYTES_MAX,
} from '../../../src/main/network/limits.js'
import { guardMuxer } from '../../../src/main/network/muxer-guard.js'
import { SLICE_BYTES, STREAM_WINDOW_INITIAL_BYTES } from '../../../src/shared/constants.js'
import { TokenBucket } from '../../../src/shared/token-bucket.js'
import {
  FLAGS,
  frames,
  header,
  isOpen,
  proposal,
  queuedBytes,
  sendMessages,
  sendToMuxer,
  stopReading,
  TYPES,
} from '../../support/raw-muxer.js'
import { until, within } from '../../support/until.js'
import { fillMuxer } from '../../support/yamux.js'

const PROTOCOL = '/test/1'

interface Guarded {
  readonly readBufferLength: number
  readonly socket: { isPaused(): boolean }
}

let nodes: Libp2p[]
/** The two ends of one connection; the far one is guarded. */
let near: Connection
let guard: ConnectionGuard
let far: Connection
let refusals: string[]
let details: string[]
let farStreams: Stream[]

/** By how much the guard's clock is ahead. */
let aheadMs: number

async function start(negotiationMs?: number): Promise<void> {
  aheadMs = 0
  refusals = []
  details = []
  farStreams = []
  const onRefused = (reason: string, _from: string, detail: string): void => {
    refusals.push(reason)
    details.push(detail)
  }
  const guards = new ConnectionGuards({ onRefused }, () => performance.now() + aheadMs)
  const node = (byte: number, guarded: boolean): Promise<Libp2p> =>
    createLibp2pNode({
      networkKeySeed: new Uint8Array(32).fill(byte),
      listen: { host: '127.0.0.1', port: 0 },
      authorities: 4,
      admits: () => true,
      ...(guarded && { guards, ...(negotiationMs && { negotiationMs }) }),
    })
  nodes = [await node(1, false), await node(2, true)]
  const [dialler, listener] = nodes as [Libp2p, Libp2p]
  await listener.handle(PROTOCOL, (stream) => void farStreams.push(stream))
  await Promise.all(nodes.map((each) => each.start()))
  const opened = new Promise<Connection>((resolve) => {
    listener.addEventListener('connection:open', ({ detail }) => resolve(detail), { once: true })
  })
  near = await dialler.dial(listener.getMultiaddrs())
  far = await within('the connection is there', opened)
  // A peer whose frames are never too many: what is queued has to be bounded for it as well.
  guard = guards.of((far as unknown as { maConn: object }).maConn) as ConnectionGuard
  guard.verified('peer', new TokenBucket(1e12, 1e12))
}

const stop = (): Promise<unknown> => Promise.all(nodes.map((node) => node.stop()))

beforeEach(() => start())
afterEach(stop)

test.each([
  ['pings', (i: number) => header(TYPES.ping, FLAGS.syn, 0, i)],
  // Of the 32 that are allowed, and all beyond: each is answered by a reset.
  ['streams beyond the limit', (i: number) => header(TYPES.windowUpdate, FLAGS.syn, 4001 + 2 * i, 0)],
])(
  'a peer that sends %s and reads no answer is cut off at a bounded queue',
  async (_what, frame) => {
    await until('streams of the negotiation are over', () => far.streams.length === 0)
    stopReading(near)
    let most = 0
    let sent = 0
    while (isOpen(far) && sent < 2_000_000) {
      const from = sent
      sendToMuxer(
        near,
        frames(5_000, (i) => frame(from + i)),
      )
      sent += 5_000
      await sleep(1)
      if (isOpen(far)) most = Math.max(most, queuedBytes(far))
    }
    // On a busy machine the streams are there for longer than they may be without a protocol.
    expect(refusals.filter((reason) => reason !== 'negotiation-late')).toEqual(['socket-unread'])
    expect(most).toBeGreaterThan(SOCKET_BUFFER_BYTES / 2)
    expect(most).toBeLessThanOrEqual(SOCKET_QUEUE_BYTES_MAX)
    // Each frame of a few bytes counts the memory beside them.
    const queued = Number(/in (\d+) frames/.exec(details.find((detail) => detail.includes('wait for it'))!)![1])
    expect(queued).toBeLessThanOrEqual(SOCKET_QUEUE_BYTES_MAX / QUEUED_FRAME_BYTES)
  },
  60_000,
)

test('the socket of a peer that has spent its work rests until there is more, again and again', async () => {
  guard.verified('peer', new TokenBucket(20, 20))
  const { maConn } = far as unknown as { maConn: Guarded }
  const small = header(TYPES.windowUpdate, 0, 4001, 0)
  sendMessages(near, Array(20).fill(small))
  await until('it has spent its work', () => !guard.isOpen)
  let most = 0
  let running = 0
  for (let i = 0; i < 200; i += 1) {
    sendMessages(near, [small])
    await sleep(3)
    most = Math.max(most, maConn.readBufferLength)
    if (!guard.isOpen && !maConn.socket.isPaused()) running += 1
  }
  expect(running).toBe(0)
  expect(most).toBeLessThanOrEqual(64 * 1024)
  expect(isOpen(far)).toBe(true)
  expect(new Set(refusals)).toEqual(new Set(['frame-flood']))
})

test('window updates do not make a stream hand more to a full muxer', async () => {
  const stream = await near.newStream([PROTOCOL])
  await until('it is there', () => farStreams.length === 1)
  stopReading(near)
  // A sender that goes on whenever it is told that there is room.
  const slice = new Uint8Array(SLICE_BYTES)
  const [sender] = farStreams as [Stream]
  let sent = 0
  const pump = (): void => {
    while (sent < 100 && !sender.writableNeedsDrain) {
      sent += 1
      sender.send(slice)
    }
  }
  sender.addEventListener('drain', pump)
  pump()
  let most = 0
  for (let i = 0; i < 200; i += 1) {
    sendToMuxer(near, header(TYPES.windowUpdate, 0, Number(stream.id), SLICE_BYTES / 2))
    await sleep(1)
    most = Math.max(most, queuedBytes(far))
  }
  expect(isOpen(far)).toBe(true)
  expect(sent).toBe(100)
  expect(most).toBeLessThanOrEqual(SOCKET_BUFFER_BYTES + 2 * SLICE_BYTES)
})

test('a stream without a protocol is held in one window of memory, although nothing is answered on it', async () => {
  const id = 4001
  const greeting = proposal('/multistream/1.0.0')
  sendToMuxer(near, Buffer.concat([header(TYPES.data, FLAGS.syn, id, greeting.length), greeting]))
  await until('it is there', () => far.streams.some((stream) => stream.id === `${id}`))
  const half = far.streams.find((stream) => stream.id === `${id}`)!
  await until('it is greeted', () => half.readBufferLength === 0)
  // What is answered from now on goes nowhere, so that what comes behind it waits.
  fillMuxer(half)
  const chunk = Buffer.concat([proposal('x'), Buffer.alloc(60_000)])
  let sent = 0
  while (isOpen(far) && sent < 16 * STREAM_WINDOW_INITIAL_BYTES) {
    sendToMuxer(near, Buffer.concat([header(TYPES.data, 0, id, chunk.length), chunk]))
    sent += chunk.length
    await sleep(2)
  }
  expect(isOpen(far)).toBe(false)
  expect(sent).toBeGreaterThan(STREAM_WINDOW_INITIAL_BYTES)
})

test('a stream for which no protocol is agreed in time is reset and counted; one that the peer ends before is not', async () => {
  await stop()
  await start(500)
  const greeting = proposal('/multistream/1.0.0')
  const isThere = (id: number): boolean => far.streams.some((stream) => stream.id === `${id}`)
  const open = (id: number): void =>
    sendToMuxer(near, Buffer.concat([header(TYPES.data, FLAGS.syn, id, greeting.length), greeting]))
  open(4001)
  await until('it is there', () => isThere(4001))
  sendToMuxer(near, header(TYPES.windowUpdate, FLAGS.rst, 4001, 0))
  await until('it is gone', () => !isThere(4001))
  expect(refusals).toEqual([])
  open(4003)
  await until('the second is there', () => isThere(4003))
  aheadMs = NEGOTIATION_MS
  await until('it is reset', () => !isThere(4003))
  expect(refusals).toEqual(['negotiation-late'])
  // The node's own limit did it, and not a default of libp2p's.
  expect(Number(/for (\d+) ms/.exec(details[0]!)![1])).toBeLessThan(2 * NEGOTIATION_MS)
  expect(isOpen(far)).toBe(true)
})

test('a frame that comes byte by byte waits in a bounded number of pieces, and is whole at its end', async () => {
  const stream = await near.newStream([PROTOCOL])
  await until('it is there', () => farStreams.length === 1)
  const received: Uint8Array[] = []
  farStreams[0]!.addEventListener('message', ({ data }) => void received.push(data.subarray()))
  const { decoder } = (far as unknown as { muxer: { decoder: { buffer: { bufs: unknown[]; byteLength: number } } } })
    .muxer
  const payload = Buffer.from(Array.from({ length: 2 * MUXER_FRAME_PIECES_MAX + 100 }, (_, i) => i))
  sendToMuxer(near, header(TYPES.data, 0, Number(stream.id), payload.length))
  let most = 0
  for (let at = 0; at < payload.length - 1; at += 1) {
    sendMessages(near, [payload.subarray(at, at + 1)])
    if (at % 50 === 49) await until('they have come', () => decoder.buffer.byteLength === 12 + at + 1)
    most = Math.max(most, decoder.buffer.bufs.length)
  }
  expect(most).toBeGreaterThan(MUXER_FRAME_PIECES_MAX / 2)
  expect(most).toBeLessThanOrEqual(MUXER_FRAME_PIECES_MAX)
  sendMessages(near, [payload.subarray(-1)])
  await until('it is whole', () => received.length > 0)
  expect(Buffer.concat(received).equals(payload)).toBe(true)
})

test('a muxer with other internals is left as it is, and it is said', () => {
  expect(guardMuxer({}, {} as never, {} as never)).toBe(false)
  expect(guardMuxer({ decoder: { readFrame() {} }, send() {}, streams: [] }, {} as never, {} as never)).toBe(false)
})
