/** InboundBatches over real libp2p streams, with a processor that answers when the test says so. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { SlotPool } from '../../../../src/main/lib/slot-pool.js'
import { BATCH_PROTOCOL } from '../../../../src/main/network/protocols.js'
import { Router } from '../../../../src/main/network/router.js'
import { InboundBatches, type InboundBatchesOptions } from '../../../../src/main/worker/inbound/inbound-batches.js'
import {
  ACK_BYTES_UNREAD_MAX,
  SMALL_BATCH_BYTES,
  SMALL_BATCHES_BURST,
} from '../../../../src/main/worker/inbound/limits.js'
import { ACK_BYTES, STREAM_WINDOW_BYTES, STREAM_WINDOW_INITIAL_BYTES } from '../../../../src/shared/constants.js'
import type { InboundStatus, InboundWork } from '../../../../src/shared/memory/dialogue/processor.js'
import { Arena, slotStride } from '../../../../src/shared/memory/slots.js'
import { encodeBatch } from '../../../../src/shared/wire/batch.js'
import { FRAME_TYPES } from '../../../../src/shared/wire/frames.js'
import { frame, RawStream } from '../../../support/raw-stream.js'
import { StreamPairs } from '../../../support/stream-pair.js'
import { until } from '../../../support/until.js'
import { fillMuxer, openWindow } from '../../../support/yamux.js'

const BATCH_BYTES_MAX = 100_000
const SLOTS_PER_PEER = 4
const PEERS = [1, 2]

let pairs: StreamPairs
beforeAll(async () => {
  pairs = await StreamPairs.start()
})
afterAll(() => pairs.stop())

let arena: Arena
let inbound: InboundBatches
let router: Router
let works: InboundWork[]
let refused: string[]
let freed: number[]

function make(options: Partial<InboundBatchesOptions> = {}): void {
  const slots = PEERS.length * SLOTS_PER_PEER
  const buffer = new SharedArrayBuffer(slots * slotStride(BATCH_BYTES_MAX))
  arena = new Arena({ buffers: [buffer], slots, batchBytesMax: BATCH_BYTES_MAX })
  works = []
  refused = []
  freed = []
  inbound = new InboundBatches(
    { batchBytesMax: BATCH_BYTES_MAX, ackLevel: 'durable', peers: PEERS, slotsPerPeer: SLOTS_PER_PEER, ...options },
    { arena, toProcessor: (work) => works.push(work) },
    {
      onReceived() {},
      onRefused: (peer, refusal) => refused.push(`${peer} ${refusal}`),
      onSlotFree: (slot) => {
        freed.push(slot)
        arena.poison(slot)
      },
    },
  )
  router = new Router(
    () => ({ inbound, helper: { accept: () => expect.unreachable('no request is made') } }),
    (peer, refusal) => refused.push(`${peer} ${refusal}`),
  )
}
beforeEach(() => make())

async function open(peer: number): Promise<RawStream> {
  const { near } = await pairs.open((stream: Stream) => router.accept(BATCH_PROTOCOL, peer, stream))
  return new RawStream(near)
}

/** The processor is done with a work. */
function done(work: InboundWork, status: InboundStatus = 'ok', sequence = 7n): void {
  const { byteLength, slot, peer } = work
  const digest = new Uint8Array(32).fill(slot + 1)
  inbound.onDone({
    kind: 'inbound-done',
    slot,
    byteLength,
    peer,
    author: peer,
    sequence,
    digest,
    status,
    used: 250,
    again: false,
  })
}

const batch = (bytes: number, fill = 1): Uint8Array =>
  encodeBatch([new Uint8Array(bytes - 68).fill(fill)], { workerId: 0, sequence: 7n })
const batchFrame = (bytes: number, fill?: number): Uint8Array => frame(FRAME_TYPES.batch, batch(bytes, fill))

test('a batch lies in a slot of its peer as it was sent, and is handed to the processor once', async () => {
  const [first, second] = [await open(1), await open(2)]
  await first.send(batchFrame(BATCH_BYTES_MAX, 1))
  await second.send(batchFrame(1_000, 2))
  await until('both are handed over', () => works.length === 2)
  for (const [peer, bytes] of [
    [1, BATCH_BYTES_MAX],
    [2, 1_000],
  ] as const) {
    const work = works.find((it) => it.peer === peer)!
    expect(work).toMatchObject({ kind: 'inbound', peer, author: peer, byteLength: bytes, expected: null })
    expect(Math.floor(work.slot / SLOTS_PER_PEER)).toBe(PEERS.indexOf(peer))
    expect(Buffer.from(arena.batch(work.slot, bytes)).equals(batch(bytes, peer))).toBe(true)
  }
  first.abort()
  second.abort()
})

test('one peer that fills its slots waits, and the other does not', async () => {
  const [first, second] = [await open(1), await open(2)]
  for (let i = 0; i < 3 * SLOTS_PER_PEER; i += 1) await first.send(batchFrame(50_000))
  await until('its slots are full', () => works.length === SLOTS_PER_PEER)
  await second.send(batchFrame(1_000))
  await until('the other is served', () => works.some(({ peer }) => peer === 2))
  expect(works.filter(({ peer }) => peer === 1)).toHaveLength(SLOTS_PER_PEER)
  expect(inbound.slotsFree).toBe(SLOTS_PER_PEER - 1)

  for (let i = 0; works.length < 3 * SLOTS_PER_PEER + 1; i += 1) {
    await until('one more is handed over', () => works.length > i)
    done(works[i]!)
  }
  first.abort()
  second.abort()
})

describe('small batches', () => {
  const small = batchFrame(100)
  const sendAll = async (stream: RawStream, bytes: Uint8Array, count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) await stream.send(bytes)
  }
  let stored: number
  /** The clock of the rate stands until the test sets it forward. */
  let nowMs: number
  beforeEach(() => {
    stored = 0
    nowMs = 1_000_000
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })
  /** Stores all that comes, until so many came. */
  const storeAll = async (count: number): Promise<void> => {
    await until(`${count} are handed over`, () => {
      for (; stored < works.length; stored += 1) done(works[stored]!)
      inbound.flush()
      return works.length >= count
    })
  }

  test('beyond the rate wait on their own stream, lose nothing, and hold up no other peer', async () => {
    make({ smallBatchesPerSecond: 1 })
    const [first, second] = [await open(1), await open(2)]
    const sending = sendAll(first, small, SMALL_BATCHES_BURST + 3)
    await storeAll(SMALL_BATCHES_BURST)
    await sendAll(second, small, 10)
    await storeAll(SMALL_BATCHES_BURST + 10)
    await sending
    const ofFirst = (): number => works.filter(({ peer }) => peer === 1).length
    expect(ofFirst()).toBe(SMALL_BATCHES_BURST)
    nowMs += 2_000
    await storeAll(SMALL_BATCHES_BURST + 12)
    await sleep(100)
    expect(ofFirst()).toBe(SMALL_BATCHES_BURST + 2)
    nowMs += 1_000
    await storeAll(SMALL_BATCHES_BURST + 13)
    expect(ofFirst()).toBe(SMALL_BATCHES_BURST + 3)
    expect(refused).toEqual([])
    first.abort()
    second.abort()
  })

  test('are counted over all streams that a peer opens', async () => {
    make({ smallBatchesPerSecond: 1 })
    const first = await open(1)
    await sendAll(first, small, SMALL_BATCHES_BURST)
    await storeAll(SMALL_BATCHES_BURST)
    first.abort()
    const second = await open(1)
    await sendAll(second, small, 20)
    await sleep(100)
    expect(works.length).toBe(SMALL_BATCHES_BURST)
    second.abort()
  })

  test('are those below the limit: others are held back by slots alone', async () => {
    make({ smallBatchesPerSecond: 1 })
    const stream = await open(1)
    const sending = sendAll(stream, batchFrame(SMALL_BATCH_BYTES), SMALL_BATCHES_BURST + 50)
    await storeAll(SMALL_BATCHES_BURST + 50)
    await sending
    stream.abort()
  })
})

test('a peer that sends 100 MB while nothing is stored is held back, and loses nothing of it', async () => {
  const stream = await open(1)
  const bytes = batchFrame(BATCH_BYTES_MAX)
  const count = 1_000
  let handedOver = 0
  const sending = (async () => {
    for (let i = 0; i < count; i += 1) {
      await stream.send(bytes)
      handedOver += 1
    }
  })()
  await until('its slots are full', () => works.length === SLOTS_PER_PEER)
  await until('the peer is held back', async () => {
    const before = handedOver
    await sleep(200)
    return handedOver === before
  })
  const taken = handedOver * bytes.length - stream.stream.writeBufferLength
  expect(taken).toBeLessThan(2 * STREAM_WINDOW_BYTES + (SLOTS_PER_PEER + 1) * bytes.length)
  expect(works).toHaveLength(SLOTS_PER_PEER)

  for (let i = 0; i < count; i += 1) {
    await until('one more is handed over', () => works.length > i)
    done(works[i]!)
    inbound.flush()
  }
  await sending
  await until('all are acknowledged', () => stream.acks.length === count)
  expect(stream.isOpen).toBe(true)
  expect(refused).toEqual([])
  expect(inbound.slotsFree).toBe(PEERS.length * SLOTS_PER_PEER)
  stream.abort()
})

test('ACKs of a turn go out together, with the digest, the level and what became of the batch', async () => {
  const stream = await open(1)
  for (let i = 0; i < 4; i += 1) await stream.send(batchFrame(1_000))
  await until('all are handed over', () => works.length === 4)
  const statuses = ['ok', 'invalid', 'quota', 'store-full'] as const
  for (const [i, status] of statuses.entries()) done(works[i]!, status, BigInt(i))
  expect(stream.frames).toHaveLength(0)
  inbound.flush()
  await stream.framesCame(4)
  expect(stream.acks.map(({ sequence, level, status }) => ({ sequence, level, status }))).toEqual(
    statuses.map((_, i) => ({ sequence: BigInt(i), level: 2, status: i })),
  )
  expect(Buffer.from(stream.acks[0]!.digest).equals(Buffer.alloc(32, works[0]!.slot + 1))).toBe(true)
  expect(stream.frames.every(({ payload }) => payload.length === ACK_BYTES)).toBe(true)
  stream.abort()
})

describe('a slot comes back', () => {
  test('when the processor is done with it, though the stream is gone, and nothing is acknowledged then', async () => {
    const stream = await open(1)
    await stream.send(batchFrame(1_000))
    await until('it is handed over', () => works.length === 1)
    stream.abort()
    await until('the stream is gone', () => !stream.isOpen)
    // What is in the processor's hands is not free because its peer is gone.
    expect(inbound.slotsFree).toBe(PEERS.length * SLOTS_PER_PEER - 1)
    const next = await open(1)
    done(works[0]!)
    inbound.flush()
    expect(inbound.slotsFree).toBe(PEERS.length * SLOTS_PER_PEER)
    await next.send(batchFrame(2_000))
    await until('the next is handed over', () => works.length === 2)
    done(works[1]!)
    inbound.flush()
    await next.framesCame(1)
    expect(next.acks).toHaveLength(1)
    next.abort()
  })

  test('when its frame stalls', async () => {
    make({ frameStallMs: 100 })
    const stream = await open(1)
    await stream.send(batchFrame(5_000).subarray(0, 3_000))
    await until('it has a slot', () => inbound.slotsFree === PEERS.length * SLOTS_PER_PEER - 1)
    await until('the stall is refused', () => refused.length === 1)
    expect(refused).toEqual(['1 frame-stalled'])
    expect(inbound.slotsFree).toBe(PEERS.length * SLOTS_PER_PEER)
    expect(works).toHaveLength(0)
    await stream.gone()
  })

  test('when a newer stream replaces its own, and the newer one can use it', async () => {
    const stream = await open(1)
    for (let i = 0; i < SLOTS_PER_PEER - 1; i += 1) await stream.send(batchFrame(1_000))
    await stream.send(batchFrame(5_000).subarray(0, 3_000))
    await until('all slots are taken', () => inbound.slotsFree === SLOTS_PER_PEER)
    const newer = await open(1)
    await newer.send(batchFrame(2_000))
    await until('the newer stream is served', () => works.some(({ byteLength }) => byteLength === 2_000))
    await stream.gone()
    newer.abort()
  })
})

test('a peer that reads no ACKs is given up when they fill its window and a little more', async () => {
  const stream = await open(1)
  stream.stream.pause()
  const small = batchFrame(100)
  const many = Buffer.concat(Array.from({ length: 1_000 }, () => small))
  let answered = 0
  const ackBytes = 8 + ACK_BYTES
  while (refused.length === 0) {
    if (stream.isOpen && stream.stream.writeBufferLength < many.length) stream.stream.send(many)
    await new Promise((resolve) => setImmediate(resolve))
    for (; answered < works.length; answered += 1) done(works[answered]!)
    inbound.flush()
    expect(answered * ackBytes).toBeLessThan(2 * STREAM_WINDOW_INITIAL_BYTES)
  }
  expect(refused).toEqual(['1 ack-unread'])
  expect(answered * ackBytes).toBeGreaterThan(STREAM_WINDOW_INITIAL_BYTES)
  expect(answered * ackBytes).toBeLessThan(STREAM_WINDOW_INITIAL_BYTES + 3 * ACK_BYTES_UNREAD_MAX)
  await stream.gone()
  for (; answered < works.length; answered += 1) done(works[answered]!)
  expect(inbound.slotsFree).toBe(PEERS.length * SLOTS_PER_PEER)
  // It may come back.
  const next = await open(1)
  await next.send(batchFrame(2_000))
  await until('it is served', () => works.at(-1)!.byteLength === 2_000)
  next.abort()
})

/** A batch stream of peer 1 on a connection that is full towards it, and stays so. */
async function openFull(): Promise<{ near: Stream; far: Stream; stream: RawStream }> {
  const { near, far } = await pairs.open((stream) => {
    router.accept(BATCH_PROTOCOL, 1, stream)
    return stream
  })
  fillMuxer(far)
  return { near, far, stream: new RawStream(near) }
}

test('a peer that opens its window and takes nothing off the connection is given up: its ACKs do not pile up below', async () => {
  const { near, stream } = await openFull()
  let answered = 0
  const acknowledge = async (): Promise<void> => {
    for (let i = 0; i < SLOTS_PER_PEER; i += 1) await stream.send(batchFrame(100))
    // While the connection is full, this is all that the stream can go by.
    openWindow(near, 1_000)
    await until('they are handed over', () => works.length === answered + SLOTS_PER_PEER)
    for (; answered < works.length; answered += 1) done(works[answered]!)
    inbound.flush()
  }
  const most = ACK_BYTES_UNREAD_MAX / (8 + ACK_BYTES)
  while (answered < 2 * most && refused.length === 0) await acknowledge()
  expect(refused).toEqual(['1 ack-unread'])
  expect(answered).toBeLessThanOrEqual(most + SLOTS_PER_PEER)
  expect(stream.acks).toHaveLength(0)
  await stream.gone()
})

test('ACKs that had to wait go out in order when the connection has room', async () => {
  const { far, stream } = await openFull()
  for (let i = 0; i < SLOTS_PER_PEER; i += 1) {
    await stream.send(batchFrame(1_000))
    await until('it is handed over', () => works.length === i + 1)
    done(works[i]!, 'ok', BigInt(i))
    inbound.flush()
  }
  expect(far.writeBufferLength).toBe(0)
  far.dispatchEvent(new Event('drain'))
  await stream.framesCame(SLOTS_PER_PEER)
  expect(stream.acks.map(({ sequence }) => sequence)).toEqual([0n, 1n, 2n, 3n])
  stream.abort()
})

test('a peer that ends its side gets the ACKs of all that it sent, and then the end of ours', async () => {
  const stream = await open(1)
  for (let i = 0; i < 3; i += 1) await stream.send(batchFrame(1_000))
  await until('they are handed over', () => works.length === 3)
  await stream.stream.close()
  // The end has come, and the stream goes on: this one is stored after it.
  const { far, near } = await pairs.open((other) => other)
  far.abort(new Error('only to know that what was sent before it is there'))
  await until('it is gone', () => near.status !== 'open')
  for (const [i, work] of works.entries()) {
    expect(stream.isOpen, `before ACK ${i}`).toBe(true)
    done(work, 'ok', BigInt(i))
    inbound.flush()
    await stream.framesCame(i + 1)
  }
  expect(stream.acks.map(({ sequence }) => sequence)).toEqual([0n, 1n, 2n])
  await until('the stream is over', () => stream.stream.status === 'closed')
  expect(refused).toEqual([])
})

test('a peer that ends its side with nothing owed gets the end of ours', async () => {
  const stream = await open(1)
  await stream.stream.close()
  await until('the stream is over', () => stream.stream.status === 'closed')
})

describe('a pool of slots', () => {
  test('gives each of its slots once, and none that is not its own', () => {
    const pool = new SlotPool(10, 3)
    const taken = [pool.take(), pool.take(), pool.take()]
    expect([...taken].sort()).toEqual([10, 11, 12])
    expect(pool.take()).toBeUndefined()
    expect([9, 10, 12, 13].map((slot) => pool.owns(slot))).toEqual([false, true, true, false])
    pool.give(11)
    expect(pool.available).toBe(1)
    expect(pool.take()).toBe(11)
  })

  test('takes none back that is not its own, or twice', () => {
    const pool = new SlotPool(10, 3)
    expect(() => pool.give(10)).toThrow('given back once')
    expect(() => pool.give(13)).toThrow('given back once')
  })
})
