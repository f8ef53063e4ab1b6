/** Reads of a worker's batches that wait for their turn. */
import { expect, test } from 'vitest'
import { LINK_CALLS_WAITING_MAX, LINK_READERS_WAITING_MAX } from '../../../src/main/link/limits.js'
import { type ReadFor, ReadsWaiting, type WaitingRead } from '../../../src/main/link/reads-waiting.js'

function readOf(by: ReadFor, byte = 0, more: Partial<WaitingRead> = {}): WaitingRead {
  return { by, digest: new Uint8Array(32).fill(byte), answer: () => {}, ...more }
}

test('readers of commits and calls take turns, each in their order', () => {
  const reads = new ReadsWaiting()
  for (const byte of [1, 2, 3]) reads.add(readOf('call', byte))
  for (const byte of [11, 12]) reads.add(readOf('commits', byte))
  const order = Array.from({ length: 6 }, () => reads.next()?.digest[0])
  expect(order).toEqual([11, 1, 12, 2, 3, undefined])
})

test.each([
  ['commits', LINK_READERS_WAITING_MAX, 'call'],
  ['call', LINK_CALLS_WAITING_MAX, 'commits'],
] as const)('of %s at most so many wait, whatever the others do', (by, max, other) => {
  const reads = new ReadsWaiting()
  for (let count = 0; count < max; count += 1) reads.add(readOf(by))
  expect(() => reads.add(readOf(by))).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
  reads.add(readOf(other, 7))
  reads.next()
  reads.next()
  reads.add(readOf(by))
})

test('what nobody waits for any more gives its place to others, and is not asked for', () => {
  const reads = new ReadsWaiting()
  const left = new AbortController()
  let answered = 0
  const answer = (): void => {
    answered += 1
  }
  for (let count = 0; count < LINK_READERS_WAITING_MAX; count += 1) {
    reads.add(readOf('commits', 1, { signal: left.signal, answer }))
  }
  left.abort()
  reads.add(readOf('commits', 2))
  expect(answered).toBe(LINK_READERS_WAITING_MAX)
  reads.add(readOf('commits', 3, { signal: left.signal, answer }))
  expect([reads.next()?.digest[0], reads.next()]).toEqual([2, undefined])
  expect(answered).toBe(LINK_READERS_WAITING_MAX + 1)
})
