/**
 * Reads of cells, by position. No file stays open: a segment that was removed, or made anew, is never read as it was. A
 * reader beside a running node may find a cell that is being filled with another batch, so what is read is checked by its
 * digest, and looked up again if it is another.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { type Cell, UNIT_BYTES } from './cell.js'

/** The directory of the segments, in the store's. */
export const SEGMENTS_DIRECTORY = 'segments'

/** A segment's file, named by its number. */
export function segmentPath(directory: string, segment: number): string {
  return join(directory, SEGMENTS_DIRECTORY, String(segment))
}

/** The numbers of the segments among the names of files. */
export function segmentNumber(name: string): number | undefined {
  return /^(0|[1-9]\d{0,9})$/.test(name) ? Number(name) : undefined
}

/**
 * The first bytes of a cell, in memory of their own; undefined if the disk does not have or does not give them.
 *
 * @throws what the file system throws when this process has no more files
 */
export function readCell(directory: string, cell: Cell, byteLength: number): Uint8Array<ArrayBuffer> | undefined {
  let fd: number | undefined
  try {
    fd = openSync(segmentPath(directory, cell.segment), 'r')
    const bytes = new Uint8Array(byteLength)
    const position = cell.unit * UNIT_BYTES
    for (let at = 0; at < byteLength; ) {
      const count = readSync(fd, bytes, at, byteLength - at, position + at)
      if (count === 0) return undefined
      at += count
    }
    return bytes
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EMFILE' || code === 'ENFILE') throw error
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
