/** PeerSender: its queue without a stream, and its sending over real libp2p streams. */

import { randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { IN_FLIGHT_MIN } from '../../../../src/main/worker/dissemination/limits.js'
import { OwnBatch, PEER_STATE } from '../../../../src/main/worker/dissemination/own-batch.js'
import { PeerSender } from '../../../../src/main/worker/dissemination/peer-sender.js'
import { START } from '../../../../src/shared/freshness.js'
import { Arena, slotStride } from '../../../../src/shared/memory/slots.js'
import { FRAME_TYPES, writeFrameHeader } from '../../../../src/shared/wire/frames.js'
import { RawStream } from '../../../support/raw-stream.js'
import { StreamPairs } from '../../../support/stream-pair.js'
import { until } from '../../../support/until.js'

const BATCH_BYTES_MAX = 6 * 1024 * 1024
const SLOTS = 12
const PEER = 2

let arena: Arena
let sender: PeerSender
let nowMs: number
let sentBytes: number
let latencies: number[]

beforeEach(() => {
  const buffer = new SharedArrayBuffer(SLOTS * slotStride(BATCH_BYTES_MAX))
  arena = new Arena({ buffers: [buffer], slots: SLOTS, batchBytesMax: BATCH_BYTES_MAX })
  nowMs = 1_000
  sentBytes = 0
  latencies = []
  sender = new PeerSender(
    { peer: PEER, arena, inFlightMax: 8, nowMs: () => nowMs },
    { onSent: (bytes) => (sentBytes += bytes), onAckLatency: (ms) => latencies.push(ms) },
  )
})

/** A batch with random bytes in its slot. */
function makeBatch(sequence: number, byteLength: number): OwnBatch {
  const slot = sequence % SLOTS
  arena.batch(slot, byteLength).set(randomBytes(byteLength))
  writeFrameHeader(arena.framed(slot, byteLength), 0, FRAME_TYPES.batch, byteLength)
  return new OwnBatch({
    slot,
    sequence: BigInt(sequence),
    byteLength,
    transactions: 1,
    transactionBytes: 1,
    takenMs: nowMs,
    report: true,
    again: false,
    authorities: 4,
  })
}

/** One in the queue. */
function enqueue(sequence: number, byteLength = 1_000): OwnBatch {
  const batch = makeBatch(sequence, byteLength)
  sender.enqueue(batch)
  return batch
}

/** One that somebody lacks. */
function heal(sequence: number): OwnBatch {
  const batch = makeBatch(sequence, 1_000)
  sender.enqueueHeal(batch)
  return batch
}

const all = (): boolean => true

describe('without a stream', () => {
  test('batches are queued, hold their slots, and an answer to one is early', () => {
    const batch = enqueue(1)
    expect(sender.queued).toBe(1)
    expect(batch.holders).toBe(1)
    expect(sender.acknowledge(batch, true)).toBe('early')
    expect(batch.state(PEER)).toBe(PEER_STATE.queued)
  })

  test('the queue is in the order of the sequences, whatever order they come in', () => {
    const batches = [5, 1, 9, 3].map((sequence) => enqueue(sequence))
    for (const batch of batches) batch.certifiedSince = START
    const order = batches.map(() => sender.dropOldestCertified(all)!.sequence)
    expect(order).toEqual([1n, 3n, 5n, 9n])
    expect(sender.dropOldestCertified(all)).toBeUndefined()
  })

  test('only what is certified, and may be, is dropped, and it holds its slot no more', () => {
    const [first, second, third] = [enqueue(1), enqueue(2), enqueue(3)]
    second.certifiedSince = START
    third.certifiedSince = START
    expect(sender.certifiedQueued(all)).toBe(2)
    expect(sender.certifiedQueued((batch) => batch !== second)).toBe(1)
    expect(sender.dropOldestCertified((batch) => batch !== second)).toBe(third)
    expect(third.holders).toBe(0)
    expect(sender.dropOldestCertified(all)).toBe(second)
    expect(sender.dropOldestCertified(all)).toBeUndefined()
    expect(first.holders).toBe(1)
    expect(sender.queued).toBe(1)
  })

  test('it is not silent: nothing was asked of it', () => {
    enqueue(1)
    nowMs += 1_000_000
    expect(sender.silentMs).toBe(0)
  })

  test('to lose a stream that there was not changes nothing', () => {
    enqueue(1)
    sender.detach()
    expect(sender.queued).toBe(1)
  })
})

describe('over a stream', () => {
  let pairs: StreamPairs
  beforeAll(async () => {
    pairs = await StreamPairs.start()
  })
  afterAll(() => pairs.stop())

  /** Attaches a new stream, which is detached when it closes. */
  async function attach(paused = false): Promise<{ near: Stream; far: RawStream }> {
    const opened = await pairs.open((stream) => {
      if (paused) stream.pause()
      return new RawStream(stream)
    })
    opened.near.addEventListener('close', () => sender.detach())
    sender.attach(opened.near)
    return opened
  }

  test('batches arrive as their slots hold them, in order, as many as the window lets', async () => {
    const batches = Array.from({ length: 6 }, (_, i) => enqueue(i, 1_000 + i * 300_000))
    const { near, far } = await attach()
    await far.framesCame(IN_FLIGHT_MIN)
    expect(sender.inFlightCount).toBe(IN_FLIGHT_MIN)
    expect(sender.queued).toBe(batches.length - IN_FLIGHT_MIN)
    for (const [i, batch] of batches.entries()) {
      await far.framesCame(i + 1)
      const { type, payload } = far.frames[i]!
      expect(type).toBe(FRAME_TYPES.batch)
      expect(Buffer.from(payload).equals(arena.batch(batch.slot, batch.byteLength))).toBe(true)
      nowMs += 10
      expect(sender.acknowledge(batch, true)).toBe('due')
      expect(batch.holders).toBe(0)
      expect(sender.acknowledge(batch, true)).toBe('unawaited')
      sender.pump()
    }
    expect(latencies).toHaveLength(batches.length)
    expect(latencies[0]).toBe(10)
    expect(sentBytes).toBe(batches.reduce((sum, { byteLength }) => sum + byteLength + 8, 0))
    near.abort(new Error('done'))
  })

  test('a batch that is larger than the window is sent in slices, and an answer before the last is early', async () => {
    const { near, far } = await attach(true)
    const [big, small] = [enqueue(1, BATCH_BYTES_MAX), enqueue(2)]
    await until('the window is full', () => near.writableNeedsDrain)
    expect(big.state(PEER)).toBe(PEER_STATE.sending)
    expect(sender.acknowledge(big, true)).toBe('early')
    expect(sender.acknowledge(small, true)).toBe('early')
    expect(big.holders).toBe(1)
    expect(sentBytes).toBeLessThan(BATCH_BYTES_MAX)
    // Started batches are finished, certified or not.
    big.certifiedSince = START
    small.certifiedSince = START
    expect(sender.dropOldestCertified(all)).toBe(small)
    expect(sender.dropOldestCertified(all)).toBeUndefined()

    far.stream.resume()
    await far.framesCame(1)
    expect(Buffer.from(far.frames[0]!.payload).equals(arena.batch(big.slot, BATCH_BYTES_MAX))).toBe(true)
    expect(sender.acknowledge(big, true)).toBe('due')
    near.abort(new Error('done'))
  })

  test('what a lost stream did not get acknowledged is sent again on the next, in order, and whole', async () => {
    const batches = [1, 2, 3, 4, 5].map((sequence) => enqueue(sequence, 1_000))
    const { near, far } = await attach()
    await far.framesCame(IN_FLIGHT_MIN)
    sender.acknowledge(batches[1]!, true)
    sender.pump()
    await far.framesCame(IN_FLIGHT_MIN + 1)
    near.abort(new Error('lost'))
    expect(sender.isOpen).toBe(false)
    expect(sender.inFlightCount).toBe(0)
    expect(sender.queued).toBe(4)
    expect(batches.map((batch) => batch.holders)).toEqual([1, 0, 1, 1, 1])
    // An answer that was on its way when the stream was lost came too early for the next.
    expect(sender.acknowledge(batches[0]!, true)).toBe('early')

    const next = await attach()
    const wanted = [batches[0]!, batches[2]!, batches[3]!, batches[4]!]
    for (const [i, batch] of wanted.entries()) {
      await next.far.framesCame(i + 1)
      const { payload } = next.far.frames[i]!
      expect(Buffer.from(payload).equals(arena.batch(batch.slot, batch.byteLength))).toBe(true)
      expect(sender.acknowledge(batch, true)).toBe('due')
      sender.pump()
    }
    next.near.abort(new Error('done'))
  })

  test('a batch that was half sent when its stream was lost begins anew', async () => {
    const first = await attach(true)
    const big = enqueue(1, BATCH_BYTES_MAX)
    await until('the window is full', () => first.near.writableNeedsDrain)
    first.near.abort(new Error('lost'))
    expect(big.state(PEER)).toBe(PEER_STATE.queued)
    const { near, far } = await attach()
    await far.framesCame(1)
    expect(Buffer.from(far.frames[0]!.payload).equals(arena.batch(big.slot, BATCH_BYTES_MAX))).toBe(true)
    near.abort(new Error('done'))
  })

  test('silence counts from the last answer, or from when something was sent, while an answer is due', async () => {
    const { near, far } = await attach()
    nowMs += 50_000
    expect(sender.silentMs).toBe(0)
    const [first, second] = [enqueue(1), enqueue(2)]
    await far.framesCame(2)
    nowMs += 300
    expect(sender.silentMs).toBe(300)
    sender.acknowledge(first, true)
    expect(sender.silentMs).toBe(0)
    nowMs += 70
    expect(sender.silentMs).toBe(70)
    sender.acknowledge(second, true)
    nowMs += 1_000
    expect(sender.silentMs).toBe(0)
    near.abort(new Error('done'))
  })

  test('an answer is owed from the first one to a later batch on, however many more come', async () => {
    const { near } = await attach()
    const withheld = enqueue(0)
    for (let sequence = 1; sequence <= 10; sequence += 1) {
      const batch = enqueue(sequence)
      nowMs += 5
      expect(sender.acknowledge(batch, true)).toBe('due')
    }
    nowMs += 7
    // The first of the ten was answered after 5 ms, and the last 45 ms later.
    expect(sender.overtakenMs).toBe(45 + 7)
    expect(sender.silentMs).toBe(7)
    expect(sender.acknowledge(withheld, true)).toBe('due')
    expect([sender.overtakenMs, sender.silentMs]).toEqual([0, 0])
    near.abort(new Error('done'))
  })

  test('one that answers in order owes nothing, however slow it is', async () => {
    const { near } = await attach()
    const batches = [1, 2, 3, 4, 5, 6].map((sequence) => enqueue(sequence))
    const longest = heal(7)
    for (const batch of [batches[0]!, batches[1]!, batches[2]!]) {
      nowMs += 29_000
      expect(sender.overtakenMs).toBe(0)
      expect(sender.silentMs).toBe(29_000)
      sender.acknowledge(batch, true)
    }
    nowMs += 29_000
    expect([sender.overtakenMs, sender.silentMs]).toEqual([0, 29_000])
    expect(sender.acknowledge(longest, true)).toBe('due')
    near.abort(new Error('done'))
  })

  test('a refusal overtakes nothing, nor does the answer to a batch that the peer may have had', async () => {
    const { near } = await attach()
    const [waits, refused] = [enqueue(1), enqueue(2)]
    const had = heal(9)
    sender.acknowledge(had, true)
    sender.acknowledge(refused, false)
    nowMs += 1_000
    expect(sender.overtakenMs).toBe(0)
    sender.acknowledge(waits, true)
    near.abort(new Error('done'))
  })

  test('a heal that is not answered is overtaken by the fresh batches that are', async () => {
    const { near } = await attach()
    heal(9)
    expect(sender.healAwaitedMs).toBe(0)
    nowMs += 10
    const fresh = enqueue(1)
    nowMs += 10
    sender.acknowledge(fresh, true)
    nowMs += 100
    expect([sender.overtakenMs, sender.healAwaitedMs]).toEqual([100, 120])
    near.abort(new Error('done'))
    expect(sender.healAwaitedMs).toBe(0)
  })

  test('one that answers heals alone is silent', async () => {
    const { near } = await attach()
    enqueue(1)
    for (let sequence = 2; sequence <= 7; sequence += 1) {
      const batch = heal(sequence)
      nowMs += 100
      expect(sender.acknowledge(batch, true)).toBe('due')
    }
    expect(sender.silentMs).toBe(600)
    near.abort(new Error('done'))
  })

  test('a lost stream says what was in flight on it, and the next begins anew', async () => {
    const { near } = await attach()
    const [withheld, answered] = [enqueue(1), enqueue(2)]
    sender.acknowledge(answered, true)
    nowMs += 500
    const lost = sender.detach()
    expect(lost.map(({ batch, overtakenAtMs }) => [batch.sequence, overtakenAtMs])).toEqual([[1n, nowMs - 500]])
    expect([sender.overtakenMs, sender.queued]).toEqual([0, 1])
    near.abort(new Error('done'))
    const next = await attach()
    nowMs += 40
    expect([sender.overtakenMs, sender.silentMs]).toEqual([0, 40])
    expect(sender.inFlightFor(40)).toEqual([])
    nowMs += 1
    expect(sender.inFlightFor(40)).toEqual([withheld])
    next.near.abort(new Error('done'))
  })
})
