import { mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { UNIT_BYTES } from '../../../../src/shared/store/segments/cell.js'
import { SEGMENTS_READ_MAX } from '../../../../src/shared/store/segments/limits.js'
import { segmentPath } from '../../../../src/shared/store/segments/read-cell.js'
import { CellReader } from '../../../../src/threads/processor/segments/cell-reader.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

const SEGMENTS = SEGMENTS_READ_MAX + 10

let directory: string
let reader: CellReader
beforeEach(() => {
  directory = temporaryDirectory()
  mkdirSync(dirname(segmentPath(directory, 0)))
  for (let segment = 0; segment < SEGMENTS; segment += 1) {
    writeFileSync(segmentPath(directory, segment), Buffer.alloc(2 * UNIT_BYTES, segment))
  }
  reader = new CellReader(directory)
  onTestFinished(() => reader.close())
})

/** Files of the store that this process has open. */
function openNow(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(join('/proc/self/fd', fd))
      return path.startsWith(join(directory, 'segments')) ? [path.slice(directory.length + '/segments/'.length)] : []
    } catch {
      return []
    }
  })
}

const read = (segment: number, byteLength = 100): number | undefined =>
  reader.read({ segment, unit: 1, units: 1 }, byteLength)?.[0]

describe.runIf(process.platform === 'linux')('the files of segments', () => {
  it('stay open while they are read, the last ones, and never more than there may be', () => {
    for (let segment = 0; segment < SEGMENTS; segment += 1) {
      expect(read(segment)).toBe(segment)
      expect(openNow().length).toBeLessThanOrEqual(SEGMENTS_READ_MAX)
    }
    const last = SEGMENTS - SEGMENTS_READ_MAX
    expect(read(last)).toBe(last)
    expect(openNow()).not.toContain(`${last - 1}`)
    // The one that was read just now is not the next to be closed.
    expect(read(0)).toBe(0)
    expect(openNow()).toContain(`${last}`)
    expect(openNow()).not.toContain(`${last + 1}`)
    reader.close()
    expect(openNow()).toEqual([])
  })

  it('that are removed do not stay open, and are not read as they were', () => {
    expect(read(3)).toBe(3)
    reader.forget(3)
    expect(openNow()).toEqual([])
    rmSync(segmentPath(directory, 3))
    expect(read(3)).toBeUndefined()
    writeFileSync(segmentPath(directory, 3), Buffer.alloc(2 * UNIT_BYTES, 77))
    expect(read(3)).toBe(77)
  })

  it('that somebody removes, or puts another in place of, are not read as they were', () => {
    expect([read(4), read(5)]).toEqual([4, 5])
    rmSync(segmentPath(directory, 4))
    renameSync(segmentPath(directory, 6), segmentPath(directory, 5))
    expect([read(4), read(5)]).toEqual([undefined, 6])
    expect(openNow()).toEqual(['5'])
  })

  it('that are cut off, or are none, give nothing', () => {
    expect(read(5, UNIT_BYTES + 1)).toBeUndefined()
    expect(read(SEGMENTS)).toBeUndefined()
    expect(read(5)).toBe(5)
  })
})
