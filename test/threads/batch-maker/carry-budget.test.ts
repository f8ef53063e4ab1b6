/** Whose half frame gives way when their memory is short: names as clients, and a clock by hand. */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { CarryBudget } from '../../../src/threads/batch-maker/carry-budget.js'

const BYTES_MAX = 1_000
const LAGGING_AFTER_MS = 1_000
const LAGGING_BYTES_PER_S = 100

let evicted: string[]
let rooms: number
let budget: CarryBudget<string>
beforeEach(() => {
  evicted = []
  rooms = 0
  budget = new CarryBudget(
    { bytesMax: BYTES_MAX, laggingAfterMs: LAGGING_AFTER_MS, laggingBytesPerS: LAGGING_BYTES_PER_S },
    {
      onEvicted: (client) => {
        evicted.push(client)
        budget.free(client)
      },
      onRoom: () => {
        rooms += 1
      },
    },
  )
})

/** The first letter of a client is its source. */
function claim(client: string, bytes: number, nowMs = 0): boolean {
  return budget.claim(client, client[0]!, bytes, 0, nowMs)
}

describe('when the memory is short', () => {
  test('the source that holds the most loses its oldest half frames, as many as are needed, and no other does', () => {
    expect(claim('h0', 100)).toBe(true)
    for (let n = 0; n < 8; n += 1) expect(claim(`a${n}`, 100)).toBe(true)
    expect(claim('i0', 100)).toBe(true)
    expect(budget.bytes).toBe(BYTES_MAX)
    expect(claim('h0', 400)).toBe(true)
    expect(evicted).toEqual(['a0', 'a1', 'a2'])
    expect(budget.bytes).toBe(BYTES_MAX)
  })

  test('the half frame that grows is not the one that gives way to itself', () => {
    expect(claim('a0', 900)).toBe(true)
    expect(claim('a0', 1_100, 5_000)).toBe(true)
    expect(evicted).toEqual([])
  })

  test('of two sources alike neither gives way to the other while both go on', () => {
    expect(claim('a0', 500)).toBe(true)
    expect(claim('b0', 500)).toBe(true)
    expect(claim('a0', 600)).toBe(true)
    expect(claim('b0', 600)).toBe(false)
    expect(evicted).toEqual([])
  })
})

describe('within one source', () => {
  test('a half frame that lags gives way, the oldest first; one that goes on does not', () => {
    expect(claim('a0', 300)).toBe(true)
    expect(claim('a1', 300)).toBe(true)
    expect(claim('a2', 300)).toBe(true)
    budget.progress('a0', 250, LAGGING_AFTER_MS)
    expect(claim('a3', 300, LAGGING_AFTER_MS)).toBe(true)
    expect(evicted).toEqual(['a1'])
  })

  test('what came quickly does not hide that nothing comes any more', () => {
    expect(claim('a0', 900)).toBe(true)
    budget.progress('a0', 899, 100)
    expect(claim('a1', 100, 100)).toBe(true)
    budget.progress('a1', 99, 1_000)
    expect(claim('a2', 100, 100 + LAGGING_AFTER_MS)).toBe(true)
    expect(evicted).toEqual(['a0'])
  })

  test('what came quickly once does not hide that it comes slowly now', () => {
    expect(claim('a0', 900)).toBe(true)
    budget.progress('a0', 800, 1)
    for (let nowMs = 500; nowMs <= 4_000; nowMs += 500) budget.progress('a0', 800 + nowMs / 500, nowMs)
    expect(claim('a1', 300, 4_100)).toBe(true)
    expect(evicted).toEqual(['a0'])
  })

  test('one may go beyond the limit, the others wait, and go on when it is done', () => {
    expect(claim('a0', 600)).toBe(true)
    expect(claim('a1', 400)).toBe(true)
    expect(claim('a1', 700)).toBe(true)
    expect(budget.bytes).toBe(1_300)
    expect(claim('a0', 800)).toBe(false)
    expect(claim('a2', 1)).toBe(false)
    expect(claim('a1', 800)).toBe(true)
    expect(rooms).toBe(0)
    budget.free('a1')
    expect(rooms).toBe(1)
    expect(claim('a0', 800)).toBe(true)
    expect(evicted).toEqual([])
  })

  test('one that went beyond the limit and lags gives way to whoever asks, of another source too', () => {
    expect(claim('a0', 500)).toBe(true)
    expect(claim('b0', 500)).toBe(true)
    expect(claim('b0', 501)).toBe(true)
    expect(claim('a0', 600, LAGGING_AFTER_MS - 1)).toBe(false)
    expect(claim('a0', 600, LAGGING_AFTER_MS)).toBe(true)
    expect(evicted).toEqual(['b0'])
  })

  test('who waits for memory does not lag, and is judged anew when it goes on', () => {
    expect(claim('a0', 500)).toBe(true)
    expect(claim('a1', 500)).toBe(true)
    expect(claim('a1', 600)).toBe(true)
    expect(claim('a0', 600)).toBe(false)
    budget.progress('a1', 599, 5_000)
    expect(claim('a2', 100, 5_000)).toBe(false)
    expect(evicted).toEqual([])
    budget.free('a1')
    expect(claim('a0', 600, 5_000)).toBe(true)
    expect(claim('a2', 500, 5_000 + LAGGING_AFTER_MS - 1)).toBe(true)
    expect(evicted).toEqual([])
  })
})

test('a whole frame that waits for us keeps its memory, whatever its source holds', () => {
  expect(claim('a0', 900)).toBe(true)
  budget.hold('a0')
  expect(claim('b0', 50)).toBe(true)
  expect(claim('b1', 100)).toBe(true)
  expect(claim('b0', 100)).toBe(false)
  expect(evicted).toEqual([])
  budget.free('a0')
  expect(rooms).toBe(1)
  expect(budget.bytes).toBe(150)
})

test('in any order of events the sum is right, bounded, and somebody can always go on', () => {
  const client = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(5)).map(([source, n]) => `${source}${n}`)
  const event = fc.tuple(fc.constantFrom('claim', 'claim', 'claim', 'progress', 'hold', 'free'), client, fc.nat(400))
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const held = new Map<string, number>()
      const asked = new Set<string>()
      const own = new CarryBudget<string>(
        { bytesMax: BYTES_MAX, laggingAfterMs: LAGGING_AFTER_MS, laggingBytesPerS: LAGGING_BYTES_PER_S },
        {
          onEvicted: (gone) => {
            held.delete(gone)
            asked.delete(gone)
          },
          onRoom() {},
        },
      )
      let nowMs = 0
      for (const [what, name, amount] of events) {
        nowMs += amount
        if (what === 'claim') {
          const bytes = (held.get(name) ?? 0) + amount
          if (bytes > 500) continue
          if (own.claim(name, name[0]!, bytes, 0, nowMs)) {
            held.set(name, bytes)
            asked.delete(name)
          } else asked.add(name)
        } else if (what === 'progress') own.progress(name, amount, nowMs)
        else if (what === 'hold' && !asked.has(name)) own.hold(name)
        else if (what === 'free') {
          own.free(name)
          held.delete(name)
          asked.delete(name)
        }
        expect(own.bytes).toBe([...held.values()].reduce((sum, bytes) => sum + bytes, 0))
        expect(own.bytes).toBeLessThanOrEqual(BYTES_MAX + 500)
      }
    }),
  )
})
