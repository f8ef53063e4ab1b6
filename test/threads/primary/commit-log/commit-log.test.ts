import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CommitLogHead } from '../../../../src/shared/memory/commit-log-head.js'
import { checkStore } from '../../../../src/shared/store/check-store.js'
import { CommitLogReader } from '../../../../src/shared/store/primary/commit-log-reader.js'
import { followBatches, followCommits, type LogCursor } from '../../../../src/shared/store/primary/follow-commits.js'
import { openPrimaryDatabases, PrimaryKeys } from '../../../../src/shared/store/primary/format.js'
import { COMMIT_PART_ENTRIES } from '../../../../src/shared/store/primary/limits.js'
import { decodeCommitRecord } from '../../../../src/shared/wire/primary/commit-record.js'
import { dataFile, writeAt } from '../../../support/damaged-stores.js'
import {
  certificateOf,
  expectedOf,
  fillLog,
  openPrimaryStore,
  readLog,
  shown,
  turnOf,
  written,
} from '../../../support/primary-stores.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { AUTHORITIES, batchOf } from '../../../support/threads/commit-pattern.mjs'
import { until } from '../../../support/until.js'

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n)

function withReader<T>(directory: string, use: (reader: CommitLogReader) => T): T {
  const reader = new CommitLogReader(directory)
  try {
    return use(reader)
  } finally {
    reader.close()
  }
}

function damageOf(directory: string): string[] {
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (name, why) => damaged.push(`${name}: ${why}`), onProgress: () => {} })
  return damaged
}

describe('the log', () => {
  test('is read as it was written, from any place, and is whole', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 250)
    expect(readLog(directory)).toEqual(range(1, 250).map((index) => expectedOf(index)))
    for (const after of [1, 63, 64, 65, 249]) {
      expect(readLog(directory, after)).toEqual(range(after + 1, 250).map((index) => expectedOf(index)))
    }
    expect(readLog(directory, 250)).toEqual([])
    expect(readLog(directory, 999)).toEqual([])
    expect(damageOf(directory)).toEqual([])
  })

  test('is a chain: each record has the digest of the one before', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 100)
    withReader(directory, (reader) => {
      let last = new Uint8Array(32)
      for (const commit of reader.commits(0)) {
        expect(commit.previous).toEqual(last)
        last = new Uint8Array(commit.digest())
      }
    })
  })

  test('of no commits is empty, and its reader waits', async () => {
    const directory = temporaryDirectory()
    await (await openPrimaryStore(directory)).close()
    expect(readLog(directory)).toEqual([])
    withReader(directory, (reader) => expect(reader.bounds()).toEqual({ oldest: 1, last: 0 }))
  })

  test('goes on over restarts, with one record for each index', async () => {
    const directory = temporaryDirectory()
    for (const last of [1, 2, 70, 71]) await fillLog(directory, last)
    expect(readLog(directory)).toEqual(range(1, 71).map((index) => expectedOf(index)))
  })

  test.each([
    COMMIT_PART_ENTRIES - 2,
    COMMIT_PART_ENTRIES - 1,
    COMMIT_PART_ENTRIES,
    5 * COMMIT_PART_ENTRIES + 17,
    70 * COMMIT_PART_ENTRIES,
  ])('has a commit of %i batches, read part by part', async (count) => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory)
    await written(store, ...turnOf(1, 2), ...turnOf(3, 3, count), ...turnOf(4, 5))
    await store.close()
    const [three, four] = readLog(directory, 2)
    const batches = range(0, count - 1).map((position) => batchOf(3, position))
    expect(three!.split('\n').slice(4)).toEqual(
      batches.map(({ author, digest, sequence, worker }) => {
        return `${author}.${worker}.${sequence} ${Buffer.from(digest).toString('hex')}`
      }),
    )
    expect(four!.split('\n').slice(0, 3)).toEqual(['4', '1004', String(1 + 2 + count)])
    withReader(directory, (reader) => {
      const [commit] = [...reader.commits(2)]
      const middle = Math.floor(count / 2)
      expect([...commit!.batches(middle)].map(({ position }) => position)).toEqual(range(middle, count - 1))
      expect([...commit!.batches(count)]).toEqual([])
    })
    expect(damageOf(directory)).toEqual([])
  })

  test('is written in one form: the parts of a record are the record', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 4)
    const { commits, root } = openPrimaryDatabases(directory)
    const value = commits.getBinary(new PrimaryKeys(0).commit(4))!
    const record = decodeCommitRecord(value, AUTHORITIES)
    expect(record).toMatchObject({ index: 4, firstBatch: 6, timestamp: 1004 })
    expect(record.certificates).toEqual([{ id: certificateOf(4).digest, round: 4, author: 0 }])
    expect(record.batches).toEqual(range(0, 3).map((position) => batchOf(4, position)))
    await root.close()
  })
})

describe('retention', () => {
  test('keeps so many commits, and a reader behind them is told the oldest', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 500, { retentionCommits: 100 })
    const { last, oldest } = withReader(directory, (reader) => reader.bounds())
    expect([last, oldest]).toEqual([500, 401])
    expect(readLog(directory, 400)).toEqual(range(401, 500).map((index) => expectedOf(index)))
    for (const after of [0, 399]) {
      expect(() => readLog(directory, after)).toThrow(
        expect.objectContaining({ code: 'ERR_COMMITS_PRUNED', oldest: 401 }),
      )
    }
    expect(damageOf(directory)).toEqual([])
  })

  test('keeps so many bytes, and always the last commit', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 300, { retentionBytes: 20_000 })
    const { last, oldest } = withReader(directory, (reader) => reader.bounds())
    expect(last).toBe(300)
    expect(last - oldest).toBeGreaterThan(50)
    expect(last - oldest).toBeLessThan(150)
    await fillLog(directory, 301, { retentionBytes: 1 })
    await fillLog(directory, 302, { retentionBytes: 1 })
    expect(readLog(directory, 301)).toHaveLength(1)
    expect(damageOf(directory)).toEqual([])
  })

  test('goes on where it stopped in the middle of a large commit, and a reader in that commit is told', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory, { retentionCommits: 2 })
    await written(store, ...turnOf(1, 1, 250 * COMMIT_PART_ENTRIES))
    const reader = new CommitLogReader(directory)
    const batches = [...reader.commits(0)][0]!.batches()
    batches.next()
    await written(store, ...turnOf(2, 3))
    expect(reader.bounds()).toEqual({ oldest: 2, last: 3 })
    expect(() => [...batches]).toThrow(expect.objectContaining({ code: 'ERR_COMMITS_PRUNED', oldest: 2 }))
    reader.close()
    await store.close()
    expect(damageOf(directory)).toEqual([])
    const again = await openPrimaryStore(directory, { retentionCommits: 2 })
    for (let n = 0; n < 10; n += 1) await written(again, { type: 'collected', gcRound: n })
    await again.close()
    const { commits, root } = openPrimaryDatabases(directory)
    expect([...commits.getKeys({})]).toHaveLength(2)
    await root.close()
  })
})

describe('what is damaged in the log', () => {
  /** Changes the first byte of what lies in a record, behind its head. */
  function damageRecord(directory: string, index: number): void {
    const at = readFileSync(dataFile(directory)).indexOf(batchOf(index, 0).digest)
    expect(at).toBeGreaterThan(0)
    writeAt(directory, at, new Uint8Array([batchOf(index, 0).digest[0]! ^ 1]))
  }

  test('is never handed out, and is named by `check`', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 200)
    damageRecord(directory, 102)
    const found: number[] = []
    withReader(directory, (reader) => {
      const read = (): void => {
        for (const { index } of reader.commits(90)) found.push(index)
      }
      expect(read).toThrow(
        expect.objectContaining({ code: 'ERR_STORE_DAMAGED', message: expect.stringMatching(/102/) }),
      )
    })
    expect(found).toEqual(range(91, 101))
    expect(damageOf(directory)).toEqual([expect.stringMatching(/^\(commit 102\): .*another/)])
  })

  test('is found in the last record, which has no successor', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 103)
    damageRecord(directory, 103)
    expect(() => readLog(directory, 102)).toThrow(expect.objectContaining({ code: 'ERR_STORE_DAMAGED' }))
  })

  test('is a record that is not there, and a certificate that is not there', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 200)
    const { certificates, commits, root } = openPrimaryDatabases(directory)
    const keys = new PrimaryKeys(0)
    await commits.remove(keys.commit(150))
    await certificates.remove(keys.certificate(170, 170 % AUTHORITIES))
    await root.close()
    expect(() => readLog(directory, 148)).toThrow(expect.objectContaining({ code: 'ERR_STORE_DAMAGED' }))
    const damaged = damageOf(directory)
    expect(damaged).toContainEqual(expect.stringMatching(/^\(commit 150\): .*150 is not there/))
    expect(damaged).toContainEqual(
      expect.stringMatching(/^\(commit 170\): its certificate of authority 2 in round 170/),
    )
    expect(damaged).toContainEqual(expect.stringMatching(/^\(digests [0-9a-f]+\): it names a certificate that is not/))
  })

  test('is a log that ends elsewhere than consensus stands', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 20)
    const { root, state } = openPrimaryDatabases(directory)
    await state.put(new PrimaryKeys(0).state('position'), Buffer.from('{"index":19}'))
    await root.close()
    expect(damageOf(directory)).toEqual([expect.stringMatching(/ends with commit 20, consensus with 19/)])
  })
})

describe('a reader that follows', () => {
  test('another process looks by itself: it misses nothing, repeats nothing, and ends with its signal', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory)
    const found: string[] = []
    const stop = new AbortController()
    const reader = new CommitLogReader(directory)
    const following = (async () => {
      for await (const commit of followCommits(reader, 0, { signal: stop.signal })) found.push(shown(commit))
    })()
    for (let index = 1; index <= 60; index += 3) await written(store, ...turnOf(index, index + 2))
    await until('all is read', () => found.length === 60)
    expect(found).toEqual(range(1, 60).map((index) => expectedOf(index)))
    stop.abort()
    await following
    reader.close()
    await store.close()
  })

  test('in the process of the node is told, and does not look by itself', async () => {
    const directory = temporaryDirectory()
    const buffer = new SharedArrayBuffer(4)
    const [ofWriter, ofReader] = [new CommitLogHead(buffer), new CommitLogHead(buffer)]
    const store = await openPrimaryStore(directory, {}, { onCommits: (index) => ofWriter.advance(index) })
    const found: number[] = []
    const stop = new AbortController()
    const reader = new CommitLogReader(directory)
    let looks = 0
    const read = reader.commits.bind(reader)
    reader.commits = (after) => {
      looks += 1
      return read(after)
    }
    const following = (async () => {
      for await (const { index } of followCommits(reader, 0, { head: ofReader, signal: stop.signal })) found.push(index)
    })()
    await written(store, ...turnOf(1, 3))
    await until('all is read', () => found.length === 3)
    const before = looks
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(looks).toBe(before)
    await written(store, ...turnOf(4, 4))
    await until('all is read', () => found.length === 4)
    stop.abort()
    await following
    reader.close()
    await store.close()
  })

  test('goes on from a cursor in the middle of a commit, exclusive', async () => {
    const directory = temporaryDirectory()
    await fillLog(directory, 14)
    const all: [number, number][] = range(1, 14).flatMap((index) =>
      range(0, (index % 5) - 1).map((position): [number, number] => [index, position]),
    )
    const reader = new CommitLogReader(directory)
    const from = async (after: LogCursor): Promise<[number, number][]> => {
      const found: [number, number][] = []
      for await (const { batch, commit, cursor } of followBatches(reader, after, { follow: false })) {
        expect(cursor).toEqual({ commit: commit.index, position: batch.position })
        expect(batch).toMatchObject(batchOf(commit.index, batch.position))
        found.push([cursor.commit, cursor.position])
      }
      return found
    }
    expect(await from({ commit: 0, position: -1 })).toEqual(all)
    for (const [at, [commit, position]] of all.entries()) {
      expect(await from({ commit, position })).toEqual(all.slice(at + 1))
    }
    expect(await from({ commit: 9, position: Number.POSITIVE_INFINITY })).toEqual(all.filter(([index]) => index > 9))
    expect(await from({ commit: 9, position: -1 })).toEqual(all.filter(([index]) => index >= 9))
    reader.close()
  })

  test('holds no pages of a node that writes', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory, { retentionCommits: 50, certificateRoundsKept: 10 })
    await written(store, ...turnOf(1, 100))
    const reader = new CommitLogReader(directory)
    const commits = reader.commits(60)
    const first = commits.next().value!
    for (let index = 101; index < 3_000; index += 10) await written(store, ...turnOf(index, index + 9))
    // Fifty commits and their certificates, not three thousand.
    expect(readFileSync(dataFile(directory)).length).toBeLessThan(3_000_000)
    expect(shown(first)).toBe(expectedOf(61))
    reader.close()
    await store.close()
  })
})
