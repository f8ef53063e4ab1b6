/** Of a log, a start reads what LMDB is about to touch: its start, its end, and all branches. */
import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, test } from 'vitest'
import { openBinary, openEnvironment } from '../../../src/shared/store/environment.js'
import { StoreFile } from '../../../src/shared/store/store-snapshot.js'
import { dataFile, writeAt } from '../../support/damaged-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const ENTRIES = 40_000
/** A value that is found in the file. */
const textOf = (n: number): Buffer => Buffer.from(`entry ${String(n).padStart(9, '0')} of the log`)
const keyOf = (n: number): Buffer => {
  const key = Buffer.alloc(8)
  key.writeBigUInt64BE(BigInt(n))
  return key
}

let directory: string
beforeEach(async () => {
  directory = temporaryDirectory()
  const root = openEnvironment(directory, 2)
  const log = openBinary(root, 'log')
  for (let n = 0; n < ENTRIES; n += 1) void log.put(keyOf(n), textOf(n))
  await root.flushed
  await root.close()
})

function read(leavesAtStart?: number): number[] {
  const file = new StoreFile(directory)
  try {
    return file.read((snapshot) =>
      snapshot
        .entries('log', Number.POSITIVE_INFINITY, { leavesAtStart })
        .map(({ key }) => Number(key.readBigUInt64BE(0))),
    )
  } finally {
    file.close()
  }
}

function inspect(logs: readonly string[]): void {
  const file = new StoreFile(directory)
  try {
    file.read((snapshot) => snapshot.inspect(logs))
  } finally {
    file.close()
  }
}

/** Makes the leaf with this entry say that it is another page. */
function damageLeaf(n: number): void {
  const page = Math.floor(readFileSync(dataFile(directory)).indexOf(textOf(n)) / 4096)
  expect(page).toBeGreaterThan(0)
  writeAt(directory, page * 4096, new Uint8Array([0xff, 0xff]))
}

describe('of a log', () => {
  test('the first leaves are read, and those under the last branch', () => {
    expect(read()).toHaveLength(ENTRIES)
    const [few, more] = [read(3), read(6)]
    const gapAt = few.findIndex((n, at) => n !== at)
    expect(gapAt).toBeGreaterThan(30)
    expect(more.findIndex((n, at) => n !== at)).toBeGreaterThan(gapAt)
    expect(few.slice(gapAt)).toEqual(Array.from({ length: few.length - gapAt }, (_, n) => few[gapAt]! + n))
    expect(few.at(-1)).toBe(ENTRIES - 1)
    expect(few.length).toBeLessThan(ENTRIES / 2)
  })

  test.each([0, 1, ENTRIES - 1, ENTRIES - 100])('damage at entry %i is found', (n) => {
    damageLeaf(n)
    expect(() => inspect(['log'])).toThrow(expect.objectContaining({ code: 'ERR_STORE_DAMAGED' }))
  })

  test('damage in the first thousand leaves is found, and of a database that is none, everywhere', () => {
    damageLeaf(ENTRIES / 2)
    expect(() => inspect([])).toThrow(expect.objectContaining({ code: 'ERR_STORE_DAMAGED' }))
    expect(() => inspect(['another'])).toThrow(expect.objectContaining({ code: 'ERR_STORE_DAMAGED' }))
    expect(() => inspect(['log'])).toThrow(expect.objectContaining({ code: 'ERR_STORE_DAMAGED' }))
    expect(() => read()).toThrow(expect.objectContaining({ code: 'ERR_STORE_DAMAGED' }))
    // A start that read fewer would not find it.
    expect(read(3).at(-1)).toBe(ENTRIES - 1)
  })
})
