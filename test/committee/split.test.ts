/**
 * An authority in two processes: `run … primary`, and `run … worker --primary narval`. What the worker certifies is ordered,
 * whichever of the two is killed -9, and whichever store is new.
 *
 * Runs in pairs: one authority, with a few batches.
 */
import { spawnSync } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { formatCommittee, localCommittee } from '../../src/shared/config/committee-file.js'
import { generateKeys, writeKeys } from '../../src/shared/config/keys.js'
import { encodeBase64 } from '../../src/shared/crypto/public-key.js'
import { primaryDirectory } from '../../src/shared/store/authority-directories.js'
import { CommitLogReader } from '../../src/shared/store/primary/commit-log-reader.js'
import { StoreFile } from '../../src/shared/store/store-snapshot.js'
import { TestClient } from '../support/client.js'
import { freePorts } from '../support/free-ports.js'
import { NODE, NodeRun } from '../support/node-run.js'
import { readStore } from '../support/stores.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { until } from '../support/until.js'

test('a primary and its worker in two processes order what is certified, through kill -9 of either and new stores', async () => {
  const directory = temporaryDirectory()
  const path = (name: string): string => join(directory, name)
  const keys = generateKeys()
  const portFirst = await freePorts(6)
  writeKeys(path('keys'), keys)
  writeFileSync(path('committee'), formatCommittee(localCommittee([keys.name], 1, portFirst)))
  const argsOf = (store: string, ...part: string[]): string[] => [
    ...['run', '--keys', path('keys'), '--committee', path('committee'), '--store', path(store)],
    ...['--bind', '127.0.0.1', ...part],
  ]
  const fresh = (): void => {
    const args = [...NODE, 'fresh', '--keys', path('keys'), '--store', path('primary')]
    expect(spawnSync(process.execPath, args, { encoding: 'utf8' }).stderr).toBe('')
  }
  const primary = (): NodeRun => new NodeRun([...argsOf('primary'), '--metrics', `:${portFirst + 5}`, 'primary'])
  const worker = (): NodeRun => new NodeRun(argsOf('worker', 'worker', '--id', '0', '--primary', 'narval'))
  const ordered = (): ReadonlySet<string> => {
    const reader = new CommitLogReader(primaryDirectory(path('primary')))
    const digests = [...reader.commits(0)].flatMap((commit) => [...commit.batches()].map(({ digest }) => digest))
    reader.close()
    return new Set(digests.map(encodeBase64))
  }
  const uncommitted = (): number => {
    const file = new StoreFile(path('worker'))
    const entries = file.read((snapshot) => snapshot.entries('uncommitted', 10_000, {}))
    file.close()
    return entries.length
  }
  const send = async (count: number): Promise<void> => {
    const client = await TestClient.connect(portFirst + 3)
    for (let number = 0; number < count; number += 1) {
      await client.send(1, 64)
      await sleep(30)
    }
    await client.end()
  }
  const allOrdered = async (what: string, batches: number, runs: readonly NodeRun[]): Promise<void> => {
    await until(
      () => `all is ordered ${what}, ${uncommitted()} left: ${runs.map(({ log }) => log).join('\n')}`,
      async () => {
        const stored = [...(await readStore(path('worker'))).keys()]
        const digests = ordered()
        return stored.length >= batches && stored.every((digest) => digests.has(digest)) && uncommitted() === 0
      },
      60_000,
    )
  }
  fresh()

  // The worker first: its store is new, so it waits for its primary.
  let second = worker()
  await second.says('The store is new')
  let first = primary()
  await second.says('successfully booted')
  await send(3)
  await allOrdered('as in one process', 1, [first, second])
  const health = await fetch(`http://127.0.0.1:${portFirst + 5}/readyz`)
  expect([health.status, ((await health.json()) as { workers: unknown }).workers]).toEqual([
    200,
    { 0: expect.objectContaining({ connected: true, queued_bytes: 0 }) },
  ])

  // The primary is killed, and back with its store.
  const before = ordered()
  await first.kill()
  await second.says('Lost our primary')
  await send(3)
  first = primary()
  await allOrdered('after the primary was killed', before.size + 1, [first, second])
  for (const digest of before) expect(ordered()).toContain(digest)

  // The worker is killed while it is told of commits; without its primary it starts all the same, and certifies.
  await send(5)
  await second.kill()
  await first.says('Lost our worker 0')
  await first.kill()
  second = worker()
  await second.says('successfully booted')
  await send(2)
  first = primary()
  await allOrdered('after both were killed', before.size + 2, [first, second])

  // The worker's store is new: what the old one held counts no more, and what is made from now on is ordered.
  await second.kill('SIGTERM')
  renameSync(path('worker'), path('lost'))
  second = worker()
  await second.says('successfully booted')
  await send(3)
  await allOrdered('of a new worker store', 1, [first, second])

  // The primary's store is new: it is told of everything that no commit has.
  await first.kill()
  await send(3)
  await until('there is something that no commit has', () => uncommitted() > 0)
  const left = uncommitted()
  renameSync(path('primary'), path('lost-primary'))
  fresh()
  first = primary()
  await first.says('successfully booted')
  await until(
    () => `${left} batches are ordered anew, ${ordered().size} are: ${first.log}`,
    () => ordered().size >= left,
    60_000,
  )
  await first.kill('SIGTERM')
  await second.kill('SIGTERM')
  expect(first.log).toContain('Closed')
  expect(second.log).toContain('Closed')
}, 300_000)

test('of two processes of one worker the first keeps the link, and the other has it when the first stands still', async () => {
  const directory = temporaryDirectory()
  const path = (name: string): string => join(directory, name)
  const keys = generateKeys()
  writeKeys(path('keys'), keys)
  const committee = localCommittee([keys.name], 1, await freePorts(5))
  const apart = localCommittee([keys.name], 1, await freePorts(5))
  // As on another host: the same primary, and ports of its own.
  const { primary, stake } = committee.authorities[keys.name]!
  const { workers } = apart.authorities[keys.name]!
  const other = { authorities: { [keys.name]: { primary, stake, workers } } }
  writeFileSync(path('committee'), formatCommittee(committee))
  writeFileSync(path('other'), formatCommittee(other))
  const start = (file: string, store: string, ...part: string[]): NodeRun =>
    new NodeRun([
      ...['run', '--keys', path('keys'), '--committee', path(file), '--store', path(store)],
      ...['--bind', '127.0.0.1', ...part],
    ])
  for (const store of ['primary', 'twice']) {
    const args = [...NODE, 'fresh', '--keys', path('keys'), '--store', path(store)]
    expect(spawnSync(process.execPath, args, { encoding: 'utf8' }).stderr).toBe('')
  }
  const link = start('committee', 'primary', 'primary')
  const first = start('committee', 'first', 'worker', '--id', '0', '--primary', 'narval')
  await first.says('successfully booted')
  const second = start('other', 'second', 'worker', '--id', '0', '--primary', 'narval')
  await second.says('Our primary refuses this worker: already-linked: another process runs as worker 0')
  expect([link.count('Lost our worker'), first.count('Lost our primary')]).toEqual([0, 0])
  // A second primary on this host says what is wrong, and ends.
  const twice = start('committee', 'twice', 'primary')
  await twice.ended
  expect([twice.child.exitCode, twice.log]).toEqual([1, expect.stringContaining('ERR_ADDRESS_IN_USE')])

  first.child.kill('SIGSTOP')
  await second.says('successfully booted')
  expect(link.count('Lost our worker 0: link-silent')).toBe(1)
  // When it goes on, the other one has the link, and keeps it.
  first.child.kill('SIGCONT')
  await first.says('Our primary refuses this worker: already-linked')
  expect([link.count('Lost our worker'), second.count('Lost our primary')]).toEqual([1, 0])
}, 300_000)
