/** What of a store counts in shares, is named, is committed; and how many bytes of what is committed are kept. */
import { describe, expect, test } from 'vitest'
import { storedBytes } from '../../../src/shared/store/stored-bytes.js'
import type { Lifetime } from '../../../src/threads/processor/lifetimes.js'
import { Store } from '../../../src/threads/processor/store.js'
import { inPages } from '../../support/pages.js'
import { storeEvents } from '../../support/store-events.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { OWN_KEY, WORKER_ID } from '../../support/threads/processor-under-test.js'
import { digestOf, encodeBatch } from '../../support/threads/stored-batch.mjs'
import { until } from '../../support/until.js'

const OTHER_KEY = new Uint8Array(32).fill(99)
const BYTES = 20_000
const ONE = storedBytes(encodeBatch(1, BYTES, WORKER_ID).length)

interface Opened {
  readonly store: Store
  /** Batches in each part of their lives. */
  readonly counts: () => string
  /** Told by the store. */
  readonly first: () => bigint
  setMax(batches: number): void
}

async function opened(
  directory: string,
  more: { commits?: number; rounds?: number; max?: number } = {},
): Promise<Opened> {
  const bytes: Record<Lifetime, number> = { unnamed: 0, named: 0, committed: 0 }
  let max = more.max ?? Number.POSITIVE_INFINITY
  let first = -1n
  const store = new Store(
    {
      directory,
      authority: OWN_KEY,
      workerId: WORKER_ID,
      level: 'stored',
      retentionRounds: more.rounds ?? 0,
      retentionCommits: more.rounds === undefined ? (more.commits ?? 0) : undefined,
    },
    storeEvents({
      onBytes: (_, more, lifetime) => {
        bytes[lifetime] += more
        expect(bytes[lifetime]).toBeGreaterThanOrEqual(0)
      },
      committedBytesMax: () => max * ONE,
      onFirstKept: (kept) => {
        first = kept
      },
    }),
  )
  await store.open()
  const counts = (): string => `${bytes.unnamed / ONE} ${bytes.named / ONE} ${bytes.committed / ONE}`
  return {
    store,
    counts,
    first: () => first,
    setMax: (batches) => {
      max = batches
    },
  }
}

function batchOf(sequence: number): { bytes: Uint8Array<ArrayBufferLike>; digest: Uint8Array } {
  const batch = encodeBatch(sequence, BYTES, WORKER_ID)
  return { bytes: inPages([batch])[0]!, digest: digestOf(batch, OTHER_KEY) }
}

async function put(store: Store, sequence: number): Promise<Uint8Array> {
  const { bytes, digest } = batchOf(sequence)
  await store.put(digest, OTHER_KEY, bytes)
  return digest
}

describe('a batch', () => {
  test('counts as unnamed until the primary names it, and no more once a commit has it', async () => {
    const { counts, store } = await opened(temporaryDirectory())
    const batches = [await put(store, 1), await put(store, 2), await put(store, 3)]
    expect(counts()).toBe('3 0 0')
    store.name(batches.slice(0, 2), false)
    store.name(batches.slice(0, 1), false)
    expect(counts()).toBe('1 2 0')
    store.unname([batches[1]!, batches[2]!, new Uint8Array(32)])
    expect(counts()).toBe('2 1 0')
    await store.committed({ digests: [batches[0]!, batches[2]!], applied: 1n })
    expect(counts()).toBe('1 0 2')
    // What is said too late changes nothing.
    store.name(batches, false)
    expect(counts()).toBe('0 1 2')
    store.unname(batches)
    expect(counts()).toBe('1 0 2')
    await store.close()
  })

  test('that is named while its commit is being written is committed all the same', async () => {
    const { counts, store } = await opened(temporaryDirectory())
    const batches = [await put(store, 1), await put(store, 2)]
    store.name(batches.slice(0, 1), false)
    const applied = store.committed({ digests: batches, applied: 1n })
    store.name(batches, false)
    expect(counts()).toBe('0 0 2')
    store.name([], true)
    expect(counts()).toBe('0 0 2')
    await applied
    store.name(batches, true)
    expect(counts()).toBe('0 0 2')
    await store.close()
  })

  test('that is named before it is here, or while it is being stored, counts as named from the first moment on', async () => {
    const { counts, store } = await opened(temporaryDirectory())
    const [early, meanwhile, ordered] = [batchOf(1), batchOf(2), batchOf(3)]
    store.name([early.digest, ordered.digest], true)
    const puts = [early, meanwhile].map(({ bytes, digest }) => store.put(digest, OTHER_KEY, bytes))
    expect(counts()).toBe('1 1 0')
    store.name([meanwhile.digest], false)
    expect(counts()).toBe('0 2 0')
    await Promise.all(puts)
    expect(counts()).toBe('0 2 0')
    // One that is ordered before it is here was a name without a batch.
    await store.committed({ digests: [ordered.digest], applied: 1n })
    await store.put(ordered.digest, OTHER_KEY, ordered.bytes)
    expect(counts()).toBe('1 2 0')
    store.name([early.digest], true)
    expect(counts()).toBe('2 1 0')
    await store.close()
  })

  test('is counted anew at a start, from the index alone: what is named is told again', async () => {
    const directory = temporaryDirectory()
    const first = await opened(directory)
    const batches = [await put(first.store, 1), await put(first.store, 2), await put(first.store, 3)]
    first.store.name(batches.slice(0, 2), false)
    await first.store.committed({ digests: batches.slice(0, 1), applied: 1n })
    expect(first.counts()).toBe('1 1 1')
    await first.store.close()
    const again = await opened(directory)
    expect(again.counts()).toBe('2 0 1')
    again.store.name(batches.slice(1, 2), true)
    expect(again.counts()).toBe('1 1 1')
    await again.store.close()
  })

  test('is unnamed for ever under a primary that names nothing, and so counts until it is deleted', async () => {
    const { counts, store } = await opened(temporaryDirectory(), { rounds: 2 })
    const digest = await put(store, 1)
    store.name([digest], true)
    expect(counts()).toBe('1 0 0')
    await store.cleanup(3n)
    await until('it is deleted', () => counts() === '0 0 0')
    await store.close()
  })
})

describe('committed batches', () => {
  test('go in whole commits, the oldest first, when they take too many bytes; the store says from which one on it has all', async () => {
    const directory = temporaryDirectory()
    const { counts, first, setMax, store } = await opened(directory, { max: 5 })
    const commits = new Map<number, Uint8Array[]>()
    for (let commit = 1; commit <= 4; commit += 1) {
      const batches = [await put(store, 2 * commit), await put(store, 2 * commit + 1)]
      commits.set(commit, batches)
      await store.committed({ digests: batches, applied: BigInt(commit) })
    }
    const has = (commit: number): boolean[] => commits.get(commit)!.map((digest) => store.find(digest) !== undefined)
    await until('two commits are left', () => counts() === '0 0 4')
    expect([first(), has(2), has(3), has(4)]).toEqual([3n, [false, false], [true, true], [true, true]])
    // What others need is taken from them.
    setMax(3)
    await store.letGo()
    await until('one is left', () => counts() === '0 0 2')
    expect([first(), has(3), has(4)]).toEqual([4n, [false, false], [true, true]])
    // The last commit stays, whatever it takes.
    setMax(0)
    await store.letGo()
    expect([first(), has(4)]).toEqual([4n, [true, true]])
    const uncommitted = await put(store, 100)
    await store.committed({ digests: [], applied: 5n })
    await until('it is the last no more', () => counts() === '1 0 0')
    expect([first(), store.find(uncommitted) !== undefined]).toEqual([5n, true])
    await store.close()
  })

  test('go by their number too, whichever is exceeded first', async () => {
    const { counts, first, store } = await opened(temporaryDirectory(), { commits: 2, max: 100 })
    for (let commit = 1; commit <= 5; commit += 1) {
      await store.committed({ digests: [await put(store, commit)], applied: BigInt(commit) })
    }
    await until('three are left', () => counts() === '0 0 3')
    expect(first()).toBe(3n)
    await store.close()
  })

  test('that a run had let go of stay so at the next start, and a smaller limit counts from there', async () => {
    const directory = temporaryDirectory()
    const run = await opened(directory, { max: 3 })
    for (let commit = 1; commit <= 5; commit += 1) {
      await run.store.committed({ digests: [await put(run.store, commit)], applied: BigInt(commit) })
    }
    await until('three are left', () => run.counts() === '0 0 3')
    await run.store.close()
    const again = await opened(directory, { max: 100 })
    expect([again.first(), again.counts()]).toEqual([3n, '0 0 3'])
    await again.store.close()
    const smaller = await opened(directory, { max: 1 })
    await until('one is left', () => smaller.counts() === '0 0 1')
    expect(smaller.first()).toBe(5n)
    await smaller.store.close()
  })
})
