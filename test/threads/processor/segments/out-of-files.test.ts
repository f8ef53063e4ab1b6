/** A process that may open no more files: batches are served, wait or are refused, and nothing that was said is untrue. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FLUSH_FAILURE_FILE } from '../../../../src/shared/store/flush-failure.js'
import { OPEN_RETRY_MS, SEGMENT_BYTES } from '../../../../src/shared/store/segments/limits.js'
import { openStoreReader } from '../../../../src/shared/store/store-reader.js'
import { openSegmentDisk, type SegmentDisk } from '../../../../src/threads/processor/segments/segment-disk.js'
import { Store } from '../../../../src/threads/processor/store.js'
import { openStore } from '../../../support/damaged-stores.js'
import { inPages } from '../../../support/pages.js'
import { storeEvents } from '../../../support/store-events.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { AUTHORITIES, OWN_INDEX, OWN_KEY, WORKER_ID } from '../../../support/threads/processor-under-test.js'
import { digestOf, encodeBatch } from '../../../support/threads/stored-batch.mjs'
import { until } from '../../../support/until.js'

const PROCESS = fileURLToPath(new URL('../../../support/threads/out-of-files.mjs', import.meta.url))
const PEER_KEY = AUTHORITIES[OWN_INDEX + 1]!
const BATCH_BYTES_MAX = 8 * 1024 * 1024
/** With the first, which is small, more than a segment holds. */
const OWN_BATCHES = 10

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

function put(
  store: Store,
  sequence: number,
  length: number,
  author = PEER_KEY,
): { digest: Uint8Array; put: Promise<void> } {
  const bytes = encodeBatch(sequence, length, WORKER_ID)
  const digest = digestOf(bytes, author)
  return { digest, put: store.put(digest, author, inPages([bytes])[0]!) }
}

it.runIf(process.platform === 'linux')(
  'with a low ulimit and all descriptors taken: the processor serves, refuses, keeps and goes on, and loses nothing',
  async () => {
    const directory = temporaryDirectory()
    const stored: object[] = []
    // Each in a segment of its own, and so few that none is moved.
    for (const sequence of [11, 12]) {
      const store = openStore(directory)
      await store.open()
      const { digest, put: done } = put(store, sequence, 40_000)
      await done
      await store.close()
      stored.push({ digest: hex(digest), author: hex(PEER_KEY), sequence, bytes: 40_000 })
    }
    const options = {
      directory,
      authorities: AUTHORITIES.map(hex),
      ownIndex: OWN_INDEX,
      workerId: WORKER_ID,
      stored,
      ownBatches: OWN_BATCHES,
      batchBytesMax: BATCH_BYTES_MAX,
    }
    const { signal, status, stderr, stdout } = spawnSync(
      '/bin/sh',
      ['-c', 'ulimit -n 128 && exec "$0" "$@"', process.execPath, PROCESS, JSON.stringify(options)],
      { encoding: 'utf8', timeout: 60_000 },
    )
    const said = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
    expect([status, signal, stderr], stdout).toEqual([0, null, ''])
    const refused = { status: 'store-full', again: false }
    expect(said.slice(0, -1)).toEqual([
      { taken: true },
      ...stored.map(() => ({ read: true })),
      { found: stored.length },
      { fresh: refused },
      { small: refused },
      { again: { status: 'ok', again: true } },
      { own: 0 },
      { fresh: { status: 'ok', again: false } },
      { logged: 2 },
      { taken: true },
    ])
    const { all } = said.at(-1)
    expect(all).toHaveLength(OWN_BATCHES)
    const reader = openStoreReader(directory)
    for (const digest of all) expect(reader.get(Buffer.from(digest, 'hex'))).toMatchObject({ isWhole: true })
    reader.close()
    expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(false)
  },
)

describe('no descriptor for another segment', () => {
  /** A disk whose files cannot be opened for writing while `code` is set. */
  function poorDisk(directory: string): { disk: SegmentDisk; deny: (code: string | undefined) => void } {
    mkdirSync(join(directory, 'segments'))
    const disk = openSegmentDisk(join(directory, 'segments'))
    let denied: string | undefined
    return {
      disk: {
        ...disk,
        open(path) {
          if (denied !== undefined) throw Object.assign(new Error(`${denied}: open`), { code: denied })
          return disk.open(path)
        },
      },
      deny: (code) => {
        denied = code
      },
    }
  }

  async function open(directory: string, disk: SegmentDisk) {
    const starved: boolean[] = []
    const fatal: string[] = []
    const store = new Store(
      { directory, authority: OWN_KEY, workerId: WORKER_ID, level: 'stored', retentionRounds: 0 },
      storeEvents({
        onFatal: (error) => fatal.push(error.message),
        onStarved: (isStarved) => starved.push(isStarved),
      }),
      disk,
    )
    await store.open()
    return { store, starved, fatal }
  }

  it.each(['EMFILE', 'ENFILE'])('(%s) is waited for, and batches keep their order', async (code) => {
    const directory = temporaryDirectory()
    const { deny, disk } = poorDisk(directory)
    const { fatal, starved, store } = await open(directory, disk)
    deny(code)
    const order: number[] = []
    const puts = [40_000, 3_000, 50_000].map((length, n) => {
      const { digest, put: done } = put(store, n, length)
      return { digest, done: done.then(() => order.push(n)) }
    })
    await until('it is said', () => starved.length > 0)
    expect([store.isStarved, starved]).toEqual([true, [true]])
    await sleep(300)
    expect(order).toEqual([])
    deny(undefined)
    await Promise.all(puts.map(({ done }) => done))
    expect(order).toEqual([0, 1, 2])
    expect([store.isStarved, starved, fatal]).toEqual([false, [true, false], []])
    for (const { digest } of puts) expect(store.get(digest)).toBeDefined()
    await store.close()
  })

  it('is waited for when the node closes too, and for some seconds only: then the node ends, and says what it lacks', async () => {
    const directory = temporaryDirectory()
    const { deny, disk } = poorDisk(directory)
    const { fatal, store } = await open(directory, disk)
    deny('EMFILE')
    let stored = 0
    const { put: first } = put(store, 1, 40_000)
    void first.then(() => (stored += 1))
    await until('it waits', () => store.isStarved)
    store.stop()
    await sleep(3 * OPEN_RETRY_MS)
    expect(fatal).toEqual([])
    deny(undefined)
    await until('there is one in time', () => stored === 1)
    deny('EMFILE')
    for (let n = 2; n * BATCH_BYTES_MAX < 1.25 * SEGMENT_BYTES; n += 1) void put(store, n, BATCH_BYTES_MAX - 100).put
    await until('the node ends', () => fatal.length > 0)
    expect(fatal[0]).toContain('it may open too few files; raise its limit')
    expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(false)
  })

  it('is no reason to wait where something else is wrong', async () => {
    const directory = temporaryDirectory()
    const { deny, disk } = poorDisk(directory)
    const { fatal, store } = await open(directory, disk)
    deny('EACCES')
    void put(store, 1, 40_000).put
    await until('the node is told', () => fatal.length > 0)
    expect(fatal).toEqual([expect.stringContaining('EACCES')])
  })
})
