import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { checkStore } from '../../../src/shared/store/check-store.js'
import { FLUSH_FAILURE_FILE, recordFlushFailure } from '../../../src/shared/store/flush-failure.js'
import {
  cutPower,
  dataFile,
  type Filled,
  fillStore,
  openStore,
  overwrite,
  writeAt,
} from '../../support/damaged-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const sequences = (from: number, count: number): number[] => Array.from({ length: count }, (_, n) => from + n)

function damagedIn(directory: string): string[] {
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (name) => damaged.push(name), onProgress: () => {} })
  return damaged
}

async function expectReads(directory: string, filled: readonly Filled[]): Promise<void> {
  const store = openStore(directory)
  for (const { digest, bytes } of filled) expect(Buffer.compare(store.get(digest)!.bytes, bytes)).toBe(0)
  await store.close()
}

describe('a file that was cut off', () => {
  it.each([0.99, 0.5, 0.1])('to %f of its length is refused at the start, with both lengths', async (share) => {
    const directory = temporaryDirectory()
    // Of a size that LMDB has in its own file.
    await fillStore(directory, sequences(1, 60), 15_000)
    const { size } = statSync(dataFile(directory))
    truncateSync(dataFile(directory), Math.floor(size * share))
    expect(() => openStore(directory)).toThrow(
      expect.objectContaining({
        code: 'ERR_STORE_DAMAGED',
        message: expect.stringMatching(new RegExp(`it has ${Math.floor(size * share)} bytes of \\d+.*narval check`)),
      }),
    )
  })

  it.each([1, 27, 100, 4_096, 5_000, 8_192])('to %i bytes is refused as well', async (bytes) => {
    const directory = temporaryDirectory()
    await fillStore(directory, sequences(1, 3))
    truncateSync(dataFile(directory), bytes)
    expect(() => openStore(directory)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^ERR_STORE_(DAMAGED|FORMAT)$/) }),
    )
  })

  it('and lacks free pages only is made as long as it should be, and all batches are there', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(1, 10))
    const { size } = statSync(dataFile(directory))
    const lastPage = Buffer.alloc(8)
    lastPage.writeBigUInt64LE(BigInt(size / 4_096 + 99))
    for (const page of [0, 2_048, 4_096]) writeAt(directory, page + 144, lastPage)
    await expectReads(directory, filled)
    expect(statSync(dataFile(directory)).size).toBeGreaterThanOrEqual(size + 99 * 4_096)
  })

  it('in the middle of its first write, which is of two pages, is a new store', async () => {
    const directory = temporaryDirectory()
    await fillStore(directory, [1])
    // The first page as LMDB makes it: no commit, no tree.
    writeAt(directory, 152, Buffer.alloc(8))
    writeAt(directory, 136, Buffer.alloc(8, 0xff))
    truncateSync(dataFile(directory), 4_096)
    const filled = await fillStore(directory, [2])
    await expectReads(directory, filled)
  })

  it('an empty file, and none, are new stores', async () => {
    const directory = temporaryDirectory()
    writeFileSync(dataFile(directory), '')
    await expectReads(directory, await fillStore(directory, [1]))
  })
})

it('a page of a tree that is zeros is refused at the start, whichever it is', async () => {
  const directory = temporaryDirectory()
  await fillStore(directory, sequences(1, 200), 300)
  const whole = readFileSync(dataFile(directory))
  let refused = 0
  for (let page = 2; page < whole.length / 4_096; page += 1) {
    const kind = whole.readUInt16LE(page * 4_096 + 18)
    if ((kind !== 1 && kind !== 2) || Number(whole.readBigUInt64LE(page * 4_096)) !== page) continue
    writeAt(directory, page * 4_096, new Uint8Array(4_096))
    try {
      const store = openStore(directory)
      // A page of an older snapshot, which nothing leads to.
      await store.close()
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_STORE_DAMAGED' })
      refused += 1
    }
    writeFileSync(dataFile(directory), whole)
  }
  expect(refused).toBeGreaterThan(5)
})

it('a list of free pages that is longer than its value is refused', async () => {
  const directory = temporaryDirectory()
  await fillStore(directory, sequences(1, 20))
  const whole = readFileSync(dataFile(directory))
  const free = Number(whole.readBigUInt64LE(2_048 + 48 + 40))
  // The newest commit's; the value of its first node.
  const node = free * 4_096 + 24 + whole.readUInt16LE(free * 4_096 + 24)
  writeAt(directory, node + 8 + 8, Uint8Array.of(0xff, 0xff, 0, 0, 0, 0, 0, 0))
  expect(() => openStore(directory)).toThrow(expect.objectContaining({ code: 'ERR_STORE_DAMAGED' }))
})

describe('after a power cut', () => {
  it.each([
    ['with a reader that has the store open', true],
    ['without one', false],
  ])('%s, the store is as it was last flushed', async (_, isRead) => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(1, 20))
    const flushed = readFileSync(dataFile(directory))
    const lost = await fillStore(directory, sequences(100, 40))
    cutPower(directory, flushed)
    if (isRead) await holdOpen(directory)
    const notices: string[] = []
    const store = openStore(directory, { onNotice: (text) => notices.push(text) })
    await store.open()
    for (const { digest, bytes } of filled) expect(Buffer.compare(store.get(digest)!.bytes, bytes)).toBe(0)
    for (const { digest } of lost) expect(store.get(digest)).toBeUndefined()
    await store.close()
    expect(notices).toEqual([expect.stringContaining('as it was last flushed')])
    expect(damagedIn(directory)).toEqual([])
    // Once: nothing is undone at the next start.
    const more = await fillStore(directory, sequences(200, 40))
    await expectReads(directory, [...filled, ...more])
    expect(damagedIn(directory)).toEqual([])
  })

  it('a tool reads the store as it was last flushed, before a node has undone the rest', async () => {
    const directory = temporaryDirectory()
    await fillStore(directory, sequences(1, 20))
    const flushed = readFileSync(dataFile(directory))
    await fillStore(directory, sequences(100, 40))
    cutPower(directory, flushed)
    const result = checkStore(directory, { onDamaged: () => {}, onProgress: () => {} })
    expect(result).toMatchObject({ count: 20, damaged: 0 })
  })
})

/** Another process has the store open by LMDB until the test ends, as tools of others do. */
async function holdOpen(directory: string): Promise<void> {
  const code = `
    const { open } = require('lmdb')
    open({ path: ${JSON.stringify(directory)}, noSubdir: false, readOnly: true, encoding: 'binary', maxDbs: 6 })
    console.log('open')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
}

describe('after a flush that failed', () => {
  it('the store is copied to a new file, once, and nothing of it is lost', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(1, 20))
    const before = statSync(dataFile(directory)).ino
    recordFlushFailure(directory, 'EIO')
    const notices: string[] = []
    await openStore(directory, { onNotice: (text) => notices.push(text) }).close()
    const after = statSync(dataFile(directory)).ino
    expect(after).not.toBe(before)
    expect(notices.at(-1)).toBe('Read 20 batches: 0 are damaged')
    await expectReads(directory, filled)
    expect(statSync(dataFile(directory)).ino).toBe(after)
    expect(readdirSync(directory).sort()).toEqual(['data.mdb', 'lock.mdb', 'segments'])
  })

  it('a start that was killed while it copied begins again', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(1, 20))
    recordFlushFailure(directory, 'EIO')
    writeFileSync(join(directory, 'data.mdb.copy'), 'half of it')
    await expectReads(directory, filled)
    expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(false)
    expect(existsSync(join(directory, 'data.mdb.copy'))).toBe(false)
  })

  it('what the disk has lost is named', async () => {
    const directory = temporaryDirectory()
    const filled = await fillStore(directory, sequences(1, 20))
    overwrite(directory, filled[7]!.bytes, 5_000, new Uint8Array(4_096))
    recordFlushFailure(directory, 'EIO')
    const notices: string[] = []
    await openStore(directory, { onNotice: (text) => notices.push(text) }).close()
    expect(notices).toContain(
      `Damaged: ${Buffer.from(filled[7]!.digest).toString('base64')}: the bytes are not those of this digest`,
    )
  })
})
