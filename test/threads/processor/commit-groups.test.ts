import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CommitGroups } from '../../../src/threads/processor/commit-groups.js'
import {
  COMMIT_GROUP_BATCHES,
  COMMIT_GROUP_BYTES,
  COMMIT_GROUP_INTERVAL_MS,
} from '../../../src/threads/processor/limits.js'

/** Notes which writes were done. Time stands still but for `advance`. */
class Writes {
  /** What the next group waits for. */
  flush: Promise<void> | undefined
  readonly groups = new CommitGroups(() => this.flush)
  readonly done: string[] = []

  join(name: string): void {
    this.groups.join(() => this.done.push(name))
  }

  joinBatch(name: string, bytes: number): void {
    this.groups.joinBatch(() => this.done.push(name), bytes)
  }

  joinAtEnd(name: string): void {
    this.groups.joinAtEnd(() => this.done.push(name))
  }

  /** What the next milliseconds do. */
  advance(ms: number): string[] {
    const before = this.done.length
    vi.advanceTimersByTime(ms)
    return this.done.slice(before)
  }
}

let writes: Writes

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  writes = new Writes()
})

afterEach(() => {
  vi.useRealTimers()
})

/** A transaction has just begun. */
async function begun(): Promise<void> {
  writes.join('first')
  await nextTurn()
  expect(writes.done).toEqual(['first'])
}

describe('a transaction', () => {
  it('begins at once after a quiet time, with what the same callback writes, in order', async () => {
    for (const name of ['a', 'b', 'c']) writes.join(name)
    expect(writes.done).toEqual([])
    await nextTurn()
    expect(writes.done).toEqual(['a', 'b', 'c'])
  })

  it('takes what comes within an interval after the beginning of the last, together', async () => {
    await begun()
    vi.advanceTimersByTime(COMMIT_GROUP_INTERVAL_MS / 2)
    writes.join('second')
    await nextTurn()
    writes.joinBatch('third', 10)
    await nextTurn()
    expect(writes.advance(COMMIT_GROUP_INTERVAL_MS / 2 - 1)).toEqual([])
    expect(writes.advance(1)).toEqual(['second', 'third'])
    expect(writes.advance(10 * COMMIT_GROUP_INTERVAL_MS)).toEqual([])
  })

  it('does the writes at the end behind all others, and also without others', async () => {
    await begun()
    writes.joinAtEnd('end')
    writes.join('second')
    expect(writes.advance(COMMIT_GROUP_INTERVAL_MS)).toEqual(['second', 'end'])
    writes.joinAtEnd('alone')
    expect(writes.advance(COMMIT_GROUP_INTERVAL_MS)).toEqual(['alone'])
  })

  it.each([
    ['bytes', 2, COMMIT_GROUP_BYTES / 2],
    ['batches', COMMIT_GROUP_BATCHES, 1],
  ])('does not wait when enough %s do, and counts the next interval from there', async (_, count, bytes) => {
    await begun()
    for (let n = 1; n < count; n += 1) writes.joinBatch(`${n}`, bytes)
    await nextTurn()
    expect(writes.done).toHaveLength(1)
    vi.advanceTimersByTime(COMMIT_GROUP_INTERVAL_MS / 2)
    writes.joinBatch('last', bytes)
    await nextTurn()
    expect(writes.done).toHaveLength(1 + count)
    writes.joinBatch('next', bytes)
    await nextTurn()
    expect(writes.advance(COMMIT_GROUP_INTERVAL_MS - 1)).toEqual([])
    expect(writes.advance(1)).toEqual(['next'])
  })

  it('begins early when the store is closed, once', async () => {
    writes.join('first')
    writes.groups.flush()
    expect(writes.done).toEqual(['first'])
    writes.join('second')
    writes.joinAtEnd('end')
    writes.groups.flush()
    writes.groups.flush()
    await nextTurn()
    vi.advanceTimersByTime(10 * COMMIT_GROUP_INTERVAL_MS)
    expect(writes.done).toEqual(['first', 'second', 'end'])
  })

  it('waits for the flush of the segments, and later groups wait for it, in order', async () => {
    let end: () => void = () => {}
    writes.flush = new Promise((resolve) => {
      end = resolve
    })
    writes.join('first')
    await nextTurn()
    // Nothing more was written to segments meanwhile.
    writes.flush = undefined
    writes.join('second')
    writes.joinAtEnd('end of the second')
    expect(writes.advance(10 * COMMIT_GROUP_INTERVAL_MS)).toEqual([])
    await nextTurn()
    expect(writes.done).toEqual([])
    writes.join('third')
    const flushed = writes.groups.flush()
    await nextTurn()
    expect(writes.done).toEqual([])
    end()
    await flushed
    expect(writes.done).toEqual(['first', 'second', 'end of the second', 'third'])
  })
})
