/** Frames, messages and answers that cost the worker more than who sends them, against a real worker. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '@libp2p/interface'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  MUXER_FRAME_BYTES_MAX,
  NEGOTIATION_ANSWERS_MAX,
  PEER_WORK_BURST,
  STREAMS_PER_CONNECTION_MAX,
} from '../../src/main/network/limits.js'
import { BATCH_PROTOCOL } from '../../src/main/network/protocols.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import type { Libp2pPeer } from '../support/libp2p-peer.js'
import { FLAGS, frames, header, isOpen, proposal, sendMessages, sendToMuxer, TYPES } from '../support/raw-muxer.js'
import { until } from '../support/until.js'
import { WorkerUnderTest } from '../support/worker-under-test.js'

let node: WorkerUnderTest
let mallory: Libp2pPeer

beforeAll(async () => {
  node = await WorkerUnderTest.start()
  await node.honest(1, 2)
  mallory = await node.peer(3)
  await node.certifiesOne()
})
afterAll(() => node.close())

const MULTISTREAM = proposal('/multistream/1.0.0')
const NOTHING = new Uint8Array(0)

/** What a stranger or a peer can have us work on: units of work of each, and many of them. */
const floods: readonly (readonly [string, number, (connection: Connection, count: number) => void])[] = [
  ['pings', 4, (it, count) => sendToMuxer(it, frames(count, ping))],
  [
    'pings in messages of their own',
    5,
    (it, count) =>
      sendMessages(
        it,
        Array.from({ length: count }, (_, i) => ping(i)),
      ),
  ],
  [
    'window updates of nothing',
    1,
    (it, count) =>
      sendToMuxer(
        it,
        frames(count, () => header(TYPES.windowUpdate, 0, 1, 0)),
      ),
  ],
  [
    'window updates with unknown flags',
    1,
    (it, count) =>
      sendToMuxer(
        it,
        frames(count, () => header(1, 0xfff0, 1, 1)),
      ),
  ],
  [
    'empty data frames for no stream',
    1,
    (it, count) =>
      sendToMuxer(
        it,
        frames(count, () => header(TYPES.data, 0, 4001, 0)),
      ),
  ],
  ['streams that are opened and reset', 16, (it, count) => sendToMuxer(it, frames(count, openOrReset))],
  [
    'streams beyond all limits',
    32,
    (it, count) =>
      sendToMuxer(
        it,
        frames(count, (i) => header(TYPES.data, FLAGS.syn, 4001 + 2 * i, 0)),
      ),
  ],
  ['empty noise messages', 1, (it, count) => sendMessages(it, Array(count).fill(NOTHING))],
  [
    'frames in pieces of one byte',
    1,
    (it, count) => {
      const bytes = frames(count / 10, () => header(TYPES.data, 0, 4001, 0))
      sendMessages(
        it,
        Array.from(bytes, (byte) => Uint8Array.of(byte)),
      )
    },
  ],
]

function ping(id: number): Buffer {
  return header(TYPES.ping, FLAGS.syn, 0, id)
}

function openOrReset(index: number): Buffer {
  return header(TYPES.windowUpdate, index % 2 === 0 ? FLAGS.syn : FLAGS.rst, 4001 + 2 * (index >> 1), 0)
}

describe('before its hello', () => {
  test.each(floods)('a connection that sends %s is closed', async (_what, _work, flood) => {
    const connection = await mallory.dial(node.address)
    const left = await node.refusals('peer', 'left-before-hello')
    await node.counts('peer', 'too-much-before-hello', async () => flood(connection, 1000), 1)
    await until('it is closed', () => !isOpen(connection))
    await node.certifiesOne()
    // It is counted once.
    expect(await node.refusals('peer', 'left-before-hello')).toBe(left)
  })

  test('a connection that proposes protocols without end is closed', async () => {
    const connection = await mallory.dial(node.address)
    await node.counts('peer', 'negotiation-flood', async () => {
      sendToMuxer(
        connection,
        stream(
          4001,
          frames(1000, () => proposal('x')),
        ),
      )
    })
    // On one stream after the other.
    await node.counts('peer', 'too-much-before-hello', async () => {
      for (let id = 4003; id < 4100; id += 2) {
        sendToMuxer(
          connection,
          stream(
            id,
            frames(NEGOTIATION_ANSWERS_MAX - 1, () => proposal('ls')),
          ),
        )
      }
    })
    await until('it is closed', () => !isOpen(connection))
  })

  test.each([
    ['proposals', proposal('x')],
    ['questions for protocols', proposal('ls')],
    ['greetings', MULTISTREAM],
  ])('a socket that says nothing but %s, before any handshake, is closed', async (_what, bytes) => {
    const socket = await tcp()
    socket.write(MULTISTREAM)
    await node.counts('peer', 'too-much-before-hello', async () => void socket.write(frames(600, () => bytes)), 1)
    await until('it is closed', () => socket.closed)
  })

  test('a connection that sends more bytes than a hello has is closed', async () => {
    const connection = await mallory.dial(node.address)
    const bytes = Buffer.concat([header(TYPES.data, 0, 4001, 60_000), Buffer.alloc(60_000)])
    await node.counts('peer', 'too-much-before-hello', async () => sendToMuxer(connection, bytes), 1)
    await until('it is closed', () => !isOpen(connection))
  })

  test('a stranger that opens streams and negotiates none is closed before it has many', async () => {
    const connection = await mallory.dial(node.address)
    await node.counts(
      'peer',
      'too-much-before-hello',
      async () =>
        sendToMuxer(
          connection,
          frames(STREAMS_PER_CONNECTION_MAX, (i) => stream(4001 + 2 * i, NOTHING)),
        ),
      1,
    )
    await until('it is closed', () => !isOpen(connection))
  })

  test('a hello goes through beside a few pings and streams of other protocols', async () => {
    const connection = await mallory.dial(node.address)
    sendToMuxer(
      connection,
      frames(5, (i) => header(TYPES.ping, FLAGS.syn, 0, i)),
    )
    for (const id of [4001, 4003]) sendToMuxer(connection, stream(id, proposal('/ipfs/id/1.0.0')))
    await mallory.verify(connection)
    expect(isOpen(connection)).toBe(true)
    await node.accepts(await mallory.openBatches(connection))
    await connection.close()
  })
})

describe('after its hello', () => {
  test.each(floods)(
    'a peer that sends %s is read more slowly, and is served when it is over',
    async (_what, work, flood) => {
      const connection = await mallory.connect(node.address)
      await node.counts('peer', 'frame-flood', async () => flood(connection, Math.ceil((1.5 * PEER_WORK_BURST) / work)))
      await node.certifiesOne()
      expect(isOpen(connection)).toBe(true)
      const other = await mallory.connect(node.address)
      await node.accepts(await mallory.openBatches(other))
      await connection.close()
      await other.close()
    },
  )

  test('a peer that is read more slowly is not cut off for all that it sent meanwhile', async () => {
    const connection = await mallory.connect(node.address)
    const batches = await mallory.openBatches(connection)
    await node.accepts(batches)
    // Every read, message and frame of these costs: three units for 20 bytes, then a batch that costs nothing.
    const before = await node.refusals('peer', 'frame-flood')
    sendMessages(connection, Array(3 * PEER_WORK_BURST).fill(header(TYPES.windowUpdate, 0, 4001, 0)))
    const count = 12
    for (let i = 0; i < count; i += 1) void batches.sendFrame(FRAME_TYPES.batch, node.batch(499_000)).catch(() => {})
    await until('all batches are acknowledged', () => batches.acks.length === count + 1)
    expect(await node.refusals('peer', 'frame-flood')).toBeGreaterThan(before)
    expect(isOpen(connection)).toBe(true)
    await connection.close()
  })

  test('a stream on which protocols are proposed without end is reset, and the connection stays', async () => {
    const connection = await mallory.connect(node.address)
    await node.counts('peer', 'negotiation-flood', async () => {
      sendToMuxer(
        connection,
        stream(
          9001,
          frames(20_000, () => proposal('x')),
        ),
      )
    })
    await node.accepts(await mallory.openBatches(connection))
    await connection.close()
  })

  test('streams that a peer opens and does not negotiate are as many as one connection may have, for a while', async () => {
    const connection = await mallory.connect(node.address)
    const habits = [NOTHING, MULTISTREAM.subarray(0, 1), MULTISTREAM, Buffer.concat([MULTISTREAM, Buffer.from([20])])]
    const open = (id: number): Buffer => {
      const bytes = habits[id % habits.length]!
      return Buffer.concat([header(TYPES.data, FLAGS.syn, 4001 + 2 * id, bytes.length), bytes])
    }
    await node.counts(
      'peer',
      'negotiation-late',
      async () => {
        sendToMuxer(connection, frames(STREAMS_PER_CONNECTION_MAX + 8, open))
        await node.certifiesOne()
      },
      STREAMS_PER_CONNECTION_MAX,
    )
    // They are gone: the connection has room for streams again.
    expect(isOpen(connection)).toBe(true)
    await node.accepts(await mallory.openBatches(connection))
    await connection.close()
  })

  test('a peer that opens batch streams and resets them, as fast as it can, is read more slowly, and the others are served', async () => {
    const connection = await mallory.connect(node.address)
    const begin = proposal(BATCH_PROTOCOL)
    const endMs = performance.now() + 2_000
    let id = 6001
    const flood = async (): Promise<void> => {
      while (performance.now() < endMs && isOpen(connection)) {
        sendToMuxer(
          connection,
          frames(20, () => {
            id += 2
            return Buffer.concat([stream(id, begin), header(TYPES.windowUpdate, FLAGS.rst, id, 0)])
          }),
        )
        await sleep(1)
      }
    }
    await node.counts('peer', 'frame-flood', async () => {
      await Promise.all([flood(), node.certifiesOne(), node.certifiesOne()])
    })
    expect(isOpen(connection)).toBe(true)
    await node.slotsAllFree()
    await connection.close()
    const again = await mallory.connect(node.address)
    await node.accepts(await mallory.openBatches(again))
    await again.close()
  })

  test('a frame of the muxer that is larger than any window closes the connection before it is kept', async () => {
    const other = await mallory.connect(node.address)
    const slice = Buffer.alloc(256 * 1024)
    await node.counts(
      'peer',
      'muxer-frame-too-large',
      async () => {
        sendToMuxer(other, header(TYPES.data, 0, 4001, 0xffffffff))
        for (let sent = 0; sent <= MUXER_FRAME_BYTES_MAX + slice.length && isOpen(other); sent += slice.length) {
          sendToMuxer(other, slice)
          await sleep(5)
        }
      },
      1,
    )
    await until('it is closed', () => !isOpen(other))
  })

  test.each([0, 1, 2])(
    'a peer that says go-away (%i) is gone, and does not stay as one that takes no stream',
    async (code) => {
      const other = await mallory.connect(node.address)
      sendToMuxer(other, header(TYPES.goAway, 0, 0, code))
      await until('it is closed', () => !isOpen(other))
    },
  )
})

/** A stream that is opened with a greeting and these bytes. */
function stream(id: number, bytes: Uint8Array): Buffer {
  const payload = Buffer.concat([MULTISTREAM, bytes])
  return Buffer.concat([header(TYPES.data, FLAGS.syn, id, payload.length), payload])
}

async function tcp(): Promise<Socket> {
  const [, , host, , port] = node.address.split('/')
  const socket = connect({ host: host!, port: Number(port) })
  socket.on('error', () => {})
  socket.resume()
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}
