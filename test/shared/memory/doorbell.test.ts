import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { DOORBELL_BYTES, Doorbell } from '../../../src/shared/memory/doorbell.js'
import { RingConsumer, ringBytes } from '../../../src/shared/memory/ring.js'
import { countedCodec } from '../../support/threads/counted-codec.mjs'
import { answerOf, startThread } from '../../support/threads/run-worker.js'

const RINGS = 0
const PARKED = 1

function doorbellOf() {
  const region = { buffer: new SharedArrayBuffer(DOORBELL_BYTES), byteOffset: 0 }
  return { region, words: new Int32Array(region.buffer), doorbell: new Doorbell(region) }
}

function ringsOf(count: number, capacity: number) {
  return Array.from({ length: count }, () => ({
    buffer: new SharedArrayBuffer(ringBytes(capacity)),
    byteOffset: 0,
    capacity,
  }))
}

describe('an owner on an event loop', () => {
  it('polls once before it first waits, and once for each ring while it waits', async () => {
    const { doorbell, words } = doorbellOf()
    let polls = 0
    let open = true
    const served = doorbell.serve(
      () => {
        polls += 1
        return 0
      },
      () => open,
    )
    expect(polls).toBe(1)
    expect(words[PARKED]).toBe(1)
    for (let rung = 1; rung <= 3; rung += 1) {
      doorbell.ring()
      while (polls === rung) await nextTurn()
      expect(polls).toBe(rung + 1)
    }
    open = false
    doorbell.ring()
    await served
  })

  it('a ring during the poll that finds nothing makes it poll again, not sleep', async () => {
    const { doorbell } = doorbellOf()
    let polls = 0
    await doorbell.serve(
      () => {
        polls += 1
        // What was published after the poll had passed its ring.
        if (polls === 1) doorbell.ring()
        return 0
      },
      () => polls < 2,
    )
    expect(polls).toBe(2)
  })

  it('a ring before it starts is not needed: the first poll finds what is there', async () => {
    const { doorbell } = doorbellOf()
    let polls = 0
    await doorbell.serve(
      () => {
        polls += 1
        return 1
      },
      () => polls < 1,
    )
    expect(polls).toBe(1)
  })

  it('gives the event loop a turn after two passes in a row that find work', async () => {
    const { doorbell } = doorbellOf()
    let turns = 0
    let polls = 0
    const turn = (): void => {
      turns += 1
      if (polls < 50) setImmediate(turn)
    }
    setImmediate(turn)
    await doorbell.serve(
      () => {
        polls += 1
        return 1
      },
      () => polls < 50,
    )
    expect(turns).toBeGreaterThanOrEqual(24)
    expect(turns).toBeLessThan(40)
  })

  it('ends without another wait when a poll closes it', async () => {
    const { doorbell } = doorbellOf()
    let open = true
    await doorbell.serve(
      () => {
        open = false
        return 0
      },
      () => open,
    )
    expect(open).toBe(false)
  })

  it('goes on over the end of 32 bits', async () => {
    const { doorbell, words } = doorbellOf()
    words[RINGS] = 0x7fffffff
    let polls = 0
    const served = doorbell.serve(
      () => {
        polls += 1
        return 0
      },
      () => polls < 3,
    )
    for (let rung = 1; rung <= 2; rung += 1) {
      doorbell.ring()
      while (polls === rung) await nextTurn()
    }
    await served
    expect(words[RINGS]).toBe(-0x7fffffff)
  })

  it('hears several threads that ring at random, and none of their messages waits for ever', async () => {
    const { region, doorbell } = doorbellOf()
    const count = 3_000
    const regions = ringsOf(3, 16)
    const rings = regions.map((ring) => new RingConsumer(ring, countedCodec))
    const received = [0, 0, 0]
    let wrong = 0
    const producers = regions.map((ring, index) =>
      answerOf(startThread('./ring-many.mjs', { region: ring, doorbell: region, count, seed: 77 + index })),
    )
    await doorbell.serve(
      () =>
        rings.reduce(
          (found, ring, index) =>
            found +
            ring.drain((n) => {
              if (n !== received[index]) wrong += 1
              received[index]! += 1
            }, 8),
          0,
        ),
      () => received.some((seen) => seen < count),
    )
    await Promise.all(producers)
    expect({ received, wrong }).toEqual({ received: [count, count, count], wrong: 0 })
  })
})

describe('an owner that blocks', () => {
  it('hears several threads that ring at random, and says how long it waited', async () => {
    const { region } = doorbellOf()
    const count = 3_000
    const regions = ringsOf(3, 16)
    const owner = startThread('./doorbell-owner.mjs', { regions, doorbell: region, count })
    const producers = regions.map((ring, index) =>
      answerOf(startThread('./ring-many.mjs', { region: ring, doorbell: region, count, seed: 5 + index })),
    )
    const seen = await answerOf<{ received: number[]; wrong: number; waits: number; waitedMs: number }>(owner)
    await Promise.all(producers)
    expect(seen).toMatchObject({ received: [count, count, count], wrong: 0 })
    expect(seen.waits).toBeGreaterThan(0)
    expect(seen.waitedMs).toBeGreaterThan(0)
  })
})
