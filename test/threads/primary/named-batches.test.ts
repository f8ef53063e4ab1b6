/** NamedBatches: what workers are told of batches that headers list, and when. */
import { describe, expect, test } from 'vitest'
import type { Header, PayloadEntry } from '../../../src/threads/primary/consensus/types.js'
import { NAMES_TOLD_MS } from '../../../src/threads/primary/limits.js'
import { NamedBatches } from '../../../src/threads/primary/named-batches.js'
import { TurnBuilder, type WorkerRequest } from '../../../src/threads/primary/turn.js'

const digest = (n: number): string => String.fromCharCode(n).repeat(32)
const bytes = (n: number): Uint8Array => new Uint8Array(32).fill(n)
const batch = (n: number, author = 1, worker = 0): PayloadEntry => ({
  digest: digest(n),
  author,
  worker,
  sequence: BigInt(n),
})
const header = (round: number, payload: PayloadEntry[], author = 1): Header =>
  ({ id: `${author} ${round}`, author, round, createdAt: 0, parents: [], payload }) as Header
const never = (): boolean => false

function told(names: NamedBatches, ms: number): readonly WorkerRequest[] {
  const turn = new TurnBuilder({ ms, unixMs: 0 })
  names.tick(turn)
  return turn.workerRequests
}
const named = (digests: number[], worker = 0, isAnew = false): WorkerRequest => ({
  type: 'named',
  worker,
  digests: digests.map(bytes),
  isAnew,
})

describe('batches that headers name', () => {
  test('are told to their workers together, after a while, and once', () => {
    const names = new NamedBatches()
    names.named(header(3, [batch(1), batch(2), batch(3, 1, 7)]), never, 1000)
    names.named(header(4, [batch(4), batch(1)]), never, 1100)
    expect(names.wakeAtMs).toBe(1000 + NAMES_TOLD_MS)
    expect(told(names, 1000 + NAMES_TOLD_MS - 1)).toEqual([])
    expect(told(names, 1000 + NAMES_TOLD_MS)).toEqual([named([1, 2, 4]), named([3], 7)])
    expect(names.wakeAtMs).toBe(Number.POSITIVE_INFINITY)
    names.named(header(5, [batch(1)]), never, 2000)
    expect(names.wakeAtMs).toBe(Number.POSITIVE_INFINITY)
    expect(told(names, 9000)).toEqual([])
  })

  test('are not told if they are ordered by then, or were before, or if another authority lists them', () => {
    const names = new NamedBatches()
    names.named(header(3, [batch(1), batch(2), batch(3, 2), batch(4)]), ({ digest: of }) => of === digest(4), 0)
    names.ordered(digest(1))
    expect([1, 2, 3, 4].map((n) => names.has(digest(n)))).toEqual([false, true, false, false])
    expect(told(names, NAMES_TOLD_MS)).toEqual([named([2])])
    names.named(header(4, [batch(5)]), never, NAMES_TOLD_MS)
    names.ordered(digest(5))
    expect(told(names, 9000)).toEqual([])
    names.ordered(digest(2))
    expect(names.size).toBe(0)
  })

  test('are unnamed when the last round that lists them is collected; who was not told of them hears nothing of that', () => {
    const names = new NamedBatches()
    names.named(header(3, [batch(1), batch(2)]), never, 0)
    expect(told(names, NAMES_TOLD_MS)).toEqual([named([1, 2])])
    names.named(header(5, [batch(2), batch(3)]), never, 500)
    names.collect(4, 600)
    expect(names.wakeAtMs).toBe(500 + NAMES_TOLD_MS)
    names.collect(5, 700)
    expect(told(names, 600 + NAMES_TOLD_MS)).toEqual([{ type: 'unnamed', worker: 0, digests: [bytes(1), bytes(2)] }])
    expect(names.size).toBe(0)
    // A late header of a round that is over names nothing.
    names.named(header(5, [batch(3)]), never, 900)
    expect(names.size).toBe(0)
    names.named(header(6, [batch(1)]), never, 900)
    expect(told(names, 9000)).toEqual([named([1])])
  })

  test('are all told to a worker that begins, at once, and to no other; one that there is nothing for hears that too', () => {
    const names = new NamedBatches()
    names.named(header(3, [batch(1), batch(2, 1, 7)]), never, 0)
    told(names, NAMES_TOLD_MS)
    names.named(header(4, [batch(3)]), never, 500)
    names.collect(3, 500)
    names.workerStore(0, 500)
    names.workerStore(9, 500)
    expect(told(names, 500)).toEqual([
      { type: 'unnamed', worker: 7, digests: [bytes(2)] },
      named([3], 0, true),
      named([], 9, true),
    ])
    expect(told(names, 9000)).toEqual([])
  })
})
