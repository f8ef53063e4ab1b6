/** What a reader of commits has read ahead, as pure parts: items of a source, batches of commits, and what ends both. */
import { getEventListeners } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { BatchesAhead, ReadBudget } from '../../../src/main/authority/batches-ahead.js'
import { Endings } from '../../../src/main/authority/endings.js'
import { pulledAhead } from '../../../src/main/authority/pulled-ahead.js'
import type { LoggedBatch } from '../../../src/shared/store/primary/commit-log-reader.js'

async function turns(count = 10): Promise<void> {
  for (let n = 0; n < count; n += 1) await turn()
}

/** Counts what was asked of it; goes on until it is stopped. */
class Source {
  made = 0
  isOver = false
  private wake: () => void = () => {}

  async *items(count = Number.POSITIVE_INFINITY): AsyncGenerator<number> {
    try {
      while (this.made < count) {
        this.made += 1
        yield this.made
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    } finally {
      this.isOver = true
    }
  }

  stop(): void {
    this.wake()
  }
}

describe('a source that is read ahead', () => {
  it('has so many items before they are asked for, and no more', async () => {
    const source = new Source()
    const pulled: number[] = []
    const items = pulledAhead(
      source.items(),
      3,
      (item) => {
        pulled.push(item)
        return item
      },
      () => source.stop(),
    )
    expect((await items.next()).value).toBe(1)
    await turns()
    expect(pulled).toEqual([1, 2, 3, 4])
    const taken = [1]
    while (taken.length < 40) taken.push((await items.next()).value as number)
    expect(taken).toEqual(Array.from({ length: 40 }, (_, n) => n + 1))
    await turns()
    expect(pulled).toHaveLength(43)
    await items.return()
    expect(source.isOver).toBe(true)
  })

  it('ends with the source, or with its error, after all that came before', async () => {
    async function* three(): AsyncGenerator<number> {
      yield* [1, 2, 3]
    }
    const taken: number[] = []
    for await (const item of pulledAhead(
      three(),
      8,
      (item) => item,
      () => {},
    ))
      taken.push(item)
    expect(taken).toEqual([1, 2, 3])

    async function* failing(): AsyncGenerator<number> {
      yield* [1, 2]
      throw new Error('the disk')
    }
    const items = pulledAhead(
      failing(),
      8,
      (item) => item,
      () => {},
    )
    expect([(await items.next()).value, (await items.next()).value]).toEqual([1, 2])
    await expect(items.next()).rejects.toThrow('the disk')
  })

  it('that waits is stopped when the taker leaves', async () => {
    const source = new Source()
    for await (const item of pulledAhead(
      source.items(2),
      8,
      (item) => item,
      () => source.stop(),
    ))
      if (item === 2) break
    expect(source.isOver).toBe(true)
  })
})

describe('batches that are read ahead', () => {
  /** Commits of so many batches each, before one reader; `begun` are the positions of those whose reading has begun. */
  function commits(budget: ReadBudget, ...counts: number[]) {
    return commitsBeside(new Map(), budget, counts)
  }

  /** The same, with batches in memory, by their positions. */
  function commitsBeside(memory: Map<number, Uint8Array>, budget: ReadBudget, counts: readonly number[]) {
    return counts.map((count) => {
      const begun: number[] = []
      let left = 0
      const entries = Array.from({ length: count }, (_, position) => ({ position }) as LoggedBatch)
      const ahead = new BatchesAhead({
        entries: entries.values(),
        bytesOf: async ({ position }) => {
          begun.push(position)
          return Uint8Array.of(position)
        },
        isRecent: ({ position }) => memory.has(position),
        recent: ({ position }) => memory.get(position),
        budget,
        onLeft: () => {
          left += 1
        },
      })
      return { ahead, begun, left: () => left }
    })
  }

  it('share one budget, which goes to the first commits', () => {
    const [first, second, third] = commits(new ReadBudget(4), 3, 3, 3)
    expect([first!.ahead.fill(), second!.ahead.fill(), third!.ahead.fill()]).toEqual([true, false, false])
    expect([first!.begun, second!.begun, third!.begun]).toEqual([[0, 1, 2], [0], []])
    expect(first!.ahead.take()!.entry.position).toBe(0)
    expect([first!.ahead.fill(), second!.ahead.fill(), third!.ahead.fill()]).toEqual([true, false, false])
    expect(second!.begun).toEqual([0, 1])
  })

  it('of a commit that is left give their places back, once', () => {
    const budget = new ReadBudget(4)
    const [first, second] = commits(budget, 4, 6)
    first!.ahead.fill()
    first!.ahead.take()
    first!.ahead.leave()
    first!.ahead.leave()
    expect([first!.left(), first!.ahead.take()]).toEqual([1, undefined])
    second!.ahead.fill()
    expect(second!.begun).toHaveLength(4)
  })

  it('are not read where they are in memory, unless they are gone when their turn comes', async () => {
    const memory = new Map([0, 1].map((position) => [position, Uint8Array.of(100 + position)]))
    const [commit] = commitsBeside(memory, new ReadBudget(4), [3])
    commit!.ahead.fill()
    expect(commit!.begun).toEqual([2])
    memory.delete(1)
    const taken: number[] = []
    for (let next = commit!.ahead.take(); next !== undefined; next = commit!.ahead.take())
      taken.push((await next.bytes())[0]!)
    expect(taken).toEqual([100, 1, 2])
    expect(commit!.begun).toEqual([2, 1])
  })

  it('go on one by one where others have the whole budget', async () => {
    const budget = new ReadBudget(2)
    const [first, second] = commits(budget, 3, 5)
    second!.ahead.fill()
    expect(first!.ahead.fill()).toBe(false)
    const taken: number[] = []
    for (let next = first!.ahead.take(); next !== undefined; next = first!.ahead.take())
      taken.push((await next.bytes())[0]!)
    expect(taken).toEqual([0, 1, 2])
    // They had no place, and give none back.
    second!.ahead.leave()
    expect([budget.tryTake(), budget.tryTake(), budget.tryTake()]).toEqual([true, true, false])
  })
})

describe('a record that breaks off', () => {
  it('is told to who reads so far, and to nobody who only reads ahead', async () => {
    function* entries(): Generator<LoggedBatch> {
      yield { position: 0 } as LoggedBatch
      throw new Error('the record')
    }
    const budget = new ReadBudget(4)
    const bytesOf = async (): Promise<Uint8Array> => new Uint8Array(1)
    const ahead = new BatchesAhead({
      entries: entries(),
      bytesOf,
      isRecent: () => false,
      recent: () => undefined,
      budget,
      onLeft: () => {},
    })
    expect(ahead.fill()).toBe(true)
    expect(ahead.take()!.entry.position).toBe(0)
    expect(() => ahead.take()).toThrow('the record')
    expect(() => ahead.take()).toThrow('the record')
    ahead.leave()
    expect([1, 2, 3, 4, 5].map(() => budget.tryTake())).toEqual([true, true, true, true, false])
  })
})

describe('what ends a reader', () => {
  it('has one listener at each signal for all that wait, and none when nothing does', () => {
    const [one, two] = [new AbortController(), new AbortController()]
    const endings = new Endings([one.signal, two.signal])
    const waiting = Array.from({ length: 20 }, () => endings.join())
    expect([one, two].map(({ signal }) => getEventListeners(signal, 'abort').length)).toEqual([1, 1])
    two.abort('because')
    expect(waiting.every(({ signal }) => signal.reason === 'because')).toBe(true)
    expect(() => endings.throwIfAborted()).toThrow('because')
    expect(endings.join().signal.reason).toBe('because')
    for (const { dispose } of waiting) dispose()
  })

  it('lets go of the signals with the last that waits', () => {
    const { signal } = new AbortController()
    const endings = new Endings([signal])
    const [first, second] = [endings.join(), endings.join()]
    first.dispose()
    first.dispose()
    expect([first.signal.aborted, second.signal.aborted, getEventListeners(signal, 'abort').length]).toEqual([
      true,
      false,
      1,
    ])
    second.dispose()
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})
