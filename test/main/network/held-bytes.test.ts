/** HeldBytes: the order of what waits, and what it costs in whatever pieces it comes. */
import { expect, test } from 'vitest'
import { HeldBytes } from '../../../src/main/network/held-bytes.js'
import { HELD_BLOCK_BYTES, HELD_COPY_BYTES } from '../../../src/main/network/limits.js'

function numbered(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >>> 8)) & 255)
}

test('what is taken is what came, in order, whatever the pieces are and whatever goes back', () => {
  const sizes = [1, 7, HELD_COPY_BYTES - 1, HELD_COPY_BYTES, 3, HELD_BLOCK_BYTES, 2, 100_000, 1]
  const all = numbered(1_000_000)
  const held = new HeldBytes()
  const taken: Uint8Array[] = []
  let given = 0
  for (let i = 0; given < all.length || held.blocks > 0; i += 1) {
    const bytes = all.subarray(given, given + sizes[i % sizes.length]!)
    if (bytes.length > 0) held.push(bytes)
    given += bytes.length
    if (i % 3 !== 0) continue
    const front = held.shift()
    if (front === undefined) continue
    const used = i % 2 === 0 ? front.length : Math.ceil(front.length / 3)
    taken.push(front.subarray(0, used))
    if (used < front.length) held.unshift(front.subarray(used))
  }
  expect(Buffer.concat(taken).equals(all)).toBe(true)
  expect(held.shift()).toBeUndefined()
})

test('four million pieces of one byte are as many blocks as their bytes need', () => {
  const held = new HeldBytes()
  const piece = Uint8Array.of(1)
  for (let i = 0; i < 4 * 1024 * 1024; i += 1) held.push(piece)
  expect(held.blocks).toBe((4 * 1024 * 1024) / HELD_BLOCK_BYTES)
})

test('large and small pieces in turn keep no block for each small one', () => {
  const held = new HeldBytes()
  const large = new Uint8Array(HELD_COPY_BYTES)
  const small = Uint8Array.of(1)
  for (let i = 0; i < 100; i += 1) {
    held.push(large)
    held.push(small)
  }
  const memory = new Set<ArrayBufferLike>()
  for (let piece = held.shift(); piece !== undefined; piece = held.shift()) memory.add(piece.buffer)
  memory.delete(large.buffer)
  const bytes = [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0)
  expect(bytes).toBe(100)
})

test('a small piece keeps nothing of the buffer that it came in', () => {
  const held = new HeldBytes()
  const came = new Uint8Array(1024 * 1024)
  held.push(came.subarray(0, 10))
  expect(held.shift()!.buffer).not.toBe(came.buffer)
})

test('nothing is left when it is cleared', () => {
  const held = new HeldBytes()
  held.push(new Uint8Array(10))
  held.push(new Uint8Array(HELD_COPY_BYTES))
  held.push(new Uint8Array(10))
  held.clear()
  expect(held.blocks).toBe(0)
})
