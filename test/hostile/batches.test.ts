/** What a verified peer may send as batches: everything that is wrong with frames and batches, against a real worker. */
import type { Connection } from '@libp2p/interface'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultParameters } from '../../src/shared/config/parameters.js'
import { BATCH_HEADER_BYTES, STREAM_WINDOW_BYTES } from '../../src/shared/constants.js'
import type { PeerRefusal } from '../../src/shared/refusals.js'
import { ACK_STATUSES } from '../../src/shared/wire/ack.js'
import {
  BATCH_COUNT_AT,
  BATCH_EPOCH_AT,
  BATCH_FLAGS_AT,
  BATCH_MAGIC_AT,
  BATCH_RESERVED_AT,
  BATCH_VERSION_AT,
  BATCH_WORKER_ID_AT,
  encodeBatch,
  readBatchHeader,
  writeBatchHeader,
} from '../../src/shared/wire/batch.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { digestOf, type Libp2pPeer } from '../support/libp2p-peer.js'
import { frame, type RawStream } from '../support/raw-stream.js'
import { until } from '../support/until.js'
import { WorkerUnderTest } from '../support/worker-under-test.js'

const BATCH_BYTES_MAX = 500_000

let node: WorkerUnderTest
let mallory: Libp2pPeer
let connection: Connection

beforeAll(async () => {
  node = await WorkerUnderTest.start()
  await node.honest(1, 2)
  mallory = await node.peer(3)
  connection = await mallory.connect(node.address)
  await node.certifiesOne()
})
afterAll(() => node.close())

/** The stream is closed for it, counted once; the connection and the others go on, and no slot is lost. */
async function closesStream(reason: PeerRefusal, ...bytes: Uint8Array[]): Promise<void> {
  const stream = await mallory.openBatches(connection)
  await node.endsStream(stream, reason, () => stream.send(...bytes))
  await node.accepts(await mallory.openBatches(connection))
  await node.slotsAllFree()
  await node.certifiesOne()
}

describe('a frame ends its stream, and nothing else', () => {
  test('when it is longer than a batch may be', () =>
    closesStream('batch-too-long', frame(FRAME_TYPES.batch, new Uint8Array(10), { length: BATCH_BYTES_MAX + 1 })))

  test('when it says four gigabytes', () =>
    closesStream('batch-too-long', frame(FRAME_TYPES.batch, new Uint8Array(10), { length: 0xffffffff })))

  test('when it is shorter than a header of a batch', () =>
    closesStream('batch-too-short', frame(FRAME_TYPES.batch, new Uint8Array(BATCH_HEADER_BYTES - 1))))

  test('when it is empty', () => closesStream('batch-too-short', frame(FRAME_TYPES.batch, new Uint8Array(0))))

  test.each([0, Math.max(...Object.values(FRAME_TYPES)) + 1, 255])('when its type is %i, which there is not', (type) =>
    closesStream('unknown-frame-type', frame(type, new Uint8Array(100))),
  )

  test.each(['ack', 'request', 'found', 'missing', 'hello', 'helloOk', 'helloRefused', 'record'] as const)(
    'when it is a frame of type %s, which is of another stream',
    (name) => closesStream('frame-on-wrong-stream', frame(FRAME_TYPES[name], new Uint8Array(48))),
  )

  test.each([0, 1, 2])('when reserved byte %i of its header is set', (at) => {
    const reserved: [number, number, number] = [0, 0, 0]
    reserved[at] = 1
    return closesStream('frame-header-malformed', frame(FRAME_TYPES.batch, new Uint8Array(100), { reserved }))
  })

  test('when the stream ends in its payload', async () => {
    const stream = await mallory.openBatches(connection)
    await node.counts(
      'peer',
      'frame-truncated',
      async () => {
        await stream.send(frame(FRAME_TYPES.batch, node.batch()).subarray(0, 90))
        await stream.stream.close()
        await stream.gone()
      },
      1,
    )
    await node.slotsAllFree()
  })

  test('when the stream ends in its header', async () => {
    const stream = await mallory.openBatches(connection)
    await node.counts(
      'peer',
      'frame-truncated',
      async () => {
        await stream.send(frame(FRAME_TYPES.batch, node.batch()).subarray(0, 5))
        await stream.stream.close()
        await stream.gone()
      },
      1,
    )
  })

  test('and what came before it is stored and stays acknowledged', async () => {
    const stream = await mallory.openBatches(connection)
    const good = node.batch()
    await node.accepts(stream, good)
    await node.counts(
      'peer',
      'unknown-frame-type',
      async () => {
        await stream.sendFrame(77, new Uint8Array(0))
        await stream.gone()
      },
      1,
    )
    const stored = await node.worker.read(digestOf(good, node.keys[3]!.publicKey))
    expect(Buffer.from(stored!.bytes).equals(good)).toBe(true)
    expect(Buffer.from(stored!.author).equals(node.keys[3]!.publicKey)).toBe(true)
  })
})

test('a refusal is logged once for a peer, however often it happens', async () => {
  const started = Date.now()
  await node.counts(
    'peer',
    'batch-too-short',
    async () => {
      for (let i = 0; i < 20; i += 1) {
        const stream = await mallory.openBatches(connection)
        await stream.sendFrame(FRAME_TYPES.batch, new Uint8Array(3)).catch(() => {})
        await stream.gone()
      }
    },
    20,
  )
  const [lines, seconds] = [node.refusalLines('peer', 'batch-too-short'), (Date.now() - started) / 1000]
  // One in ten seconds says how many there were since.
  expect(lines.length).toBeLessThanOrEqual(3 + seconds / 10)
  expect(lines[0]).toContain(node.keys[3]!.name.slice(0, 16))
})

describe('a malformed batch is refused with an ACK that says so, and the stream goes on', () => {
  let stream: RawStream
  beforeAll(async () => {
    stream = await mallory.openBatches(connection)
  })

  async function invalid(bytes: Uint8Array): Promise<void> {
    const before = stream.acks.length
    await node.counts('batch', 'invalid', () => stream.sendFrame(FRAME_TYPES.batch, bytes), 1)
    await stream.framesCame(before + 1)
    const ack = stream.acks.at(-1)!
    expect(ack.status).toBe(ACK_STATUSES.invalid)
    expect(ack.digest).toEqual(new Uint8Array(32))
    expect(ack.sequence).toBe(Buffer.from(bytes).readBigUInt64LE(24))
    expect(stream.acks).toHaveLength(before + 1)
    await node.accepts(stream)
  }
  const changed = (change: (bytes: Buffer) => void): Uint8Array => {
    const bytes = Buffer.from(node.batch())
    change(bytes)
    return bytes
  }

  test('magic', () => invalid(changed((it) => it.writeUInt32LE(1, BATCH_MAGIC_AT))))
  test('version', () => invalid(changed((it) => it.writeUInt16LE(1, BATCH_VERSION_AT))))
  test('flags', () => invalid(changed((it) => it.writeUInt16LE(1, BATCH_FLAGS_AT))))
  test('worker id', () => invalid(changed((it) => it.writeUInt32LE(1, BATCH_WORKER_ID_AT))))
  test('epoch', () => invalid(changed((it) => it.writeUInt32LE(1, BATCH_EPOCH_AT))))
  test('reserved bytes', () => invalid(changed((it) => it.writeUInt8(1, BATCH_RESERVED_AT + 23))))
  test('a count that is one too low', () => {
    const two = Buffer.from(encodeBatch([new Uint8Array(5), new Uint8Array(6)], { workerId: 0, sequence: 5n }))
    two.writeUInt32LE(1, BATCH_COUNT_AT)
    return invalid(two)
  })
  test('a count that is one too high', () => invalid(changed((it) => it.writeUInt32LE(2, BATCH_COUNT_AT))))
  test('a count of zero', () => invalid(changed((it) => it.writeUInt32LE(0, BATCH_COUNT_AT))))
  test('a length that is not that of the body', () => invalid(Buffer.concat([node.batch(), Buffer.alloc(1)])))
  test('a body that is cut', () => invalid(node.batch().subarray(0, -1)))
  test('bytes behind the last transaction', () => {
    const batch = node.batch(100)
    const longer = Buffer.concat([batch, Buffer.alloc(3)])
    writeBatchHeader(longer, { workerId: 0, sequence: 77n, count: 1, bodyBytes: longer.length - BATCH_HEADER_BYTES })
    return invalid(longer)
  })
  test('a transaction that is longer than the batch', () => {
    return invalid(changed((it) => it.writeUInt32BE(101, BATCH_HEADER_BYTES)))
  })
  test('a transaction of zero bytes', () => {
    const bytes = Buffer.alloc(BATCH_HEADER_BYTES + 8)
    writeBatchHeader(bytes, { workerId: 0, sequence: 78n, count: 2, bodyBytes: 8 })
    return invalid(bytes)
  })
  test('no transactions at all', () => {
    const bytes = Buffer.alloc(BATCH_HEADER_BYTES)
    writeBatchHeader(bytes, { workerId: 0, sequence: 79n, count: 0, bodyBytes: 0 })
    return invalid(bytes)
  })
  test('nothing but zeros, and nothing but ones', async () => {
    await invalid(new Uint8Array(1000))
    await invalid(new Uint8Array(1000).fill(0xff))
  })

  test('and no slot was lost by any of them', async () => {
    await node.slotsAllFree()
    await node.certifiesOne()
  })
})

test('a batch that is sent again is acknowledged each time, stored once, and reported again once in ten seconds', async () => {
  const stream = await mallory.openBatches(connection)
  const batch = node.batch()
  const digest = Buffer.from(digestOf(batch, node.keys[3]!.publicKey))
  const reports = () => node.reports.filter((report) => digest.equals(report.digest))
  for (let i = 1; i <= 4; i += 1) {
    await node.accepts(stream, batch)
    expect(Buffer.from(stream.acks.at(-1)!.digest).equals(digest)).toBe(true)
    await until('it is reported', () => reports().length > 0)
  }
  expect(reports().map(({ type }) => type)).toEqual(['OthersBatch', 'OthersBatch'])
})

test('a hundred streams that are reset in the middle of a batch give all their slots back', async () => {
  const bytes = frame(FRAME_TYPES.batch, node.batch(400_000))
  for (let i = 0; i < 100; i += 1) {
    const stream = await mallory.openBatches(connection)
    await stream.send(bytes.subarray(0, 100 + i * 3_000))
    stream.abort()
  }
  await node.slotsAllFree()
  await node.accepts(await mallory.openBatches(connection))
  await node.certifiesOne()
})

test('a hundred streams that are reset before anything was sent cost nothing', async () => {
  for (let i = 0; i < 100; i += 1) (await mallory.openBatches(connection)).abort()
  await node.slotsAllFree()
  await node.accepts(await mallory.openBatches(connection))
})

test('a new batch stream replaces the old one, and frees what that held', async () => {
  const old = await mallory.openBatches(connection)
  await old.send(frame(FRAME_TYPES.batch, node.batch(10_000)).subarray(0, 5_000))
  await until('it holds a slot', async () => (await node.metric('narval_slots_free', { arena: 'inbound' })) === 23)
  const newer = await mallory.openBatches(connection)
  await old.gone()
  await node.accepts(newer)
  await node.slotsAllFree()
})

test('a peer that sends 100 MB at once waits on its own stream: what we hold of it is bounded, and all is stored', async () => {
  const stream = await mallory.openBatches(connection)
  const before = await node.metric('narval_inbound_batches_total', { status: 'ok' })
  const sequences: bigint[] = []
  let sentBytes = 0
  let heldBytesMax = 0
  while (sequences.length < 210) {
    const batch = node.batch(BATCH_BYTES_MAX - BATCH_HEADER_BYTES - 4)
    sequences.push(readBatchHeader(batch).sequence)
    await stream.sendFrame(FRAME_TYPES.batch, batch)
    sentBytes += batch.length
    // What has left us and is not stored: in the worker, or on its way there.
    const heldBytes = sentBytes - stream.stream.writeBufferLength - stream.acks.length * batch.length
    heldBytesMax = Math.max(heldBytesMax, heldBytes)
  }
  await until(
    () => `all are acknowledged (${stream.acks.length})`,
    () => stream.acks.length === sequences.length,
    45_000,
  )
  const { inboundSlotsPerPeer } = defaultParameters()
  expect(heldBytesMax).toBeLessThan(inboundSlotsPerPeer * BATCH_BYTES_MAX + 2 * STREAM_WINDOW_BYTES + BATCH_BYTES_MAX)
  expect(stream.acks.every(({ status }) => status === ACK_STATUSES.ok)).toBe(true)
  expect(new Set(stream.acks.map(({ sequence }) => sequence))).toEqual(new Set(sequences))
  expect(stream.isOpen).toBe(true)
  expect((await node.metric('narval_inbound_batches_total', { status: 'ok' })) - before).toBe(sequences.length)
  await node.slotsAllFree()
  await node.certifiesOne()
})
