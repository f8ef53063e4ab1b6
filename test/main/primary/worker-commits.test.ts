/** What a worker is told of its primary's log, whatever it knows already, and however it is stopped. */
import { expect, onTestFinished, test } from 'vitest'
import { COMMITS_APPLIED_BATCHES } from '../../../src/main/primary/limits.js'
import { WorkerCommits } from '../../../src/main/primary/worker-commits.js'
import type { CommitPlace } from '../../../src/main/worker/primary-link/ordering-primary.js'
import { CommitLogHead } from '../../../src/shared/memory/commit-log-head.js'
import { fillLog, openPrimaryStore, turnOf, written } from '../../support/primary-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { batchOf } from '../../support/threads/commit-pattern.mjs'
import { until } from '../../support/until.js'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
/** Of the commits behind `after`, up to `last`. */
const batchesOf = (after: number, last: number): string[] =>
  Array.from({ length: last - after }, (_, n) => after + 1 + n).flatMap((index) =>
    Array.from({ length: index % 5 }, (_, position) => hex(batchOf(index, position).digest)),
  )

/** A worker that remembers what it is told; `knows` is what survives it. */
class Told {
  readonly digests: string[] = []
  /** The commits up to which all is applied; `undefined` for a part of one. */
  readonly writes: (number | undefined)[] = []
  readonly problems: unknown[] = []
  gaps = 0
  commits = 0

  constructor(
    readonly applied = 0,
    readonly isSettled = false,
  ) {}

  async committed(digests: readonly Uint8Array[], place: CommitPlace): Promise<void> {
    this.digests.push(...digests.map(hex))
    this.writes.push('applied' in place ? place.applied : undefined)
  }

  onCommits(): void {
    this.commits += 1
  }

  onGap(): void {
    this.gaps += 1
  }
}

function follow(directory: string, worker: Told, workerId = 0) {
  const head = new CommitLogHead(new SharedArrayBuffer(4))
  const commits = new WorkerCommits({ directory, workerId }, { head, worker })
  commits.run().catch((error) => worker.problems.push(error))
  onTestFinished(() => commits.close())
  return { commits, head }
}

test.each([0, 1, 63, 64, 200, 249, 250, 400])('of a log of 250 it is told what is behind commit %i', async (after) => {
  const directory = temporaryDirectory()
  await fillLog(directory, 250)
  const worker = new Told(after)
  const { commits } = follow(directory, worker)
  await commits.replayed
  expect(worker.digests).toEqual(after < 250 ? batchesOf(after, 250) : [])
  expect(worker.writes.at(-1)).toBe(after < 250 ? 250 : undefined)
  expect(worker.gaps).toBe(0)
})

test('a store that has nothing uncommitted is told where the log is, and of nothing that is in it', async () => {
  const directory = temporaryDirectory()
  await fillLog(directory, 250)
  for (const after of [0, 7, 250, 300]) {
    const worker = new Told(after, true)
    await follow(directory, worker).commits.replayed
    expect([worker.digests, worker.writes, worker.gaps]).toEqual([[], after < 250 ? [250] : [], 0])
  }
})

test('what comes later it is told as well, and only of its own id', async () => {
  const directory = temporaryDirectory()
  await fillLog(directory, 3)
  const [worker, other] = [new Told(), new Told()]
  const { commits, head } = follow(directory, worker)
  const { commits: others } = follow(directory, other, 1)
  await Promise.all([commits.replayed, others.replayed])
  const store = await openPrimaryStore(directory)
  await written(store, ...turnOf(4, 9))
  head.advance(9)
  await until('the new ones are applied', () => worker.writes.at(-1) === 9)
  expect(worker.digests).toEqual(batchesOf(0, 9))
  expect([other.digests, other.writes]).toEqual([[], [3]])
  await store.close()
})

test('a commit that is too large for a write goes in parts, and its index with the last', async () => {
  const directory = temporaryDirectory()
  const store = await openPrimaryStore(directory)
  const count = 3 * COMMITS_APPLIED_BATCHES + 5
  await written(store, ...turnOf(1, 1, count))
  await store.close()
  const worker = new Told()
  await follow(directory, worker).commits.replayed
  expect(worker.digests).toHaveLength(count)
  expect(worker.writes).toEqual([undefined, undefined, undefined, 1])
})

test('commits that the log does not have any more are a gap: the worker tells again what it has', async () => {
  const directory = temporaryDirectory()
  await fillLog(directory, 500, { retentionCommits: 20 })
  const worker = new Told(3)
  await follow(directory, worker).commits.replayed
  expect(worker.gaps).toBe(1)
  const [first, last] = [worker.writes[0]!, worker.writes.at(-1)]
  expect(first).toBeGreaterThan(3)
  expect(last).toBe(500)
  expect(worker.digests).toEqual(batchesOf(first, 500))
})

test('is over when it is closed, whatever there is to read, and at once if nothing is', async () => {
  const directory = temporaryDirectory()
  await fillLog(directory, 50)
  const worker = new Told(50)
  const { commits } = follow(directory, worker)
  await commits.replayed
  await commits.close()
  const closing = new Told()
  const other = follow(directory, closing)
  await other.commits.close()
  await other.commits.replayed
  expect(closing.problems).toEqual([])
  // Whatever it was told is whole: no index without the batches before it.
  expect(closing.digests.length).toBeGreaterThanOrEqual(batchesOf(0, closing.writes.at(-1) ?? 0).length)
})
