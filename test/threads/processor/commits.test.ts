/** What the store keeps until the primary says that it is committed, and what kill -9 leaves of that. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { checkStore } from '../../../src/shared/store/check-store.js'
import { Store } from '../../../src/threads/processor/store.js'
import { inPages } from '../../support/pages.js'
import { seeded } from '../../support/random.js'
import { storeEvents } from '../../support/store-events.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { OWN_KEY, WORKER_ID } from '../../support/threads/processor-under-test.js'
import { digestOf, encodeBatch } from '../../support/threads/stored-batch.mjs'
import { until } from '../../support/until.js'

const WRITER = fileURLToPath(new URL('../../support/threads/commit-marks.mjs', import.meta.url))
const OTHER_KEY = new Uint8Array(32).fill(99)
const RETENTION = 4
const KILLS = 6

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

async function opened(directory: string, retention: { rounds?: number; commits?: number }): Promise<Store> {
  const store = new Store(
    {
      directory,
      authority: OWN_KEY,
      workerId: WORKER_ID,
      level: 'stored',
      retentionRounds: retention.rounds ?? 0,
      retentionCommits: retention.commits,
    },
    storeEvents(),
  )
  await store.open()
  return store
}

async function put(store: Store, sequence: number, { own = false, bytes = 1_000 } = {}): Promise<Uint8Array> {
  const author = own ? OWN_KEY : OTHER_KEY
  const batch = encodeBatch(sequence, bytes, WORKER_ID)
  const digest = digestOf(batch, author)
  const mark = own ? { sequence: BigInt(sequence), transactions: 1, transactionBytes: bytes } : undefined
  await store.put(digest, author, inPages([batch])[0]!, mark)
  return digest
}

/** Of a store's `uncommitted`, which leaves out own batches that were not reported. */
const uncommittedIn = (store: Store): string[] =>
  store.uncommitted(undefined, 1_000).found.map(({ digest }) => hex(digest))

function damageOf(directory: string): string[] {
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (name, why) => damaged.push(`${name}: ${why}`), onProgress: () => {} })
  return damaged
}

describe('a batch', () => {
  test('is kept until it is committed, and then by retention, whoever made it and wherever it lies', async () => {
    const directory = temporaryDirectory()
    const store = await opened(directory, { commits: RETENTION })
    const batches = [
      await put(store, 1),
      await put(store, 2, { own: true }),
      await put(store, 3, { bytes: 100_000 }),
      await put(store, 4, { own: true, bytes: 100_000 }),
    ]
    await store.markReported(batches)
    await store.committed({ digests: [], applied: 1_000n })
    expect([uncommittedIn(store), store.commitState.isSettled]).toEqual([batches.map(hex), false])
    await store.committed({ digests: batches.slice(0, 2), partOf: 1_001n })
    expect([store.stamp, uncommittedIn(store)]).toEqual([1_000n, batches.slice(2).map(hex)])
    await store.committed({ digests: [batches[2]!], applied: 1_001n })
    await store.committed({ digests: [batches[3]!], applied: 1_002n })
    expect(store.commitState).toMatchObject({ applied: 1_002n, isSettled: true })
    await store.committed({ digests: [], applied: 1_002n + BigInt(RETENTION) })
    await until('the first three are deleted', () => batches.slice(0, 3).every((digest) => !store.get(digest)))
    expect(store.get(batches[3]!)).toBeDefined()
    await store.committed({ digests: [], applied: 1_003n + BigInt(RETENTION) })
    await until('nothing is left', () => store.bytes === 0)
    await store.close()
    expect(damageOf(directory)).toEqual([])
  })

  test('has no age under such a primary: neither a Cleanup nor a Synchronize changes that', async () => {
    const store = await opened(temporaryDirectory(), { commits: 1 })
    const digest = await put(store, 1)
    expect(await store.cleanup(500n)).toBe(0)
    expect(await store.touch(digest)).toBe(true)
    await store.committed({ digests: [], applied: 100n })
    expect(uncommittedIn(store)).toEqual([hex(digest)])
    expect(store.stamp).toBe(100n)
    await store.close()
  })

  test('is committed once, by many at a time, and an index never goes back', async () => {
    const directory = temporaryDirectory()
    const store = await opened(directory, { commits: 0 })
    const batches = await Promise.all(Array.from({ length: 20 }, (_, n) => put(store, n + 1, { bytes: 20_000 })))
    await Promise.all([
      ...batches.map((digest) => store.committed({ digests: [digest, ...batches.slice(0, 5), digest] })),
      store.committed({ digests: batches, applied: 9n }),
      ...batches.map((digest) => store.touch(digest)),
      store.committed({ digests: [new Uint8Array(32)], applied: 3n }),
    ])
    expect([uncommittedIn(store), store.stamp]).toEqual([[], 9n])
    await store.close()
    const again = await opened(directory, { commits: 0 })
    expect([again.stamp, uncommittedIn(again)]).toEqual([9n, []])
    await again.close()
    expect(damageOf(directory)).toEqual([])
  })

  test('of a store whose primary says nothing of commits any more is deleted by its age again, and back', async () => {
    const directory = temporaryDirectory()
    const narval = await opened(directory, { commits: 0 })
    const foreign = await put(narval, 1)
    const own = await put(narval, 2, { own: true })
    await narval.markReported([own])
    const id = hex(narval.commitState.storeId)
    await narval.close()
    const reference = await opened(directory, { rounds: 2 })
    expect(uncommittedIn(reference)).toEqual([])
    expect(await reference.cleanup(3n)).toBe(2)
    expect(reference.get(foreign)).toBeUndefined()
    const later = await put(reference, 3)
    await reference.close()
    const again = await opened(directory, { commits: 2 })
    await again.committed({ digests: [], applied: 1n })
    expect([hex(again.commitState.storeId), again.get(later) !== undefined]).toEqual([id, true])
    await again.close()
    expect(damageOf(directory)).toEqual([])
  })
})

interface Run {
  /** By set, what was stored; the last commit that was applied. */
  readonly stored: Map<number, string[]>
  readonly applied: number
}

/** Runs the process until it is about to apply this commit, or a later one, and kills it so many ms after that. */
async function run(directory: string, from: number, commit: number, delayMs: number): Promise<Run> {
  const options = { directory, author: hex(OWN_KEY), workerId: WORKER_ID, retentionCommits: RETENTION, from }
  const child: ChildProcess = spawn(process.execPath, [WRITER, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    const applying = /^applying (\d+)$/m.exec(text.slice(text.lastIndexOf('applying')))?.[1]
    if (Number(applying ?? 0) >= commit) setTimeout(() => child.kill('SIGKILL'), delayMs)
  })
  const [, signal] = (await once(child, 'close')) as [number | null, string | null]
  expect(signal, text).toBe('SIGKILL')
  const stored = new Map<number, string[]>()
  let applied = 0
  for (const line of text.split('\n').slice(0, -1)) {
    const [word, number, digest] = line.split(' ')
    if (word === 'stored') stored.set(Number(number), [...(stored.get(Number(number)) ?? []), digest!])
    else if (word === 'applied') applied = Number(number)
    else if (word === 'applying') continue
    else throw new Error(`the process says ${line}`)
  }
  return { stored, applied }
}

test('kill -9 leaves of each commit its marks and its index, or neither, and nothing uncommitted is gone', async () => {
  const random = seeded(Number(process.env.NARVAL_CRASH_SEED ?? 1))
  const directory = temporaryDirectory()
  const stored = new Map<number, string[]>()
  let from = 1
  for (let kill = 0; kill < KILLS; kill += 1) {
    // A write of the store waits for up to 20 ms for others.
    const ran = await run(directory, from, from + 2 + Math.floor(random() * 20), random() * 60)
    for (const [set, digests] of ran.stored) stored.set(set, digests)
    expect(damageOf(directory)).toEqual([])
    const store = await opened(directory, { commits: RETENTION })
    const applied = Number(store.stamp)
    expect(applied).toBeGreaterThanOrEqual(ran.applied)
    for (const [set, digests] of stored) {
      for (const digest of digests) {
        const entry = store.find(Buffer.from(digest, 'hex'))
        const isUncommitted = entry?.stamp === 2n ** 64n - 1n
        if (set > applied + 1) expect(isUncommitted, `set ${set} of ${applied}`).toBe(true)
        // The set behind the index may have its marks gone: it was handed in as a part of the commit.
        if (set <= applied && set >= from) expect(isUncommitted, `set ${set} of ${applied}`).toBe(false)
        if (set >= applied - RETENTION) expect(entry, `set ${set} of ${applied}, ${digest}`).toBeDefined()
      }
    }
    // The next run begins behind all sets, and has nothing to say of those that this one left. A batch that was stored in
    // the last moment was never said to be.
    const said = [...stored]
      .flatMap(([, digests]) => digests)
      .filter((digest) => store.find(Buffer.from(digest, 'hex')))
    const left = [...new Set([...said, ...uncommittedIn(store)])]
    const last = Math.max(...stored.keys())
    await store.markReported(left.map((digest) => Buffer.from(digest, 'hex')))
    await store.committed({ digests: left.map((digest) => Buffer.from(digest, 'hex')), applied: BigInt(last) })
    expect(uncommittedIn(store)).toEqual([])
    await store.close()
    // Some batches may be there of which it was not said any more: none is stored twice.
    from = last + 3 - (last % 2)
  }
}, 120_000)
