/** Power cuts at random moments, one behind the other, while batches are stored, deleted, named again and moved. */
import { execFileSync } from 'node:child_process'
import { closeSync, copyFileSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { BATCH_SIZE_MAX } from '../../../../src/shared/constants.js'
import { checkStore } from '../../../../src/shared/store/check-store.js'
import { readMetaPages } from '../../../../src/shared/store/meta-page.js'
import { cellOf } from '../../../../src/shared/store/segments/cell.js'
import { SEGMENT_BYTES } from '../../../../src/shared/store/segments/limits.js'
import { openStoreReader } from '../../../../src/shared/store/store-reader.js'
import { encodeBatch } from '../../../../src/shared/wire/batch.js'
import { digestKey } from '../../../../src/shared/wire/digest-key.js'
import { Store } from '../../../../src/threads/processor/store.js'
import { CutDisk } from '../../../support/cut-disk.js'
import { dataFile, FOREIGN } from '../../../support/damaged-stores.js'
import { inPages } from '../../../support/pages.js'
import { seeded } from '../../../support/random.js'
import { storeEvents } from '../../../support/store-events.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { digestOf, OWN_KEY, WORKER_ID } from '../../../support/threads/processor-under-test.js'

const ROUNDS = 8
const PUTS_PER_ROUND = 90
/** Batches that are stored at once. */
const LANES = 6
const RETENTION = 3

interface Known {
  readonly digest: Uint8Array
  /** The round at which it was stored, or named again. */
  stamp: bigint
}

let sequence = 0n

/** One transaction of many equal bytes: quickly made, and unlike all others. */
function batchOf(bytes: number): Uint8Array {
  sequence += 1n
  const transaction = Buffer.alloc(bytes, Number(sequence % 251n))
  transaction.writeBigUInt64BE(sequence)
  return encodeBatch([transaction], { workerId: WORKER_ID, sequence })
}

function openStore(directory: string, disk: CutDisk): Store {
  const fail = (error: Error): never => {
    throw error
  }
  return new Store(
    { directory, authority: OWN_KEY, workerId: WORKER_ID, level: 'durable', retentionRounds: RETENTION },
    storeEvents({
      onFatal: fail,
    }),
    disk,
  )
}

/** Has a store at work until the power is cut; `known` is what was acknowledged. Returns how many writes were cut off. */
async function workUntilCut(directory: string, left: string, known: Map<string, Known>, random: () => number) {
  mkdirSync(left)
  execFileSync('cp', ['-r', '--sparse=always', join(directory, 'segments'), join(left, 'segments')])
  const disk = new CutDisk(join(directory, 'segments'), join(left, 'segments'))
  const store = openStore(directory, disk)
  await store.open()
  for (const { digest } of known.values()) expect(store.get(digest), 'what was acknowledged is there').toBeDefined()
  let isCut = false
  let puts = 0
  const lane = async (): Promise<void> => {
    const [slot] = inPages([new Uint8Array(3_000_000)])
    while (!isCut) {
      const bytes = batchOf(random() < 0.1 ? 5_000 : 100_000 + Math.floor(random() * 2_800_000))
      const inSlot = slot!.subarray(0, bytes.length)
      inSlot.set(bytes)
      const digest = digestOf(bytes, FOREIGN)
      const { stamp } = store
      await store.put(digest, FOREIGN, inSlot)
      if (isCut) return
      known.set(digestKey(digest), { digest, stamp })
      puts += 1
      if (random() < 0.1) await nameOne()
      if (random() < 0.2) void store.cleanup(store.stamp + 1n)
    }
  }
  /** Kept from now on as if it were new. So some stay where all around them goes. */
  const nameOne = async (): Promise<void> => {
    const one = [...known.values()][Math.floor(random() * known.size)]
    const { stamp } = store
    if (one === undefined || store.find(one.digest) === undefined) return
    await store.touch(one.digest)
    if (!isCut && store.find(one.digest) !== undefined) one.stamp = stamp
  }
  const lanes = Array.from({ length: LANES }, lane)
  const cutAt = PUTS_PER_ROUND * (0.5 + random())
  while (puts < cutAt) await sleep(random() * 20)
  isCut = true
  const cut = cutNow(directory, left, disk, random)
  // What may be deleted by now, or be about to be.
  for (const [name, { stamp }] of known) if (stamp + BigInt(RETENTION) < store.stamp) known.delete(name)
  await Promise.all(lanes)
  await store.close()
  return cut
}

/** All in one turn: nothing that the store does in answer to a flush comes between. */
function cutNow(directory: string, left: string, disk: CutDisk, random: () => number): number {
  for (;;) {
    const before = newest(directory)
    copyFileSync(dataFile(directory), dataFile(left))
    if (newest(directory) === before) break
  }
  // The machine boots again: what LMDB had not flushed is undone.
  const fd = openSync(dataFile(left), 'r+')
  const bootId = Buffer.alloc(8, 1)
  for (const page of [0, 2_048, 4_096]) writeSync(fd, bootId, 0, 8, page + 160)
  closeSync(fd)
  return disk.cut(random)
}

function newest(directory: string): number {
  const fd = openSync(dataFile(directory), 'r')
  const { commits } = readMetaPages(fd, directory)
  closeSync(fd)
  return Math.max(...commits.map(({ txnid }) => txnid))
}

it.each([1, 2])(
  'leaves all that was acknowledged, and names nothing that is not whole: seed %i',
  async (seed) => {
    const random = seeded(seed)
    const base = temporaryDirectory()
    const known = new Map<string, Known>()
    mkdirSync(join(base, '0', 'segments'), { recursive: true })
    let cutOff = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const [directory, left] = [join(base, `${round}`), join(base, `${round + 1}`)]
      cutOff += await workUntilCut(directory, left, known, random)
      execFileSync('rm', ['-r', directory])
      const damaged: string[] = []
      const { count } = checkStore(left, {
        onDamaged: (...what) => damaged.push(what.join(' ')),
        onProgress: () => {},
      })
      expect(damaged).toEqual([])
      expect(count).toBeGreaterThanOrEqual(known.size)
    }
    expect(cutOff).toBeGreaterThan(0)
  },
  240_000,
)

it('leaves a segment that a run had made which was killed before its name was flushed, and that the next run fills', async () => {
  const base = temporaryDirectory()
  const [directory, left] = [join(base, 'store'), join(base, 'left')]
  for (const path of [directory, left]) mkdirSync(join(path, 'segments'), { recursive: true })
  writeFileSync(join(directory, 'segments', '0'), '')
  const disk = new CutDisk(join(directory, 'segments'), join(left, 'segments'))
  const store = openStore(directory, disk)
  await store.open()
  const bytes = batchOf(100_000)
  const digest = digestOf(bytes, FOREIGN)
  await store.put(digest, FOREIGN, inPages([bytes])[0]!)
  expect(cellOf(store.find(digest)!.placed, bytes.length)).toMatchObject({ segment: 0 })
  // What was not flushed is gone.
  cutNow(directory, left, disk, () => 0)
  await store.close()
  const reader = openStoreReader(left)
  expect(reader.get(digest)).toMatchObject({ isWhole: true })
  reader.close()
})

it('at the first write to a segment whose batches are being deleted leaves none that is named and not whole', async () => {
  const base = temporaryDirectory()
  const [directory, left] = [join(base, 'store'), join(base, 'left')]
  for (const path of [directory, left]) mkdirSync(join(path, 'segments'), { recursive: true })
  const disk = new CutDisk(join(directory, 'segments'), join(left, 'segments'))
  const store = openStore(directory, disk)
  await store.open()
  const put = (bytes: Uint8Array): Promise<void> => store.put(digestOf(bytes, FOREIGN), FOREIGN, inPages([bytes])[0]!)
  // A whole segment, of which nothing is left to fill.
  const transactionBytes = BATCH_SIZE_MAX - batchOf(1_000).length + 1_000
  for (let n = 0; n < SEGMENT_BYTES / BATCH_SIZE_MAX; n += 1) await put(batchOf(transactionBytes))
  // They are deleted in one transaction with so much else that it takes its time.
  const many = Array.from({ length: 3_000 }, () => batchOf(15_000))
  const [next] = inPages([batchOf(transactionBytes)])
  const digest = digestOf(next!, FOREIGN)
  const deleted = store.cleanup(BigInt(RETENTION) + 1n)
  const stored = Promise.all(many.map(put))
  let isDeleted = false
  void deleted.then(() => {
    isDeleted = true
  })
  for (let turn = 0; turn < 5; turn += 1) await nextTurn()
  let isCut = false
  disk.onWrite = () => {
    isCut = true
    expect(isDeleted, 'the deletion is under way').toBe(false)
    cutNow(directory, left, disk, () => 0)
  }
  await store.put(digest, FOREIGN, next!)
  expect(isCut).toBe(true)
  await Promise.all([deleted, stored])
  await store.close()
  const damaged: string[] = []
  const { count } = checkStore(left, { onDamaged: (...what) => damaged.push(what.join(' ')), onProgress: () => {} })
  expect(damaged).toEqual([])
  // Before that transaction, or after it.
  expect([SEGMENT_BYTES / BATCH_SIZE_MAX, many.length]).toContain(count)
}, 60_000)

describe('a segment that a batch was acknowledged in is there after the cut', () => {
  const bytes = batchOf(100_000)

  function emptyStore(): { directory: string; left: string; disk: CutDisk } {
    const base = temporaryDirectory()
    const [directory, left] = [join(base, 'store'), join(base, 'left')]
    for (const path of [directory, left]) mkdirSync(join(path, 'segments'), { recursive: true })
    return { directory, left, disk: new CutDisk(join(directory, 'segments'), join(left, 'segments')) }
  }

  it('if this run made its file', async () => {
    const { directory, disk, left } = emptyStore()
    const store = openStore(directory, disk)
    await store.open()
    await store.put(digestOf(bytes, FOREIGN), FOREIGN, inPages([bytes])[0]!)
    cutNow(directory, left, disk, () => 0)
    await store.close()
    const reader = openStoreReader(left)
    expect(reader.get(digestOf(bytes, FOREIGN))).toMatchObject({ isWhole: true })
    reader.close()
  })

  it('if a run made the directory of segments that was killed then: its name is flushed before anything is written', async () => {
    const { directory, disk } = emptyStore()
    const flushed: string[] = []
    const flushNames = disk.flushNames.bind(disk)
    disk.flushNames = async (path) => {
      await flushNames(path)
      flushed.push(path)
    }
    let flushedBefore: string[] = []
    disk.onWrite = () => {
      flushedBefore = [...flushed]
    }
    const store = openStore(directory, disk)
    await store.open()
    await store.put(digestOf(bytes, FOREIGN), FOREIGN, inPages([bytes])[0]!)
    await store.close()
    expect(flushedBefore).toContain(directory)
  })
})
