import { describe, expect, test } from 'vitest'
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
  const push = (...writes: string[]): void => queue.push({ writes, onDurable: () => told.push(writes.join('')) })
  const end = async (): Promise<void> => {
    ends.shift()!()
    await turn()
  }
  return { queue, transactions, told, push, end }
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
    queue.push({ writes: ['a'], onDurable: () => queue.push({ writes: ['b'], onDurable: () => {} }) })
    await turn()
    await end()
    expect(transactions).toEqual([['a'], ['b']])
    const drained = queue.drained()
    await end()
    await drained
  })
})
