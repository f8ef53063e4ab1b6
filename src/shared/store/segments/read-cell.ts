/**
 * Reads of cells, by position, for tools: no file stays open, so a segment that a running node has removed is never read as
 * it was. The node itself keeps files open (cell-reader.ts).
 *
 * A reader beside a running node may find a cell that is being filled with another batch, so what is read is checked by
 * its digest, and looked up again if it is another.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { isOutOfFiles } from '../store-error.js'
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
 * @throws what the file system throws when this process may open no more files
 */
export function readCell(directory: string, cell: Cell, byteLength: number): Uint8Array<ArrayBuffer> | undefined {
  const fd = openSegment(directory, cell.segment)
  if (fd === undefined) return undefined
  try {
    return readOpened(fd, cell, byteLength)
  } finally {
    closeSync(fd)
  }
}

/**
 * Opens a segment for reading; undefined if the disk does not have or does not give it.
 *
 * @throws what the file system throws when this process may open no more files
 */
export function openSegment(directory: string, segment: number): number | undefined {
  try {
    return openSync(segmentPath(directory, segment), 'r')
  } catch (error) {
    if (isOutOfFiles(error)) throw error
    return undefined
  }
}

/** The same as `readCell`, from a segment that is open. */
export function readOpened(fd: number, { unit }: Cell, byteLength: number): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(byteLength)
  const position = unit * UNIT_BYTES
  try {
    for (let at = 0; at < byteLength; ) {
      const count = readSync(fd, bytes, at, byteLength - at, position + at)
      if (count === 0) return undefined
      at += count
    }
  } catch {
    return undefined
  }
  return bytes
}
