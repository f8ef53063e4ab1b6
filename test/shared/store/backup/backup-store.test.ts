/** Backups of stores that are stopped, or change while they are copied; of running nodes: test/main/cli/backup.test.ts. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { NarvalError } from '../../../../src/shared/errors.js'
import { backupStore } from '../../../../src/shared/store/backup/backup-store.js'
import { copyCells } from '../../../../src/shared/store/backup/copy-cells.js'
import { copyEnvironment } from '../../../../src/shared/store/backup/copy-environment.js'
import { dropAndMark } from '../../../../src/shared/store/backup/drop-batches.js'
import { checkStore } from '../../../../src/shared/store/check-store.js'
import { META_OWN_DELETED, META_STORE_ID } from '../../../../src/shared/store/format.js'
import { prepareFile } from '../../../../src/shared/store/prepare-file.js'
import { PrimaryKeys } from '../../../../src/shared/store/primary/format.js'
import { markFreshStore, writeFreshMarker } from '../../../../src/shared/store/primary/fresh-marker.js'
import { openStoreReader } from '../../../../src/shared/store/store-reader.js'
import { StoreFile } from '../../../../src/shared/store/store-snapshot.js'
import { Store } from '../../../../src/threads/processor/store.js'
import { FOREIGN, fillStore, openStore, overwrite } from '../../../support/damaged-stores.js'
import { inPages } from '../../../support/pages.js'
import { fillLog, openPrimaryStore, readLog, turnOf, written } from '../../../support/primary-stores.js'
import { storeEvents } from '../../../support/store-events.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { SETTINGS } from '../../../support/threads/commit-pattern.mjs'
import { batchOf, digestOf, OWN_KEY, WORKER_ID } from '../../../support/threads/processor-under-test.js'

const signal = new AbortController().signal
const HANDLERS = { signal, onNotice: () => {}, onProgress: () => {}, onDamaged: () => {} }
const place = (): string => join(temporaryDirectory(), 'backup')

function damageOf(directory: string): string[] {
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (name, why) => damaged.push(`${name}: ${why}`), onProgress: () => {} })
  return damaged
}

function read(directory: string, database: string, key: Uint8Array): string | undefined {
  const file = new StoreFile(directory)
  try {
    return file.read((snapshot) => snapshot.get(database, key)?.toString('hex'))
  } finally {
    file.close()
  }
}

const storeIdOf = (directory: string): string | undefined => read(directory, 'meta', META_STORE_ID)
const signingOf = (directory: string): string | undefined =>
  read(directory, 'state', new PrimaryKeys(0).state('signing'))

describe("a backup of a worker's store", () => {
  test('has every batch, small and large, where the index says, and an id of its own', async () => {
    const directory = temporaryDirectory()
    const filled = [...(await fillStore(directory, [1, 2], 900)), ...(await fillStore(directory, [3, 4, 5], 70_000))]
    const target = place()
    expect(await backupStore(directory, target, HANDLERS)).toMatchObject({ batches: 3, deleted: 0, damaged: 0 })
    expect(readdirSync(target).sort()).toEqual(['data.mdb', 'segments'])
    expect(damageOf(target)).toEqual([])
    expect(storeIdOf(target)).not.toBe(storeIdOf(directory))
    const notices: string[] = []
    const store = openStore(target, { onNotice: (text) => notices.push(text) })
    await store.open()
    for (const { bytes, digest } of filled) expect(store.get(digest)?.bytes).toEqual(bytes)
    const [more] = inPages([batchOf(9n, 50_000)])
    await store.put(digestOf(more!, FOREIGN), FOREIGN, more!)
    await store.close()
    expect(notices).toEqual([])
    expect(damageOf(target)).toEqual([])
  })

  test('of which batches are deleted, and their cells used again, while it is made, is whole with what is left', async () => {
    const directory = temporaryDirectory()
    const events = storeEvents({})
    const options = {
      directory,
      authority: OWN_KEY,
      workerId: WORKER_ID,
      level: 'durable',
      retentionRounds: 1,
    } as const
    const store = new Store(options, events)
    await store.open()
    const batches = [1n, 2n, 3n, 4n, 5n].map((sequence) => batchOf(sequence, 30_000))
    const inSlots = inPages(batches)
    const put = async (at: number, own = false): Promise<Uint8Array> => {
      const author = own ? OWN_KEY : FOREIGN
      const digest = digestOf(batches[at]!, author)
      const sequence = BigInt(at + 1)
      await store.put(
        digest,
        author,
        inSlots[at]!,
        own ? { sequence, transactions: 1, transactionBytes: 1 } : undefined,
      )
      return digest
    }
    const [first, second] = [await put(0), await put(1)]
    const own = await put(2, true)
    await store.markReported([own])
    await store.close()
    const target = place()
    await backupStore(directory, place(), HANDLERS)
    mkdirSync(target)
    await copyEnvironment(directory, target, () => {}, signal)
    // All are deleted, the first is stored again in the cell of another, and the cell of the first has another batch.
    const again = new Store(options, events)
    await again.open()
    expect(await again.cleanup(5n)).toBe(3)
    await again.put(digestOf(batches[3]!, FOREIGN), FOREIGN, inSlots[3]!)
    await again.put(first, FOREIGN, inSlots[0]!)
    await again.put(digestOf(batches[4]!, FOREIGN), FOREIGN, inSlots[4]!)
    const copied = await copyCells(directory, target, { onProgress: () => {}, signal })
    expect(copied).toMatchObject({ count: 1 })
    expect(copied.absent.map(({ digest, isDamaged }) => [digest, isDamaged])).toEqual(
      expect.arrayContaining([
        [second, false],
        [own, false],
      ]),
    )
    await dropAndMark(target, copied.absent, 1)
    await again.close()
    expect(damageOf(target)).toEqual([])
    const reader = openStoreReader(target)
    expect(reader.digests(undefined, 10)).toEqual([first])
    expect(reader.get(first)?.bytes).toEqual(batches[0])
    reader.close()
    expect(read(target, 'meta', META_OWN_DELETED)).toBe('0000000000000003')
  })

  test('without a batch that is damaged says so, and is whole', async () => {
    const directory = temporaryDirectory()
    const [one, two] = await fillStore(directory, [1, 2])
    overwrite(directory, one!.bytes, 5_000, new Uint8Array(8))
    const target = place()
    const damaged: Uint8Array[] = []
    const result = await backupStore(directory, target, { ...HANDLERS, onDamaged: (digest) => damaged.push(digest) })
    expect(result).toMatchObject({ batches: 1, deleted: 0, damaged: 1 })
    expect(damaged).toEqual([one!.digest])
    expect(damageOf(target)).toEqual([])
    const reader = openStoreReader(target)
    expect(reader.digests(undefined, 10)).toEqual([two!.digest])
    reader.close()
  })
})

describe("a backup of a primary's store", () => {
  test('has the log, says nothing of being new, signs nothing, and has an id of its own', async () => {
    const directory = temporaryDirectory()
    writeFreshMarker(directory, SETTINGS.authority)
    await fillLog(directory, 30)
    expect(signingOf(directory)).toBe('010000000000000000')
    writeFreshMarker(directory, SETTINGS.authority)
    const target = place()
    expect(await backupStore(directory, target, HANDLERS)).toMatchObject({ kind: 'primary', lastCommit: 30 })
    expect(readdirSync(target)).toEqual(['data.mdb'])
    expect(damageOf(target)).toEqual([])
    expect(readLog(target)).toEqual(readLog(directory))
    expect(storeIdOf(target)).not.toBe(storeIdOf(directory))
    // Neither a power cut right after it, nor who says that it is new, changes that.
    prepareFile(target, { log: () => {}, bootId: 0x77n })
    expect(signingOf(target)).toBe('00')
    const notices: string[] = []
    const store = await openPrimaryStore(target, {}, { onNotice: (text) => notices.push(text) })
    expect(store.state()).toMatchObject({ signing: { state: 'recovering' } })
    expect(notices).toEqual([expect.stringMatching(/is a backup, made at 20\d\d-/)])
    await written(store, { type: 'signing', signing: { state: 'above', round: 70 } }, ...turnOf(31, 32))
    await store.close()
    notices.length = 0
    const again = await openPrimaryStore(target, {}, { onNotice: (text) => notices.push(text) })
    expect([again.state().signing, again.lastCommit, notices]).toEqual([{ state: 'above', round: 70 }, 32, []])
    await again.close()
  })

  test('that has signed nothing cannot be said to be new either, and its start says whose answers it needs', async () => {
    const directory = temporaryDirectory()
    writeFreshMarker(directory, SETTINGS.authority)
    await (await openPrimaryStore(directory)).close()
    const target = place()
    await backupStore(directory, target, HANDLERS)
    expect(() => markFreshStore(target, SETTINGS.authority)).toThrow(
      expect.objectContaining({ code: 'ERR_STORE_USED' }),
    )
    writeFreshMarker(target, SETTINGS.authority)
    const refused = new NarvalError('ERR_RECOVERY_IMPOSSIBLE', 'the others are no quorum')
    const checkRecoverable = (): never => {
      throw refused
    }
    await expect(openPrimaryStore(target, {}, { checkRecoverable })).rejects.toBe(refused)
    expect(existsSync(join(target, 'fresh'))).toBe(true)
  })
})
