/** What is ordered gets here, and what is certified gets into the order, whoever is dead and whichever store is new. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { committeeFileOf } from '../../../src/shared/config/committee-file.js'
import { primaryDirectory } from '../../../src/shared/store/authority-directories.js'
import { decodeIndexEntry, UNCOMMITTED } from '../../../src/shared/store/format.js'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { StoreFile } from '../../../src/shared/store/store-snapshot.js'
import { newMembers, read, start } from '../../support/authority-under-test.js'
import { numberOf, transactionOf } from '../../support/transactions.js'
import { until, within } from '../../support/until.js'

const numbers = (transactions: Iterable<Uint8Array>): number[] => Array.from(transactions, numberOf)
const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b)

const PROCESS = fileURLToPath(new URL('../../support/threads/authority-process.mjs', import.meta.url))
const KILLS = 6
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

interface WorkerStore {
  /** The last commit that it knows of. */
  readonly applied: number
  /** The stamps of its batches; `undefined` of those that no commit has. */
  readonly batches: ReadonlyMap<string, number | undefined>
}

/** The store of a member's worker, as it is on the disk. */
function workerStoreIn(store: string): WorkerStore {
  const file = new StoreFile(join(store, readdirSync(store).find((name) => name.startsWith('worker'))!))
  try {
    return file.read((snapshot) => {
      const entries = snapshot.entries('index', 100_000, {})
      const batches = entries.map((entry): [string, number | undefined] => {
        const { stamp } = decodeIndexEntry(snapshot.valueOf(entry))
        return [hex(entry.key), stamp === UNCOMMITTED ? undefined : Number(stamp)]
      })
      const applied = snapshot.get('meta', Buffer.from('applied-commit'))
      return { applied: Number(applied?.readBigUInt64BE() ?? 0n), batches: new Map(batches) }
    })
  } finally {
    file.close()
  }
}

/** By batch, the commits that have it. */
function logIn(store: string): Map<string, number[]> {
  const reader = new CommitLogReader(primaryDirectory(store))
  const commits = new Map<string, number[]>()
  try {
    for (const commit of reader.commits(0)) {
      for (const { digest } of commit.batches()) {
        commits.set(hex(digest), [...(commits.get(hex(digest)) ?? []), commit.index])
      }
    }
    return commits
  } finally {
    reader.close()
  }
}

test('batches whose author is dead for good come from others, to one that was not there when they were made', async () => {
  const members = await newMembers(4)
  const [author, ...others] = await Promise.all(members.slice(0, 3).map((member) => start(member)))
  for (let number = 0; number < 20; number += 1) {
    await author!.submit(transactionOf(number, 2_000))
    if (number % 5 === 4) await read(author!, number + 1)
  }
  for (const other of others) expect((await read(other, 20)).transactions).toHaveLength(20)
  await author!.close()
  const late = await start(members[3]!)
  const { transactions } = await within('it has all that was ordered', read(late, 20))
  expect(sorted(numbers(transactions))).toEqual(Array.from({ length: 20 }, (_, number) => number))
  await until('it knows that all it has is committed', () => {
    const { batches } = workerStoreIn(members[3]!.store)
    return batches.size > 0 && [...batches.values()].every((stamp) => stamp !== undefined)
  })
  // The three that are left go on.
  await late.submit(transactionOf(20, 100))
  expect((await within('it is ordered', read(others[0]!, 21))).transactions).toHaveLength(21)
})

test('kill -9 of an authority leaves two stores that agree, and all that is stored gets into the order, once', async () => {
  const [member] = await newMembers(1)
  const { committee, keys, store } = member!
  const begin = async (from?: number) => {
    const options = { committee: committeeFileOf(committee), seed: hex(keys.seed), store, from }
    const child = spawn(process.execPath, [PROCESS, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    await until('it has started', () => text.startsWith('started'))
    const kill = async (): Promise<void> => {
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      expect((await closed)[1]).toBe('SIGKILL')
    }
    return { kill, submitted: () => Number(/(\d+)\n$/.exec(text)?.[1] ?? 0) }
  }
  let from = 1
  let uncommitted = 0
  for (let kill = 0; kill < KILLS; kill += 1) {
    const run = await begin(from)
    await until('some are submitted', () => run.submitted() >= from + 20)
    await sleep(Math.random() * 400)
    from = run.submitted() + 1_000
    await run.kill()
    const [{ applied, batches }, log] = [workerStoreIn(store), logIn(store)]
    for (const [digest, stamp] of batches) {
      const commit = log.get(digest)?.[0]
      // What the worker takes for committed is in the log; what is in the log up to where it has read, it takes for that.
      if (stamp !== undefined) expect(commit).toBeDefined()
      if (commit !== undefined && commit <= applied) expect(stamp).toBeDefined()
    }
    uncommitted += [...batches.values()].filter((stamp) => stamp === undefined).length
  }
  expect(uncommitted).toBeGreaterThan(0)
  const last = await begin()
  await until('all that is stored is in the order', () => {
    return [...workerStoreIn(store).batches.values()].every((stamp) => stamp !== undefined)
  })
  await last.kill()
  const [{ batches }, log] = [workerStoreIn(store), logIn(store)]
  expect([...batches.keys()].filter((digest) => log.get(digest)?.length !== 1)).toEqual([])
  expect([...log.keys()].filter((digest) => !batches.has(digest))).toEqual([])
}, 120_000)
