/** Whose batches are in memory for replies: names as replies, and a clock by hand. */
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { ReplyMemory } from '../../../../src/main/worker/sync/reply-memory.js'

const HELD_MS = 100

let granted: string[]
let memory: ReplyMemory<string>
beforeEach(() => {
  granted = []
  memory = new ReplyMemory({ batchesMax: 3, heldMs: HELD_MS }, (reply) => granted.push(reply))
})

test('the peer that holds the fewest is next, and who has waited longest among those', () => {
  expect(memory.take('a1', 1, 0)).toBe(true)
  expect(memory.take('a2', 1, 0)).toBe(true)
  expect(memory.take('b1', 2, 0)).toBe(true)
  expect(memory.take('a3', 1, 0)).toBe(false)
  expect(memory.take('c1', 3, 0)).toBe(false)
  expect(memory.take('d1', 4, 0)).toBe(false)
  memory.give('a1', 1)
  expect(granted).toEqual(['c1'])
  memory.give('a2', 1)
  memory.give('b1', 1)
  expect(granted).toEqual(['c1', 'a3', 'd1'])
  expect(memory.held).toBe(3)
})

test('nobody gives way while nobody waits; then who has held a batch for longest, if that was long', () => {
  memory.take('a', 1, 0)
  memory.take('b', 2, 50)
  memory.take('c', 3, 60)
  expect(memory.overdue(10_000)).toBeUndefined()
  memory.take('d', 4, 60)
  expect(memory.overdue(HELD_MS - 1)).toBeUndefined()
  expect(memory.overdue(HELD_MS)).toBe('a')
  memory.give('d', HELD_MS)
  expect(memory.overdue(10_000)).toBeUndefined()
})

test('in any order no more are held than may be, none is granted twice, and none waits while there is room', () => {
  const event = fc.tuple(fc.constantFrom('take', 'take', 'give'), fc.nat(9))
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const held = new Set<number>()
      const waiting = new Set<number>()
      const own = new ReplyMemory<number>({ batchesMax: 3, heldMs: HELD_MS }, (reply) => {
        expect(waiting.delete(reply)).toBe(true)
        held.add(reply)
      })
      for (const [what, reply] of events) {
        if (what === 'give') {
          held.delete(reply)
          waiting.delete(reply)
          own.give(reply, 0)
        } else if (!held.has(reply) && !waiting.has(reply)) {
          if (own.take(reply, reply % 4, 0)) held.add(reply)
          else waiting.add(reply)
        }
        expect([own.held, own.waits]).toEqual([held.size, waiting.size])
        expect(held.size).toBeLessThanOrEqual(3)
        expect(waiting.size === 0 || held.size === 3).toBe(true)
      }
    }),
  )
})
