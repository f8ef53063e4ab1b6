/** Which commits of the log the readers of `commits()` are given. */
import { expect, onTestFinished, test } from 'vitest'
import { Commits, type CommitsDependencies, type CommitsOptions } from '../../../src/main/authority/commits.js'
import { CommitLogHead } from '../../../src/shared/memory/commit-log-head.js'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { EMPTY_COMMITS_GIVEN_EVERY } from '../../../src/shared/store/primary/limits.js'
import { openPrimaryStore, turnOf, written } from '../../support/primary-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

/** Two commits with batches, a long rest, and one more. */
async function restingLog(last: number): Promise<Commits> {
  const directory = temporaryDirectory()
  const store = await openPrimaryStore(directory)
  await written(store, ...turnOf(1, 2, 1))
  for (let from = 3; from < last; from += 100) await written(store, ...turnOf(from, Math.min(last - 1, from + 99), 0))
  await written(store, ...turnOf(last, last, 3))
  await store.close()
  const reader = new CommitLogReader(directory)
  onTestFinished(() => reader.close())
  return new Commits({
    batchBytesMax: 1_000,
    reader,
    head: new CommitLogHead(new SharedArrayBuffer(4)),
    onRefused: () => {},
  } as unknown as CommitsDependencies)
}

async function indices(commits: Commits, last: number, options?: CommitsOptions): Promise<number[]> {
  const found: number[] = []
  for await (const { index } of commits.read(options)) {
    found.push(index)
    if (index === last) break
  }
  return found
}

test('commits without batches are left out, but for one in so many, and are there for who wants them', async () => {
  const last = 2 * EMPTY_COMMITS_GIVEN_EVERY + 5
  const commits = await restingLog(last)
  const given = [EMPTY_COMMITS_GIVEN_EVERY, 2 * EMPTY_COMMITS_GIVEN_EVERY]
  expect(await indices(commits, last)).toEqual([1, 2, ...given, last])
  // The same for whoever begins elsewhere.
  expect(await indices(commits, last, { after: 700 })).toEqual([...given, last])
  const all = await indices(commits, last, { empty: true })
  expect(all).toEqual(Array.from({ length: last }, (_, at) => at + 1))
})
