import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { TRANSACTION_BYTES, TRANSACTION_INTERVAL_MS } from '../src/shared/constants.js'
import { Transactions } from '../src/threads/processor/transactions.js'
import { until } from './support/until.js'

/** Notes in which turn of the event loop each write was done, and when. */
class Writes {
  readonly transactions = new Transactions()
  readonly names: string[] = []
  readonly atMs: number[] = []

  join(name: string, bytes = 0): void {
    this.transactions.join(() => {
      this.names.push(name)
      this.atMs.push(performance.now())
    }, bytes)
  }
}

describe('a transaction', () => {
  it('begins at once after a quiet time, with what the same turn writes, in order', async () => {
    const writes = new Writes()
    for (const name of ['a', 'b', 'c']) writes.join(name)
    expect(writes.names).toEqual([])
    await nextTurn()
    expect(writes.names).toEqual(['a', 'b', 'c'])
  })

  it('takes what comes within an interval after the beginning of the last, together', async () => {
    const writes = new Writes()
    writes.join('first')
    await nextTurn()
    const startMs = writes.atMs[0]!
    writes.join('second')
    await nextTurn()
    writes.join('third')
    expect(writes.names).toEqual(['first'])
    await until('all are written', () => writes.names.length === 3)
    expect(writes.names).toEqual(['first', 'second', 'third'])
    expect(writes.atMs[1]! - startMs).toBeGreaterThanOrEqual(TRANSACTION_INTERVAL_MS - 1)
    expect(writes.atMs[2]! - writes.atMs[1]!).toBeLessThan(TRANSACTION_INTERVAL_MS)
  })

  it('does not wait for the interval when enough bytes are waiting', async () => {
    const writes = new Writes()
    writes.join('first')
    await nextTurn()
    writes.join('half', TRANSACTION_BYTES / 2)
    await nextTurn()
    expect(writes.names).toEqual(['first'])
    writes.join('whole', TRANSACTION_BYTES / 2)
    await nextTurn()
    expect(writes.names).toEqual(['first', 'half', 'whole'])
    // Its timer is gone: the next interval is counted from here.
    writes.join('next')
    await nextTurn()
    expect(writes.names).toHaveLength(3)
    await until('it is written', () => writes.names.length === 4)
    expect(writes.atMs[3]! - writes.atMs[2]!).toBeGreaterThanOrEqual(TRANSACTION_INTERVAL_MS - 1)
  })

  it('begins early when the store is closed, once', async () => {
    const writes = new Writes()
    writes.join('first')
    writes.transactions.flush()
    expect(writes.names).toEqual(['first'])
    writes.join('second')
    writes.transactions.flush()
    writes.transactions.flush()
    expect(writes.names).toEqual(['first', 'second'])
    await sleep(2 * TRANSACTION_INTERVAL_MS)
    expect(writes.names).toEqual(['first', 'second'])
  })
})
