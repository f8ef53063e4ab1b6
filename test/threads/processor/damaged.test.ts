/** What the processor does about batches that the disk has changed, and about flushes that fail. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { NarvalError } from '../../../src/shared/errors.js'
import { checkStore } from '../../../src/shared/store/check-store.js'
import { FLUSH_FAILURE_FILE } from '../../../src/shared/store/flush-failure.js'
import type { IndexEntry } from '../../../src/shared/store/format.js'
import { StoreFile } from '../../../src/shared/store/store-snapshot.js'
import { DAMAGED_REMEMBERED_MAX } from '../../../src/threads/processor/limits.js'
import { StoreWrites } from '../../../src/threads/processor/store-writes.js'
import { VerifiedReads } from '../../../src/threads/processor/verified-reads.js'
import { dataFile, FOREIGN, fillStore, openStore, overwrite, segmentFiles } from '../../support/damaged-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { batchOf, OWN_INDEX, OWN_KEY, startProcessor, WORKER_ID } from '../../support/threads/processor-under-test.js'
import { until } from '../../support/until.js'

function damagedIn(directory: string): string[] {
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (name, why) => damaged.push(`${name} ${why}`), onProgress: () => {} })
  return damaged
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const sequences = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1)

describe('a batch that is damaged in the store', () => {
  it('is not served, found or reported, is counted and logged once, and is stored anew when it comes again', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(10))
    const { bytes, digest } = filled[4]!
    overwrite(directory, bytes, 10_000, Uint8Array.of(bytes[10_000]! ^ 0x80))
    const processor = await startProcessor({ directory })
    const { found } = await processor.client.ask({ type: 'recent', rounds: 10n, after: undefined })
    expect(found.map((one) => base64(one.digest)).sort()).toEqual(
      filled
        .filter((one) => one.digest !== digest)
        .map((one) => base64(one.digest))
        .sort(),
    )
    expect(await processor.client.ask({ type: 'get', digest })).toBeUndefined()
    const digests = [digest, filled[5]!.digest]
    const [gone, there] = await processor.client.ask({ type: 'find', digests, touch: true })
    expect(gone).toBeUndefined()
    expect(Buffer.from(there!.author)).toEqual(Buffer.from(FOREIGN))
    expect(processor.counters.get('damagedBatches')).toBe(1)
    const said = (): string[] => processor.log.filter((line) => line.includes('damaged'))
    await until('the log says it', () => said().length > 0)
    expect(said()).toEqual([`warn A stored batch is damaged, and counts as not stored: ${base64(digest)}`])
    expect(await processor.foreign({ bytes })).toMatchObject({ status: 'ok', again: false })
    expect(Buffer.compare((await processor.client.ask({ type: 'get', digest }))!.bytes, bytes)).toBe(0)
    const counted = processor.counters.get('storeBytes')
    await processor.close()
    expect(counted).toBe(await sizeOf(directory))
    expect(damagedIn(directory)).toEqual([])
  })

  it('is noticed when it comes again, before anybody has read it', async () => {
    const directory = temporaryDirectory()
    const [{ bytes, digest }] = (await fillStore(directory, [1])) as [{ bytes: Uint8Array; digest: Uint8Array }]
    overwrite(directory, bytes, 10_000, new Uint8Array(16))
    const processor = await startProcessor({ directory })
    expect(await processor.foreign({ bytes })).toMatchObject({ status: 'ok', again: false })
    expect(await processor.foreign({ bytes })).toMatchObject({ status: 'ok', again: true })
    expect(Buffer.compare((await processor.client.ask({ type: 'get', digest }))!.bytes, bytes)).toBe(0)
  })

  it('and in a segment that is cut off under a running node, is not there: the node goes on', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(40))
    const processor = await startProcessor({ directory })
    const { bytes, digest } = filled[20]!
    const [file] = segmentFiles(directory)
    truncateSync(file!, readFileSync(file!).indexOf(bytes.subarray(0, 2_000)) + 5_000)
    expect(await processor.client.ask({ type: 'get', digest })).toBeUndefined()
    expect((await processor.client.ask({ type: 'get', digest: filled[19]!.digest }))!.bytes.length).toBe(20_000)
    // What is stored from now on lies behind the end.
    const more = batchOf(100n, 20_000)
    expect(await processor.foreign({ bytes: more })).toMatchObject({ status: 'ok', again: false })
    expect(await processor.foreign({ bytes })).toMatchObject({ status: 'ok', again: false })
    expect(Buffer.compare((await processor.client.ask({ type: 'get', digest }))!.bytes, bytes)).toBe(0)
    rmSync(file!)
    expect(await processor.client.ask({ type: 'get', digest: filled[1]!.digest })).toBeUndefined()
    expect(processor.died).toEqual([])
    await processor.close()
    const again = await startProcessor({ directory })
    expect(again.log.join()).toContain('all batches in it are damaged')
    expect(await again.foreign({ bytes: filled[1]!.bytes })).toMatchObject({ status: 'ok', again: false })
    await again.close()
    expect(damagedIn(directory)).not.toContain(base64(filled[1]!.digest))
  })

  it('and behind the end of a file that is cut off under a running node, is not there: the node goes on', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(40), 10_000)
    const processor = await startProcessor({ directory })
    const places = pagesAt(directory) as [string, { page: number }][]
    const last = places.sort(([, a], [, b]) => b.page - a.page)[0]!
    const digest = Buffer.from(last[0].slice(16), 'hex')
    truncateSync(dataFile(directory), last[1].page * 4_096 + 100)
    expect(await processor.client.ask({ type: 'get', digest })).toBeUndefined()
    const others = filled.filter((one) => !digest.equals(one.digest))
    for (const { digest } of others) await processor.client.ask({ type: 'get', digest })
    expect(processor.died).toEqual([])
  })

  it('and own, and not reported, is said as an error', async () => {
    const directory = temporaryDirectory()
    const processor = await startProcessor({ directory })
    const bytes = batchOf(1n, 20_000)
    const { digest } = await processor.own(bytes, 1n)
    await processor.close()
    overwrite(directory, bytes, 10_000, new Uint8Array(16))
    const again = await startProcessor({ directory })
    expect(await again.client.ask({ type: 'get', digest })).toBeUndefined()
    await until(
      () => `a line about it: ${again.log}`,
      () => again.log.some((line) => line.startsWith('error An own batch') && line.includes(base64(digest))),
    )
  })

  it('is deleted by retention like all others', async () => {
    const directory = temporaryDirectory()
    const [{ bytes, digest }] = (await fillStore(directory, [1])) as [{ bytes: Uint8Array; digest: Uint8Array }]
    overwrite(directory, bytes, 10_000, new Uint8Array(16))
    const processor = await startProcessor({ directory, retentionRounds: 1 })
    expect(await processor.client.ask({ type: 'get', digest })).toBeUndefined()
    expect(await processor.client.ask({ type: 'cleanup', round: 5n })).toEqual({ deleted: 1 })
    expect(processor.counters.get('storeBytes')).toBe(0)
  })
})

/** What the batches of a store take, counted from nothing. */
async function sizeOf(directory: string): Promise<number> {
  const copy = openStore(directory)
  const { bytes } = copy
  await copy.close()
  return bytes
}

describe('a flush that fails', () => {
  it('is not passed by a later one: what comes behind it is never durable, and the next start is told', async () => {
    const directory = temporaryDirectory()
    const failures: NarvalError[] = []
    const writes = new StoreWrites(directory, (error) => failures.push(error))
    const durable: number[] = []
    const write = (n: number, flushed: Promise<unknown>): void => {
      const put = Object.assign(Promise.resolve(), { flushed })
      void writes.settle(put, 'durable').then(() => durable.push(n))
    }
    write(1, Promise.resolve())
    write(2, new Promise(() => {}))
    write(3, Promise.resolve())
    await sleep(20)
    expect(durable).toEqual([1])
    writes.flushFailed(new Error('EIO: i/o error, fdatasync'))
    expect(failures).toMatchObject([{ code: 'ERR_STORE_WRITE', message: expect.stringContaining('EIO') }])
    expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(true)
  })
})

it('readers that died give back what they held', async () => {
  const directory = temporaryDirectory()
  await fillStore(directory, [1])
  const code = `
    const { open } = require('lmdb')
    const root = open({ path: ${JSON.stringify(directory)}, noSubdir: false, readOnly: true, encoding: 'binary', maxDbs: 6 })
    root.useReadTransaction()
    root.getKeysCount()
    console.log('open')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const store = openStore(directory)
  expect(store.clearDeadReaders()).toBe(0)
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  await closed
  expect(store.clearDeadReaders()).toBe(1)
  expect(store.clearDeadReaders()).toBe(0)
  await store.close()
})

it("the files' sizes are counted, as they lie on the disk", async () => {
  const directory = temporaryDirectory()
  await fillStore(directory, sequences(30))
  const processor = await startProcessor({ directory })
  const files = (): number =>
    statSync(dataFile(directory)).size +
    segmentFiles(directory).reduce((sum, file) => sum + statSync(file).blocks * 512, 0)
  expect(processor.counters.get('storeFileBytes')).toBe(files())
  expect(files()).toBeGreaterThan(30 * 20_000)
  await processor.foreign({ bytes: batchOf(99n, 30_000) })
  await until('it is counted again', () => processor.counters.get('storeFileBytes') === files())
})

describe('a Synchronize that names what is stored', () => {
  it('moves none of its bytes', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(200), 40_000)
    const processor = await startProcessor({ directory, retentionRounds: 10 })
    await processor.client.ask({ type: 'cleanup', round: 9n })
    const before = statSync(dataFile(directory)).size
    const written = pagesAt(directory)
    await processor.client.ask({ type: 'find', digests: filled.map(({ digest }) => digest), touch: true })
    expect(statSync(dataFile(directory)).size - before).toBeLessThan(1_000_000)
    expect(pagesAt(directory)).toEqual(written)
    // And they are kept as if they were stored now.
    expect(await processor.client.ask({ type: 'cleanup', round: 19n })).toEqual({ deleted: 0 })
    expect(await processor.client.ask({ type: 'cleanup', round: 20n })).toEqual({ deleted: filled.length })
    await processor.close()
    expect(damagedIn(directory)).toEqual([])
  })
})

/** Where each batch lies in the file. */
function pagesAt(directory: string): unknown[] {
  const file = new StoreFile(directory)
  const entries = file.read((snapshot) => snapshot.entries('batches', Number.POSITIVE_INFINITY))
  file.close()
  return entries.map(({ key, value }) => [key.toString('hex'), value])
}

describe('settings that changed', () => {
  it('a lower batch_size is refused while own batches that were not reported are larger, with what to do', async () => {
    const directory = temporaryDirectory()
    const processor = await startProcessor({ directory, batchBytesMax: 40_000 })
    const { digest } = await processor.own(batchOf(1n, 30_000), 1n)
    const { digest: small } = await processor.own(batchOf(2n, 5_000), 2n)
    await processor.close()
    await expect(startProcessor({ directory, batchBytesMax: 10_000 })).rejects.toMatchObject({
      code: 'ERR_STORE_SETTINGS',
      message: expect.stringMatching(/1 own batches in .* larger than batch_size, 10000: .* batch_size 30000 or more/),
    })
    // As it says.
    const again = await startProcessor({ directory, batchBytesMax: 30_000 })
    expect(await again.client.ask({ type: 'unreported', from: 0n, before: 9n })).toHaveLength(2)
    await again.client.ask({ type: 'reported', digests: [digest] })
    await again.close()
    const lower = await startProcessor({ directory, batchBytesMax: 10_000 })
    expect(lower.log.join()).toContain('1 stored batches of up to 30000 bytes are larger than batch_size, 10000')
    expect((await lower.client.ask({ type: 'get', digest }))!.bytes.length).toBe(30_000)
    expect(await lower.client.ask({ type: 'unreported', from: 0n, before: 9n })).toEqual([
      { sequence: 2n, digest: small },
    ])
  })

  it('a store_bytes_max below what is stored is said, with what to do', async () => {
    const directory = temporaryDirectory()
    await fillStore(directory, sequences(10))
    const processor = await startProcessor({ directory, storeBytesMax: 50_000 })
    expect(processor.log.join()).toMatch(/store_bytes_max is 50000: .* raise store_bytes_max/)
  })

  it('another worker id is refused with whose the store is', async () => {
    const directory = temporaryDirectory()
    await fillStore(directory, [1])
    await expect(startProcessor({ directory, workerId: WORKER_ID + 1 })).rejects.toMatchObject({
      code: 'ERR_STORE_FOREIGN',
      message: expect.stringContaining(`worker ${WORKER_ID} of ${base64(OWN_KEY)}`),
    })
  })
})
it('an own batch that was damaged, and is taken from another worker, is still ours: to be reported, with its sequence', async () => {
  const directory = temporaryDirectory()
  const processor = await startProcessor({ directory })
  const { digest } = await processor.own(batchOf(1n, 20_000), 1n)
  await processor.own(batchOf(2n, 20_000), 2n)
  await processor.close()
  const bytes = batchOf(1n, 20_000)
  overwrite(directory, bytes, 10_000, Uint8Array.of(bytes[10_000]! ^ 0x80))
  const again = await startProcessor({ directory })
  expect(await again.client.ask({ type: 'get', digest })).toBeUndefined()
  expect(await again.foreign({ bytes, peer: 0, author: OWN_INDEX, expected: digest })).toMatchObject({ status: 'ok' })
  const { found } = await again.client.ask({ type: 'own', from: 0n, before: 9n })
  expect(found.map(({ sequence }) => sequence)).toEqual([1n, 2n])
  expect((await again.client.ask({ type: 'unreported', from: 0n, before: 9n }))[0]).toEqual({ sequence: 1n, digest })
  await again.close()
  expect(damagedIn(directory)).toEqual([])
})

it('so many digests of damaged batches are remembered; of more, the oldest is forgotten, and found again when it is read', () => {
  let found = 0
  const reads = new VerifiedReads({
    cells: {} as never,
    // Nothing is where the index says.
    file: { read: () => undefined } as unknown as StoreFile,
    onDamaged: () => {
      found += 1
    },
  })
  const digestOf = (n: number): Uint8Array => new Uint8Array(Buffer.from(`${n}`.padStart(32)))
  const read = (n: number): unknown =>
    reads.read(digestOf(n), { author: FOREIGN, byteLength: 100, placed: 1n } as unknown as IndexEntry)
  for (let n = 0; n < DAMAGED_REMEMBERED_MAX; n += 1) read(n)
  expect(read(0)).toBeUndefined()
  expect([found, reads.isDamaged(digestOf(0))]).toEqual([DAMAGED_REMEMBERED_MAX, true])
  read(DAMAGED_REMEMBERED_MAX)
  expect([reads.isDamaged(digestOf(0)), reads.isDamaged(digestOf(1))]).toEqual([false, true])
  read(0)
  expect([found, reads.isDamaged(digestOf(1))]).toEqual([DAMAGED_REMEMBERED_MAX + 2, false])
})
