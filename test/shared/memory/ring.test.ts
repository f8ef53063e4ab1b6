import { AssertionError } from 'node:assert'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { DOORBELL_BYTES } from '../../../src/shared/memory/doorbell.js'
import { capacityFor, RingConsumer, RingProducer, type RingRegion, ringBytes } from '../../../src/shared/memory/ring.js'
import { countedCodec } from '../../support/threads/counted-codec.mjs'
import { answerOf, startThread } from '../../support/threads/run-worker.js'

const HEAD = 0
const TAIL = 32

/** A ring of its own; `startAt` is the count of messages that have passed already. */
function ringOf(capacity: number, startAt = 0): RingRegion {
  const region = { buffer: new SharedArrayBuffer(ringBytes(capacity)), byteOffset: 0, capacity }
  const words = new Int32Array(region.buffer)
  words[HEAD] = startAt
  words[TAIL] = startAt
  return region
}

function doorbellOf(): { buffer: SharedArrayBuffer; byteOffset: number } {
  return { buffer: new SharedArrayBuffer(DOORBELL_BYTES), byteOffset: 0 }
}

interface Run {
  readonly count: number
  readonly credits: number
  readonly producerWaits: 'blocking' | 'loop'
  readonly consumerWaits: 'blocking' | 'loop'
  readonly producerPauses?: number
  readonly consumerPauses?: number
  readonly burst?: number
  readonly limit?: number
  readonly startAt?: number
  readonly seed?: number
}

/** Two threads: messages one way, their credits back the other way. Says what the consumer saw. */
async function run(options: Run): Promise<{ received: number; wrong: number; left: number }> {
  const { count, credits, startAt = 0, seed = 1 } = options
  const capacity = capacityFor(credits)
  const producerDoorbell = doorbellOf()
  const consumerDoorbell = doorbellOf()
  const shared = { out: ringOf(capacity, startAt), back: ringOf(capacity, startAt), count, credits }
  const producer = startThread('./ring-producer.mjs', {
    ...shared,
    doorbell: producerDoorbell,
    otherDoorbell: consumerDoorbell,
    waits: options.producerWaits,
    pauseShare: options.producerPauses ?? 0,
    burst: options.burst ?? 64,
    seed: 2 * seed + 1,
    ignoresCredits: false,
  })
  const consumer = startThread('./ring-consumer.mjs', {
    ...shared,
    doorbell: consumerDoorbell,
    otherDoorbell: producerDoorbell,
    waits: options.consumerWaits,
    pauseShare: options.consumerPauses ?? 0,
    limit: options.limit ?? 64,
    seed: 3 * seed + 1,
  })
  const [sent, seen] = await Promise.all([
    answerOf<{ sent: number }>(producer),
    answerOf<{ received: number; wrong: number; left: number }>(consumer),
  ])
  expect(sent).toEqual({ sent: count })
  return seen
}

describe('a ring between two threads', () => {
  it('a million messages come in order and whole when both sides are fast and block', async () => {
    const seen = await run({ count: 1_000_000, credits: 1024, producerWaits: 'blocking', consumerWaits: 'blocking' })
    expect(seen).toEqual({ received: 1_000_000, wrong: 0, left: 0 })
  })

  it('a million messages come in order and whole when both sides stand on event loops', async () => {
    const seen = await run({ count: 1_000_000, credits: 1024, producerWaits: 'loop', consumerWaits: 'loop' })
    expect(seen).toEqual({ received: 1_000_000, wrong: 0, left: 0 })
  })

  it.each([
    ['past a slow consumer', { producerWaits: 'loop', consumerWaits: 'blocking', consumerPauses: 0.1, limit: 7 }],
    ['from a slow producer', { producerWaits: 'blocking', consumerWaits: 'loop', producerPauses: 0.1 }],
  ] as const)('half a million messages come in order and whole %s', async (_, sides) => {
    const seen = await run({ count: 500_000, credits: 128, ...sides })
    expect(seen).toEqual({ received: 500_000, wrong: 0, left: 0 })
  })

  it.each([-1, -1000, 0x7fffffff - 500])('head and tail count on over the end of 32 bits, from %i', async (startAt) => {
    const seen = await run({
      count: 100_000,
      credits: 256,
      producerWaits: 'blocking',
      consumerWaits: 'blocking',
      startAt,
    })
    expect(seen).toEqual({ received: 100_000, wrong: 0, left: 0 })
  })
})

// A wake-up that gets lost leaves both sides asleep for ever: the test would not end. With two credits each side has to
// wait for the other all the time, and every message rings.
describe('no wake-up is lost', () => {
  const sides = ['blocking', 'loop'] as const
  const pairs = sides.flatMap((producerWaits) => sides.map((consumerWaits) => ({ producerWaits, consumerWaits })))

  it.each(pairs)('producer $producerWaits, consumer $consumerWaits, random pauses on both', async (pair) => {
    for (let seed = 1; seed <= 3; seed += 1) {
      const seen = await run({
        ...pair,
        count: 8_000,
        credits: seed === 3 ? 3 : 2,
        burst: 1,
        limit: 1,
        producerPauses: 0.3,
        consumerPauses: 0.3,
        seed,
      })
      expect(seen).toEqual({ received: 8_000, wrong: 0, left: 0 })
    }
  })
})

describe('credits', () => {
  it('a ring holds exactly its capacity, and one more message stops the thread', () => {
    const ring = new RingProducer(ringOf(8), countedCodec)
    for (let n = 0; n < 8; n += 1) ring.push(n)
    expect(ring.depth).toBe(8)
    expect(() => ring.push(8)).toThrow(AssertionError)
    expect(ring.depth).toBe(8)
  })

  it('the same on the lap where the counters pass the end of 32 bits', () => {
    const region = ringOf(8, -3)
    const ring = new RingProducer(region, countedCodec)
    for (let n = 0; n < 8; n += 1) ring.push(n)
    expect(() => ring.push(8)).toThrow(AssertionError)
    const seen: number[] = []
    expect(new RingConsumer(region, countedCodec).drain((n) => seen.push(n), 100)).toBe(8)
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    ring.push(8)
    expect(ring.depth).toBe(1)
  })

  it('a thread that ignores its credits dies of it, and what it published before is whole', async () => {
    const out = ringOf(64)
    const producer = startThread('./ring-producer.mjs', {
      out,
      back: ringOf(64),
      doorbell: doorbellOf(),
      otherDoorbell: doorbellOf(),
      count: 1000,
      credits: 64,
      waits: 'blocking',
      pauseShare: 0,
      burst: 1000,
      seed: 1,
      ignoresCredits: true,
    })
    await expect(answerOf(producer)).rejects.toThrow('a ring is never found full')
    expect(read(out)).toEqual(Array.from({ length: 64 }, (_, n) => n))
  })

  it('a message is out of the ring before its handler runs, so that its credit may be used at once', () => {
    const region = ringOf(2)
    const producer = new RingProducer(region, countedCodec)
    const consumer = new RingConsumer(region, countedCodec)
    producer.push(0)
    producer.push(1)
    let next = 2
    for (let round = 0; round < 100; round += 1) {
      consumer.drain((n) => {
        expect(n).toBe(next - 2)
        producer.push(next)
        next += 1
      }, 2)
    }
    expect(next).toBe(202)
  })
})

describe('a pass over a ring', () => {
  it('takes at most its limit, and what came after its start waits for the next', () => {
    const region = ringOf(16)
    const producer = new RingProducer(region, countedCodec)
    const consumer = new RingConsumer(region, countedCodec)
    for (let n = 0; n < 10; n += 1) producer.push(n)
    expect(consumer.drain(() => {}, 4)).toBe(4)
    expect(consumer.depth).toBe(6)
    expect(consumer.drain(() => consumer.depth < 16 && producer.push(99), 100)).toBe(6)
    expect(consumer.isEmpty).toBe(false)
    expect(consumer.drain(() => {}, 100)).toBe(6)
    expect(consumer.isEmpty).toBe(true)
    expect(consumer.drain(() => {}, 100)).toBe(0)
  })

  it('goes on where the last consumer of the ring stopped', () => {
    const region = ringOf(16)
    const producer = new RingProducer(region, countedCodec)
    for (let n = 0; n < 10; n += 1) producer.push(n)
    new RingConsumer(region, countedCodec).drain(() => {}, 3)
    expect(read(region)).toEqual([3, 4, 5, 6, 7, 8, 9])
    new RingProducer(region, countedCodec).push(10)
    expect(read(region)).toEqual([10])
  })
})

describe('a producer that dies', () => {
  it('leaves every message that it published, and no half one', async () => {
    const capacity = 2 ** 18
    let diedMidway = 0
    for (let attempt = 0; attempt < 12; attempt += 1) {
      const out = ringOf(capacity)
      const words = new Int32Array(out.buffer)
      const producer = startThread('./ring-producer.mjs', {
        out,
        back: ringOf(2),
        doorbell: doorbellOf(),
        otherDoorbell: doorbellOf(),
        count: capacity,
        credits: capacity,
        waits: 'blocking',
        pauseShare: 0,
        burst: capacity,
        seed: 1,
        ignoresCredits: false,
      })
      while (Atomics.load(words, TAIL) === 0) await sleep(0)
      if (attempt % 3 === 1) await sleep(1)
      await producer.terminate()
      const published = Atomics.load(words, TAIL)
      if (published < capacity) diedMidway += 1
      const seen = read(out)
      expect(seen.length).toBe(published)
      expect(seen.findIndex((n, index) => n !== index)).toBe(-1)
    }
    expect(diedMidway).toBeGreaterThan(0)
  })
})

describe('where a ring may lie', () => {
  it('a capacity that is not a power of two, or a start off a cache line pair, is our own bug', () => {
    const buffer = new SharedArrayBuffer(4096)
    expect(() => new RingProducer({ buffer, byteOffset: 0, capacity: 6 }, countedCodec)).toThrow(AssertionError)
    expect(() => new RingConsumer({ buffer, byteOffset: 64, capacity: 8 }, countedCodec)).toThrow(AssertionError)
  })

  it.each([
    [0, 2],
    [1, 2],
    [2, 2],
    [3, 4],
    [64, 64],
    [65, 128],
    [1000, 1024],
  ])('%i credits fit a ring of %i', (credits, capacity) => {
    expect(capacityFor(credits)).toBe(capacity)
  })
})

function read(region: RingRegion): number[] {
  const seen: number[] = []
  new RingConsumer(region, countedCodec).drain((n) => seen.push(n), Number.POSITIVE_INFINITY)
  return seen
}
