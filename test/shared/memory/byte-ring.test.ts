import { AssertionError } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ByteRingConsumer,
  ByteRingProducer,
  type ByteRingRegion,
  byteRingBytes,
} from '../../../src/shared/memory/byte-ring.js'
import { DOORBELL_BYTES, Doorbell } from '../../../src/shared/memory/doorbell.js'
import { answerOf, startThread } from '../../support/threads/run-worker.js'
import { fillTransaction, isTransaction, transactionSizes } from '../../support/threads/transaction-pattern.mjs'

const PREFIX = 4
const HEAD = 0
const TAIL = 32

function ringOf(capacity: number): ByteRingRegion {
  return { buffer: new SharedArrayBuffer(byteRingBytes(capacity)), byteOffset: 0, capacity }
}

/** `expect` costs more than the ring, millions of times. */
function must(holds: boolean, claim: string): void {
  if (!holds) throw new Error(claim)
}

/** Producer and consumer beside a queue that cannot be wrong. `at` is where head and tail start, as after that many bytes. */
function modelOf(capacity: number, at = 0) {
  const region = ringOf(capacity)
  const words = new Int32Array(region.buffer, 0, 64)
  words[HEAD] = at
  words[TAIL] = at
  // What an earlier lap left: none of it may be taken for a frame.
  new Uint8Array(region.buffer, 256).fill(0x01)
  const producer = new ByteRingProducer(region)
  const consumer = new ByteRingConsumer(region)
  const queue: { n: number; length: number }[] = []
  let pushed = 0
  return {
    queue,
    get head() {
      return words[HEAD]!
    },
    get tail() {
      return words[TAIL]!
    },
    push(length: number): boolean {
      const transaction = new Uint8Array(length)
      fillTransaction(transaction, pushed)
      const taken = producer.push(transaction)
      if (taken) {
        queue.push({ n: pushed, length })
        pushed += 1
      }
      must(consumer.isEmpty === (queue.length === 0), 'empty when and only when the queue is')
      return taken
    },
    /** One pass of the consumer, which takes at most `framesMax` frames; says how many it took. */
    drain(framesMax: number): number {
      let frames = 0
      let taken = 0
      const bytes = consumer.drain((data, start, end) => {
        let p = start
        while (p < end && frames < framesMax) {
          const length = new DataView(data.buffer, data.byteOffset + p, PREFIX).getUint32(0)
          const expected = queue.shift()
          must(length === expected?.length, `a frame of ${length} bytes, the queue has ${expected?.length}`)
          must(isTransaction(data, p + PREFIX, length, expected!.n), `transaction ${expected!.n} is whole`)
          p += PREFIX + length
          frames += 1
        }
        must(p <= end, 'only whole frames are shown')
        taken = p - start
        return taken
      })
      must(bytes === taken, 'says what was taken')
      must(consumer.isEmpty === (queue.length === 0), 'empty when and only when the queue is')
      return frames
    },
  }
}

/** Empties the ring; a ring with something in it shows something within two passes (one may only jump to the start). */
function drainAll(model: ReturnType<typeof modelOf>): void {
  while (model.queue.length > 0) {
    if (model.drain(Number.POSITIVE_INFINITY) > 0) continue
    must(model.drain(Number.POSITIVE_INFINITY) > 0, 'what is in the ring is shown')
  }
}

describe('a byte ring beside a naive queue', () => {
  it('gives every frame back in order and whole, whatever the sizes, wraps and passes', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 27 }) }),
      fc.record({ drain: fc.integer({ min: 0, max: 4 }) }),
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 63, max: 90 }),
        fc.nat(62),
        fc.array(step, { maxLength: 120 }),
        (capacity, at, steps) => {
          const model = modelOf(capacity, at)
          for (const action of steps) {
            if ('push' in action) model.push(action.push)
            else model.drain(action.drain)
          }
          drainAll(model)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('refuses a frame only while there is no stretch for it: an empty ring takes the largest, wherever it stands', () => {
    for (const capacity of [63, 64, 65, 66, 67]) {
      const largest = Math.ceil(capacity / 2) - 1 - PREFIX
      for (let at = 0; at < capacity; at += 1) {
        for (let length = 1; length <= largest; length += 1) {
          const model = modelOf(capacity, at)
          must(model.push(length), `capacity ${capacity}, at ${at}, ${length} bytes`)
          drainAll(model)
          must(model.push(largest), `capacity ${capacity}, at ${at}, ${length} bytes, then the largest`)
          drainAll(model)
        }
      }
    }
  })

  it('every pair of positions and every next size agrees with the queue', () => {
    const capacity = 40
    for (let at = 0; at < capacity; at += 1) {
      for (let first = 1; first <= 15; first += 1) {
        for (let second = 1; second <= 15; second += 1) {
          const model = modelOf(capacity, at)
          model.push(first)
          model.push(second)
          model.drain(1)
          model.push(second)
          model.push(first)
          model.drain(1)
          model.push(1)
          drainAll(model)
        }
      }
    }
  })
})

describe('the end of the data', () => {
  it('a frame that ends exactly there is taken, and the tail stands at 0', () => {
    const model = modelOf(64, 44)
    expect(model.push(16)).toBe(true)
    expect(model.tail).toBe(0)
    expect(model.drain(9)).toBe(1)
    expect(model.head).toBe(0)
  })

  it('with the head at 0 a frame that would end there is refused: a full ring would look empty', () => {
    const model = modelOf(65)
    expect(model.push(26)).toBe(true)
    expect(model.push(26)).toBe(true)
    expect(model.tail).toBe(60)
    expect(model.push(1)).toBe(false)
    expect(model.queue.length).toBe(2)
    drainAll(model)
  })

  it.each([1, 2, 3])('%i bytes left there are jumped over without a mark', (rest) => {
    const model = modelOf(64, 64 - rest - 20)
    expect(model.push(16)).toBe(true)
    expect(model.push(10)).toBe(true)
    expect(model.tail).toBe(14)
    expect(model.drain(9)).toBe(1)
    expect(model.head).toBe(0)
    expect(model.drain(9)).toBe(1)
  })

  it('a mark that fills the last four bytes sends the consumer to the start', () => {
    const model = modelOf(64, 40)
    expect(model.push(16)).toBe(true)
    expect(model.tail).toBe(60)
    expect(model.push(10)).toBe(true)
    expect(model.tail).toBe(14)
    expect(model.drain(9)).toBe(1)
    expect(model.head).toBe(0)
    expect(model.drain(9)).toBe(1)
    expect(model.head).toBe(14)
  })

  it('a consumer that had emptied the ring before the producer jumped finds the mark', () => {
    const model = modelOf(64, 40)
    expect(model.push(16)).toBe(true)
    expect(model.drain(9)).toBe(1)
    expect(model.head).toBe(60)
    expect(model.push(20)).toBe(true)
    expect(model.drain(9)).toBe(1)
    expect(model.head).toBe(24)
  })

  it('a consumer that takes nothing leaves everything as it is', () => {
    const model = modelOf(64, 60)
    expect(model.push(20)).toBe(true)
    expect(model.drain(0)).toBe(0)
    expect(model.drain(0)).toBe(0)
    expect(model.drain(1)).toBe(1)
  })

  it('one byte always stays free', () => {
    const model = modelOf(64, 40)
    expect(model.push(16)).toBe(true)
    expect(model.push(26)).toBe(true)
    expect(model.tail).toBe(30)
    // Ten bytes lie before the head at 40: a frame of ten would make the ring look empty.
    expect(model.push(6)).toBe(false)
    expect(model.push(5)).toBe(true)
    expect(model.tail).toBe(39)
    drainAll(model)
  })
})

describe('what a byte ring takes', () => {
  it('a transaction of which it could not hold two is our own bug', () => {
    const producer = new ByteRingProducer(ringOf(64))
    expect(producer.push(new Uint8Array(27))).toBe(true)
    expect(() => producer.push(new Uint8Array(28))).toThrow(AssertionError)
  })
})

describe('a byte ring between two threads', () => {
  it.each([
    { waits: 'blocking', producerPauses: 0, capacity: 4096 },
    { waits: 'loop', producerPauses: 0.01, capacity: 4001 },
    { waits: 'blocking', producerPauses: 0.01, capacity: 65_536 },
  ])(
    '200,000 transactions come in order and whole: $waits, ring of $capacity',
    async ({ waits, producerPauses, capacity }) => {
      const count = 200_000
      const bytesMax = 300
      const seed = 7
      const ring = ringOf(capacity)
      const doorbell = { buffer: new SharedArrayBuffer(DOORBELL_BYTES), byteOffset: 0 }
      const producerDoorbell = { buffer: new SharedArrayBuffer(DOORBELL_BYTES), byteOffset: 0 }
      const producer = startThread('./byte-ring-producer.mjs', {
        ring,
        doorbell: producerDoorbell,
        otherDoorbell: doorbell,
        count,
        bytesMax,
        seed,
        waits,
        pauseShare: producerPauses,
      })
      const consumer = new ByteRingConsumer(ring)
      const other = new Doorbell(producerDoorbell)
      const nextSize = transactionSizes(seed, bytesMax)
      let received = 0
      let wrong = 0
      let passes = 0
      const poll = (): number => {
        passes += 1
        // Now and then it takes only a part of what it is shown, as a batch-maker without a free slot does.
        const framesMax = passes % 5 === 0 ? 1 : Number.POSITIVE_INFINITY
        let frames = 0
        const bytes = consumer.drain((data, start, end) => {
          let p = start
          while (p < end && frames < framesMax) {
            const length = (data[p]! << 24) | (data[p + 1]! << 16) | (data[p + 2]! << 8) | data[p + 3]!
            if (length !== nextSize() || !isTransaction(data, p + PREFIX, length, received)) wrong += 1
            p += PREFIX + length
            received += 1
            frames += 1
          }
          return p - start
        })
        if (bytes > 0) other.ring()
        return bytes
      }
      const answer = answerOf<{ sent: number; refusals: number }>(producer)
      await new Doorbell(doorbell).serve(poll, () => received < count)
      const { sent, refusals } = await answer
      expect({ sent, received, wrong }).toEqual({ sent: count, received: count, wrong: 0 })
      expect(refusals).toBeGreaterThan(0)
      expect(consumer.isEmpty).toBe(true)
    },
  )
})
