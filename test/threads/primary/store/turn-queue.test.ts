import { describe, expect, test } from 'vitest'
import { TURNS_HELD_MAX, TURNS_HELD_MS } from '../../../../src/threads/primary/store/limits.js'
import { TurnQueue } from '../../../../src/threads/primary/store/turn-queue.js'

/** A disk on which transactions end when they are told to. */
function disk() {
  const transactions: string[][] = []
  const ends: (() => void)[] = []
  const told: string[] = []
  const queue = new TurnQueue<string>((turns) => {
    transactions.push(turns.flatMap(({ writes }) => writes))
    return new Promise((resolve) => ends.push(resolve))
  })
  const add = (isUrgent: boolean, writes: string[]): void =>
    queue.push({ writes, isUrgent, onDurable: () => told.push(writes.join('')) })
  const push = (...writes: string[]): void => add(true, writes)
  const hold = (...writes: string[]): void => add(false, writes)
  const end = async (): Promise<void> => {
    ends.shift()!()
    await turn()
  }
  return { queue, transactions, told, push, hold, end }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('turns', () => {
  test('of one callback go together, and those that come while a flush runs go in the next transaction', async () => {
    const { end, push, told, transactions } = disk()
    push('a', 'b')
    push('c')
    await turn()
    expect(transactions).toEqual([['a', 'b', 'c']])
    push('d')
    await turn()
    push('e')
    expect(transactions).toHaveLength(1)
    expect(told).toEqual([])
    await end()
    expect(told).toEqual(['ab', 'c'])
    expect(transactions).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e'],
    ])
    await end()
    expect(told).toEqual(['ab', 'c', 'd', 'e'])
    push('f')
    await turn()
    expect(transactions.at(-1)).toEqual(['f'])
  })

  test('are counted until they are on the disk', async () => {
    const { end, push, queue } = disk()
    push('a')
    push('b')
    expect(queue.size).toBe(2)
    await turn()
    push('c')
    expect(queue.size).toBe(3)
    await end()
    expect(queue.size).toBe(1)
    await end()
    expect(queue.size).toBe(0)
  })

  test('are told in order, also those without writes', async () => {
    const { end, push, told } = disk()
    push('a')
    push()
    push('b')
    await turn()
    await end()
    expect(told).toEqual(['a', '', 'b'])
  })

  test('of a transaction that never ends are never told, nor are those behind it', async () => {
    const { push, told, transactions } = disk()
    push('a')
    await turn()
    push('b')
    await turn()
    expect([told, transactions]).toEqual([[], [['a']]])
  })

  test('that a callback pushes when it is told go in the next transaction', async () => {
    const { end, queue, transactions } = disk()
    queue.push({
      writes: ['a'],
      isUrgent: true,
      onDurable: () => queue.push({ writes: ['b'], isUrgent: true, onDurable: () => {} }),
    })
    await turn()
    await end()
    expect(transactions).toEqual([['a'], ['b']])
    const drained = queue.drained()
    await end()
    await drained
  })

  test('that nobody waits for go with the next urgent one, in order', async () => {
    const { end, hold, push, told, transactions } = disk()
    hold('a')
    hold('b')
    await turn()
    expect(transactions).toEqual([])
    push('c')
    await turn()
    expect(transactions).toEqual([['a', 'b', 'c']])
    // Also those that come while a flush runs are no reason for another one.
    hold('d')
    await end()
    expect([told, transactions.length]).toEqual([['a', 'b', 'c'], 1])
    push('e')
    await turn()
    expect(transactions.at(-1)).toEqual(['d', 'e'])
  })

  test('that nobody waits for go by themselves after a while, or when they are many, or at the end', async () => {
    const { end, hold, queue, told, transactions } = disk()
    const beganMs = performance.now()
    hold('a')
    while (transactions.length === 0) await turn()
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(TURNS_HELD_MS - 1)
    await end()
    expect(told).toEqual(['a'])

    for (let n = 1; n < TURNS_HELD_MAX; n += 1) hold(String(n))
    await turn()
    expect(transactions).toHaveLength(1)
    hold('last')
    await turn()
    expect(transactions.at(-1)).toHaveLength(TURNS_HELD_MAX)
    await end()

    hold('z')
    const drained = queue.drained()
    await turn()
    expect(transactions.at(-1)).toEqual(['z'])
    await end()
    await drained
    expect(told.at(-1)).toBe('z')
  })
})
