/** Stores whose files are changed behind LMDB's back, as disks and power cuts do. */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { META_FORMAT, openDatabases } from '../../src/shared/store/format.js'
import { readMetaPages } from '../../src/shared/store/meta-page.js'
import { SEGMENTS_DIRECTORY } from '../../src/shared/store/segments/read-cell.js'
import { Store, type StoreEvents } from '../../src/threads/processor/store.js'
import { inPages } from './pages.js'
import { storeEvents } from './store-events.js'
import { AUTHORITIES, batchOf, digestOf, OWN_KEY, WORKER_ID } from './threads/processor-under-test.js'

export const FOREIGN = AUTHORITIES[0]!

export interface Filled {
  readonly digest: Uint8Array
  readonly bytes: Uint8Array
}

export function openStore(directory: string, events: Partial<StoreEvents> = {}): Store {
  return new Store(
    { directory, authority: OWN_KEY, workerId: WORKER_ID, level: 'durable', retentionRounds: 0 },
    storeEvents(events),
  )
}

/** Stores foreign batches with these sequences, and closes the store. */
export async function fillStore(directory: string, sequences: readonly number[], bytes = 20_000): Promise<Filled[]> {
  const store = openStore(directory)
  await store.open()
  const filled: Filled[] = []
  for (const sequence of sequences) {
    const batch = batchOf(BigInt(sequence), bytes)
    const digest = digestOf(batch, FOREIGN)
    const [inSlot] = inPages([batch])
    await store.put(digest, FOREIGN, inSlot!)
    filled.push({ digest, bytes: batch })
  }
  await store.close()
  return filled
}

/** Has a store that nobody runs say that it is of this format. */
export async function writeFormat(directory: string, version: bigint): Promise<void> {
  const { meta, root } = openDatabases(directory)
  const format = Buffer.alloc(8)
  format.writeBigUInt64BE(version)
  await meta.put(META_FORMAT, format)
  await root.close()
}

export const dataFile = (directory: string): string => join(directory, 'data.mdb')

/** The files of segments. */
export function segmentFiles(directory: string): string[] {
  const segments = join(directory, SEGMENTS_DIRECTORY)
  return existsSync(segments) ? readdirSync(segments).map((name) => join(segments, name)) : []
}

/** Writes into a file of the store, at the place where these bytes lie there. */
export function overwrite(directory: string, bytes: Uint8Array, within: number, by: Uint8Array): void {
  for (const file of [dataFile(directory), ...segmentFiles(directory)]) {
    const at = readFileSync(file).indexOf(bytes.subarray(0, 2_000))
    if (at === -1) continue
    writeAt(directory, at + within, by, file)
    return
  }
  throw new Error('no such bytes in the store')
}

export function writeAt(directory: string, position: number, by: Uint8Array, file = dataFile(directory)): void {
  const fd = openSync(file, 'r+')
  writeSync(fd, by, 0, by.length, position)
  closeSync(fd)
}

/**
 * What a power cut may leave: the pages as they were at `flushed`, an earlier image of the file, and the meta pages of
 * the commits since, which reached the disk before the pages that they lead to.
 */
export function cutPower(directory: string, flushed: Buffer): void {
  const image = Buffer.from(flushed)
  const now = readFileSync(dataFile(directory))
  const fd = openSync(dataFile(directory), 'r')
  const { pageBytes } = readMetaPages(fd, directory).commits[0]
  closeSync(fd)
  for (const at of [0, pageBytes]) {
    now.copy(image, at, at, at + 168)
    // Not flushed, and of another boot of the machine.
    image.writeUInt16LE(image.readUInt16LE(at + 52) | 0x1000, at + 52)
    image.writeBigUInt64LE(0x1234n, at + 160)
  }
  image.writeBigUInt64LE(0x1234n, pageBytes / 2 + 160)
  writeFileSync(dataFile(directory), image)
}
