/** The store with batches in segments: what is flushed when, what is moved, and what the files hold. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { NarvalError } from '../../../../src/shared/errors.js'
import { checkStore } from '../../../../src/shared/store/check-store.js'
import { FLUSH_FAILURE_FILE } from '../../../../src/shared/store/flush-failure.js'
import { FLUSH_DEADLINE_MS } from '../../../../src/shared/store/limits.js'
import {
  SEGMENT_BYTES,
  SEGMENTS_PER_LIVE,
  SEGMENTS_SLACK,
  SEGMENTS_SPARE_MAX,
} from '../../../../src/shared/store/segments/limits.js'
import { openStoreReader } from '../../../../src/shared/store/store-reader.js'
import { encodeBatch } from '../../../../src/shared/wire/batch.js'
import { openSegmentDisk, type SegmentDisk } from '../../../../src/threads/processor/segments/segment-disk.js'
import { Store, type StoreEvents } from '../../../../src/threads/processor/store.js'
import type { StoreWrites } from '../../../../src/threads/processor/store-writes.js'
import { FOREIGN, segmentFiles } from '../../../support/damaged-stores.js'
import { inPages } from '../../../support/pages.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { fromDist } from '../../../support/threads/main-side.js'
import { digestOf, OWN_KEY, WORKER_ID } from '../../../support/threads/processor-under-test.js'
import { until } from '../../../support/until.js'

interface Opened {
  readonly store: Store
  readonly fatal: NarvalError[]
  readonly notices: string[]
}

function make(directory: string, retentionRounds = 0, disk?: SegmentDisk, Its = Store): Opened {
  const fatal: NarvalError[] = []
  const notices: string[] = []
  const events: StoreEvents = {
    onFatal: (error) => fatal.push(error),
    onNotice: (text) => notices.push(text),
    onDeleted: () => {},
    onDamaged: () => {},
    onStarved: () => {},
    onBytes: () => {},
  }
  const options = { directory, authority: OWN_KEY, workerId: WORKER_ID, level: 'stored', retentionRounds } as const
  return { store: new Its(options, events, disk), fatal, notices }
}

async function open(...how: Parameters<typeof make>): Promise<Opened> {
  const made = make(...how)
  await made.store.open()
  return made
}

/** One transaction of equal bytes: quickly made, and unlike all others. */
function batchOf(sequence: number, bytes: number): Uint8Array {
  const transaction = Buffer.alloc(bytes, sequence % 251)
  transaction.writeUInt32BE(sequence)
  return encodeBatch([transaction], { workerId: WORKER_ID, sequence: BigInt(sequence) })
}

async function put(store: Store, bytes: Uint8Array): Promise<Uint8Array> {
  const digest = digestOf(bytes, FOREIGN)
  await store.put(digest, FOREIGN, inPages([bytes])[0]!)
  return digest
}

function damagedIn(directory: string): string[] {
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (...what) => damaged.push(what.join(' ')), onProgress: () => {} })
  return damaged
}

/** The disk of a directory, with some of what it does in other hands. */
function changedDisk(
  directory: string,
  change: Partial<Record<'write' | 'flush' | 'remove', () => Promise<void>>>,
): SegmentDisk {
  const disk = openSegmentDisk(directory)
  return {
    ...disk,
    remove: async (path) => {
      await change.remove?.()
      await disk.remove(path)
    },
    open(path) {
      const handle = disk.open(path)
      return {
        isNew: handle.isNew,
        write: async (bytes, position) => {
          await change.write?.()
          await handle.write(bytes, position)
        },
        flush: async () => {
          await change.flush?.()
          await handle.flush()
        },
        close: () => handle.close(),
      }
    },
  }
}

describe('the index', () => {
  it('names a batch only when its segment was flushed, and small ones wait for no flush of theirs', async () => {
    const directory = temporaryDirectory()
    let flushed: () => void = () => {}
    let flushes = 0
    const flush = (): Promise<void> => {
      flushes += 1
      return new Promise((resolve) => {
        flushed = resolve
      })
    }
    const { store } = await open(directory, 0, changedDisk(directory, { flush }))
    const small = await put(store, batchOf(1, 3_000))
    expect(store.find(small)).toBeDefined()
    expect(flushes).toBe(0)
    const bytes = batchOf(2, 100_000)
    const stored = put(store, bytes)
    await until('it is being flushed', () => flushes === 1)
    await sleep(100)
    const reader = openStoreReader(directory)
    expect(reader.get(digestOf(bytes, FOREIGN))).toBeUndefined()
    flushed()
    const digest = await stored
    expect(reader.get(digest)).toMatchObject({ isWhole: true, isListed: true })
    reader.close()
    await store.close()
  })

  it('does not name a batch whose flush failed: the node ends, and the next start is told', async () => {
    const directory = temporaryDirectory()
    let isBroken = false
    const flush = async (): Promise<void> => {
      if (isBroken) throw new Error('EIO: i/o error, fdatasync')
    }
    const { store, fatal } = await open(directory, 0, changedDisk(directory, { flush }))
    const before = await put(store, batchOf(1, 100_000))
    isBroken = true
    const lost = batchOf(2, 100_000)
    let isStored = false
    void put(store, lost).then(() => {
      isStored = true
    })
    await until('the node is told', () => fatal.length > 0)
    expect(fatal[0]).toMatchObject({ code: 'ERR_STORE_WRITE', message: expect.stringContaining('EIO') })
    expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(true)
    // Nor does anything that comes later, however well it is flushed.
    isBroken = false
    void put(store, batchOf(3, 100_000)).then(() => {
      isStored = true
    })
    await sleep(200)
    expect(isStored).toBe(false)
    const reader = openStoreReader(directory)
    expect(reader.digests(undefined, 10).map((digest) => Buffer.from(digest))).toEqual([Buffer.from(before)])
    reader.close()
  })

  it.each([
    ['EIO: i/o error, write', true],
    ['ENOSPC: no space left on device, write', false],
  ])('does not name a batch whose write failed with %s', async (message, isRecorded) => {
    const directory = temporaryDirectory()
    const write = async (): Promise<void> => {
      throw new Error(message)
    }
    const { store, fatal } = await open(directory, 0, changedDisk(directory, { write }))
    void put(store, batchOf(1, 100_000))
    await until('the node is told', () => fatal.length > 0)
    expect(fatal[0]!.code).toBe('ERR_STORE_WRITE')
    expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(isRecorded)
    const reader = openStoreReader(directory)
    expect(reader.digests(undefined, 10)).toEqual([])
    reader.close()
  })

  it('does not name a batch whose write does not end: the node ends, and the next start is told', async () => {
    const directory = temporaryDirectory()
    const write = (): Promise<void> => new Promise(() => {})
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const { store, fatal } = await open(directory, 0, changedDisk(directory, { write }))
    let isStored = false
    void put(store, batchOf(1, 100_000)).then(() => {
      isStored = true
    })
    await nextTurn()
    await vi.advanceTimersByTimeAsync(FLUSH_DEADLINE_MS - 1)
    expect(fatal).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    await nextTurn()
    expect(fatal).toMatchObject([{ code: 'ERR_STORE_WRITE', message: expect.stringContaining('a write did not end') }])
    expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(true)
    expect(isStored).toBe(false)
  })
})

it('what lay behind a batch in its slot does not go to the disk', async () => {
  const directory = temporaryDirectory()
  const { store } = await open(directory)
  const slot = inPages([new Uint8Array(200_000).fill(0xdb)])[0]!
  const bytes = batchOf(1, 100_000)
  slot.set(bytes)
  await store.put(digestOf(bytes, FOREIGN), FOREIGN, slot.subarray(0, bytes.length))
  await store.close()
  const [file] = segmentFiles(directory)
  expect(readFileSync(file!).includes(0xdb)).toBe(false)
  expect(readFileSync(file!).subarray(0, bytes.length).equals(bytes)).toBe(true)
})

it('a file system that refuses O_DIRECT is said, and batches are stored through the page cache', async () => {
  const directory = temporaryDirectory()
  const disk = { ...changedDisk(directory, {}), isDirect: false }
  const { store, notices } = await open(directory, 0, disk)
  expect(notices).toEqual([expect.stringContaining('refuses O_DIRECT')])
  expect(store.get(await put(store, batchOf(1, 100_000)))!.bytes.length).toBeGreaterThan(100_000)
  await store.close()
  const direct = await open(directory)
  expect(direct.notices).toEqual([])
  await direct.store.close()
})

it('a real one that refuses it, ramfs, keeps batches over a restart', async (test) => {
  const directory = temporaryDirectory()
  const { status, stderr } = spawnSync('mount', ['-t', 'ramfs', 'narval-test', directory], { encoding: 'utf8' })
  if (status !== 0) return test.skip(`no file system can be mounted here: ${stderr?.trim()}`)
  onTestFinished(() => void spawnSync('umount', ['-l', directory]))
  // From dist/: on a file system that it does not know, a store has a process try LMDB first.
  const built =
    await fromDist<typeof import('../../../../src/threads/processor/store.js')>('threads/processor/store.js')
  const first = await open(directory, 0, undefined, built.Store)
  expect(first.notices).toEqual([expect.stringContaining('refuses O_DIRECT')])
  const bytes = batchOf(1, 100_000)
  const digest = await put(first.store, bytes)
  await first.store.close()
  const second = await open(directory, 0, undefined, built.Store)
  expect(Buffer.from(second.store.get(digest)!.bytes).equals(bytes)).toBe(true)
  expect([...first.fatal, ...second.fatal, ...damagedIn(directory)]).toEqual([])
  await second.store.close()
})

describe('segments', () => {
  const BYTES = 1_900_000
  const PER_SEGMENT = Math.floor(SEGMENT_BYTES / (BYTES + 4_096))
  const sizes = (directory: string): number =>
    segmentFiles(directory).reduce((sum, file) => sum + statSync(file).blocks * 512, 0)

  /** So many batches that are stored together, which takes a fraction of what one after the other does. */
  const putAll = (store: Store, from: number, count: number): Promise<Uint8Array[]> =>
    Promise.all(Array.from({ length: count }, (_, n) => put(store, batchOf(from + n, BYTES))))

  it('are used again when all in them was deleted: the disk has no more than what is kept, and a few', async () => {
    const directory = temporaryDirectory()
    const { store } = await open(directory, 2)
    onTestFinished(() => store.close())
    for (let n = 0; n < 8 * PER_SEGMENT; n += 5) {
      await putAll(store, n, 5)
      if (n % 10 === 0) await store.cleanup(BigInt(n / 10))
    }
    const live = store.bytes
    expect(live).toBeLessThan(40 * (BYTES + 8_192))
    const rest = SEGMENTS_SLACK + SEGMENTS_SPARE_MAX + 1
    expect(segmentFiles(directory).length).toBeLessThanOrEqual((SEGMENTS_PER_LIVE * live) / SEGMENT_BYTES + rest)
    expect(damagedIn(directory)).toEqual([])
  })

  it('that stay mostly empty give up what is left in them, which is read, kept and deleted as before', async () => {
    const directory = temporaryDirectory()
    const first = await open(directory, 2)
    const digests: Uint8Array[] = []
    while (digests.length < 8 * PER_SEGMENT) digests.push(...(await putAll(first.store, digests.length, 5)))
    const before = segmentFiles(directory).length
    expect(before).toBeGreaterThanOrEqual(8)
    // One in each segment, and as many small ones in between, are kept.
    const kept = digests.filter((_, n) => n % PER_SEGMENT === 3)
    await first.store.cleanup(2n)
    await Promise.all(kept.map((digest) => first.store.touch(digest)))
    expect(await first.store.cleanup(3n)).toBe(digests.length - kept.length)
    const rest = SEGMENTS_SLACK + SEGMENTS_SPARE_MAX + 1
    await until('segments were emptied', () => segmentFiles(directory).length <= 1 + rest)
    for (const digest of kept) expect(first.store.get(digest)).toBeDefined()
    expect(damagedIn(directory)).toEqual([])
    await first.store.close()
    // The next run finds them where they are now.
    const again = await open(directory, 2)
    onTestFinished(() => again.store.close())
    for (const digest of kept) expect(again.store.get(digest)).toBeDefined()
    await again.store.cleanup(5n)
    // One that is being moved is deleted right after.
    await until('all are deleted', () => again.store.bytes === 0)
    await until(
      'nothing is left but what is kept to be filled',
      () => segmentFiles(directory).length <= SEGMENTS_SPARE_MAX + 1,
    )
    expect(sizes(directory)).toBeLessThanOrEqual((SEGMENTS_SPARE_MAX + 1) * SEGMENT_BYTES)
  })

  /** Each run begins a segment of its own; one that is not opened moves nothing. */
  async function oneInEach(directory: string, segments: number): Promise<Uint8Array[]> {
    const digests: Uint8Array[] = []
    for (let n = 0; n < segments; n += 1) {
      const { store } = make(directory)
      digests.push(await put(store, batchOf(n, 100_000)))
      await store.close()
    }
    return digests
  }

  it('that an earlier run was about to empty are emptied by the next, although nothing is deleted', async () => {
    const directory = temporaryDirectory()
    const digests = await oneInEach(directory, 8)
    expect(segmentFiles(directory).length).toBe(8)
    const { store } = await open(directory)
    onTestFinished(() => store.close())
    const rest = SEGMENTS_SLACK + SEGMENTS_SPARE_MAX + 1
    await until('segments were emptied', () => segmentFiles(directory).length <= 1 + rest)
    for (const digest of digests) expect(store.get(digest)).toBeDefined()
  })

  it('of which a batch goes beyond retention while it is moved lose it when it has moved', async () => {
    const directory = temporaryDirectory()
    const digests = await oneInEach(directory, 4)
    let write: () => void = () => {}
    const written = new Promise<void>((resolve) => {
      write = resolve
    })
    let writes = 0
    const disk = changedDisk(directory, {
      write: () => {
        writes += 1
        return written
      },
    })
    const { store } = await open(directory, 1, disk)
    onTestFinished(() => store.close())
    await until('batches are being moved', () => writes > 0)
    expect(await store.cleanup(2n)).toBe(digests.length - writes)
    expect(digests.filter((digest) => store.find(digest) !== undefined)).toHaveLength(writes)
    write()
    await until('they are deleted, without another Cleanup', () => store.bytes === 0)
    for (const digest of digests) expect(store.find(digest)).toBeUndefined()
    expect(damagedIn(directory)).toEqual([])
  })

  it('that are freed and removed while the store is closed are gone when it is', async () => {
    const directory = temporaryDirectory()
    await oneInEach(directory, 6)
    let removals = 0
    const remove = async (): Promise<void> => {
      await sleep(100)
      removals += 1
    }
    const { fatal, store } = await open(directory, 1, changedDisk(directory, { remove }))
    // What frees the cells is on the disk some time after its commit.
    const { writes } = store as unknown as { writes: StoreWrites }
    const settle = writes.settle.bind(writes)
    writes.settle = async (put, level) => {
      await settle(put, level)
      if (level === 'durable') await sleep(200)
    }
    await store.cleanup(2n)
    await store.close()
    expect(segmentFiles(directory).length).toBeLessThanOrEqual(SEGMENTS_SPARE_MAX + 1)
    const before = removals
    expect(before).toBeGreaterThan(0)
    await sleep(300)
    expect([removals, fatal]).toEqual([before, []])
  })

  it('that are read while they are emptied and filled anew are never read as something else', async () => {
    const directory = temporaryDirectory()
    const { store } = await open(directory, 1)
    onTestFinished(() => store.close())
    const reader = openStoreReader(directory)
    onTestFinished(() => reader.close())
    let reads = 0
    for (let n = 0; n < 5 * PER_SEGMENT; n += 2) {
      await putAll(store, n, 2)
      if (n % 4 === 0) await store.cleanup(BigInt(n / 4))
      for (const digest of reader.digests(undefined, 3)) {
        const read = reader.get(digest)
        if (read === undefined) continue
        expect(read.isWhole).toBe(true)
        reads += 1
      }
    }
    expect(reads).toBeGreaterThan(50)
  })
})
