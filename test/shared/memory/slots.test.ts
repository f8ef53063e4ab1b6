import { AssertionError } from 'node:assert'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SlotPool } from '../../../src/main/lib/slot-pool.js'
import { BATCH_SIZE_MIN, OWN_SLOTS_MAX } from '../../../src/shared/config/limits.js'
import { BATCH_FRAME_HEADER_BYTES, BATCH_SIZE_MAX } from '../../../src/shared/constants.js'
import { Arena, createArena, slotStride } from '../../../src/shared/memory/slots.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

function arenaOf(slots: number, batchBytesMax: number) {
  const buffer = new SharedArrayBuffer(slots * slotStride(batchBytesMax))
  return { arena: new Arena({ buffers: [buffer], slots, batchBytesMax }), bytes: new Uint8Array(buffer) }
}

describe('an arena', () => {
  it('slots do not overlap, frame headers included', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 700 }), (slots, batchBytesMax) => {
        const { arena, bytes } = arenaOf(slots, batchBytesMax)
        for (let slot = 0; slot < slots; slot += 1) arena.framed(slot, batchBytesMax).fill(slot + 1)
        for (let slot = 0; slot < slots; slot += 1) {
          expect(bytes.filter((byte) => byte === slot + 1).length).toBe(batchBytesMax + BATCH_FRAME_HEADER_BYTES)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('a batch starts on a page, and its frame header stands right in front of it', () => {
    const { arena } = arenaOf(5, 1001)
    for (let slot = 0; slot < 5; slot += 1) {
      const batch = arena.batch(slot, 100)
      const framed = arena.framed(slot, 100)
      expect(batch.byteOffset % 4096).toBe(0)
      expect(batch.length).toBe(100)
      expect(framed.length).toBe(100 + BATCH_FRAME_HEADER_BYTES)
      expect(framed.byteOffset + BATCH_FRAME_HEADER_BYTES).toBe(batch.byteOffset)
      framed.fill(slot + 1)
      expect(batch.every((byte) => byte === slot + 1)).toBe(true)
    }
  })

  it('two threads that look at one region see the same slot', () => {
    const buffer = new SharedArrayBuffer(3 * slotStride(500))
    const region = { buffers: [buffer], slots: 3, batchBytesMax: 500 }
    new Arena(region).batch(1).fill(7)
    expect(new Arena(region).batch(1, 10)).toEqual(new Uint8Array(10).fill(7))
  })

  it('poison covers the freed slot and nothing of its neighbours', () => {
    const { arena } = arenaOf(3, 130)
    for (const slot of [0, 1, 2]) arena.framed(slot, 130).fill(slot + 1)
    arena.poison(1)
    expect(arena.framed(0, 130).every((byte) => byte === 1)).toBe(true)
    expect(arena.framed(1, 130).every((byte) => byte === 0xdb)).toBe(true)
    expect(arena.framed(2, 130).every((byte) => byte === 3)).toBe(true)
  })

  it('a slot or a length that it does not have is our own bug', () => {
    const { arena } = arenaOf(2, 500)
    expect(() => arena.batch(2)).toThrow(AssertionError)
    expect(() => arena.batch(1, 501)).toThrow(AssertionError)
    expect(() => arena.framed(2, 1)).toThrow(AssertionError)
    expect(() => arena.framed(0, 501)).toThrow(AssertionError)
    const tooShort = new SharedArrayBuffer(2 * slotStride(500) - 1)
    expect(() => new Arena({ buffers: [tooShort], slots: 2, batchBytesMax: 500 })).toThrow(AssertionError)
  })

  it.each([BATCH_SIZE_MIN, 500_000, BATCH_SIZE_MAX])(
    'a stride for batches of %i bytes wastes less than two pages',
    (bytes) => {
      expect(slotStride(bytes) % 4096).toBe(0)
      expect(slotStride(bytes)).toBeGreaterThanOrEqual(bytes + BATCH_FRAME_HEADER_BYTES)
      expect(slotStride(bytes)).toBeLessThan(bytes + 2 * 4096)
    },
  )

  it('of several buffers has its slots one behind the other, none in two buffers', () => {
    const stride = slotStride(500)
    const buffers = [2, 2, 1].map((slots) => new SharedArrayBuffer(slots * stride + 100))
    const arena = new Arena({ buffers, slots: 5, batchBytesMax: 500 })
    for (let slot = 0; slot < 5; slot += 1) arena.framed(slot, 500).fill(slot + 1)
    const found = buffers.map((buffer) => [...new Set(new Uint8Array(buffer))].sort())
    expect(found).toEqual([
      [0, 1, 2],
      [0, 3, 4],
      [0, 5],
    ])
    expect(() => new Arena({ buffers, slots: 6, batchBytesMax: 500 })).toThrow(AssertionError)
  })

  it('as large as the parameters allow, longer than 4 GiB, has all its slots', () => {
    const region = createArena(OWN_SLOTS_MAX, BATCH_SIZE_MAX)
    expect(region.buffers.length).toBeGreaterThan(1)
    const arena = new Arena(region)
    const [first, last] = [arena.batch(0, 1), arena.batch(OWN_SLOTS_MAX - 1)]
    first.fill(1)
    last.subarray(-1).fill(2)
    expect([first[0], last.at(-1)]).toEqual([1, 2])
  })

  it('begins at an address that the disk takes, in every slot', () => {
    const file = join(temporaryDirectory(), 'file')
    let fd: number
    try {
      fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT)
    } catch (error) {
      // A file system that takes no such writes: from any address.
      expect(error).toMatchObject({ code: 'EINVAL' })
      return
    }
    const arena = new Arena(createArena(5, 5_000))
    for (let slot = 0; slot < 5; slot += 1) {
      const batch = arena.batch(slot, 5_000)
      expect(writeSync(fd, new Uint8Array(batch.buffer, batch.byteOffset, 8_192), 0, 8_192, 0)).toBe(8_192)
    }
    closeSync(fd)
  })
})

describe('a pool of slots', () => {
  it('hands out each of its slots once, and then none', () => {
    const pool = new SlotPool(10, 4)
    const taken = [pool.take(), pool.take(), pool.take(), pool.take()]
    expect([...taken].sort()).toEqual([10, 11, 12, 13])
    expect(pool.take()).toBeUndefined()
    expect(pool.available).toBe(0)
    pool.give(12)
    expect(pool.take()).toBe(12)
  })

  it('a slot that is given back twice, or is not its own, is our own bug', () => {
    const pool = new SlotPool(10, 4)
    const slot = pool.take()!
    pool.give(slot)
    expect(() => pool.give(slot)).toThrow(AssertionError)
    expect(() => pool.give(9)).toThrow(AssertionError)
    expect(() => pool.give(14)).toThrow(AssertionError)
  })
})
