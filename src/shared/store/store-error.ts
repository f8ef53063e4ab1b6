/** What goes wrong with a store's files, as a user is told. */
import { statfsSync } from 'node:fs'
import { NarvalError } from '../errors.js'
import { STORE_FREE_BYTES_MIN } from './limits.js'

/** LMDB's name for the file with everything in it. */
export const DATA_FILE = 'data.mdb'

/** @throws NarvalError ERR_STORE_WRITE if the disk has too little room to begin with */
export function checkFreeSpace(directory: string): void {
  const free = freeBytes(directory)
  if (free >= STORE_FREE_BYTES_MIN) return
  throw new NarvalError(
    'ERR_STORE_WRITE',
    `no space left on the device of ${directory}: ${free} bytes are free, at least ${STORE_FREE_BYTES_MIN} are needed: make room`,
  )
}

/** An error of the file system's or LMDB's. A write that the disk had no room for may come as any of several. */
export function storeError(directory: string, error: unknown): NarvalError {
  const message = error instanceof Error ? error.message : String(error)
  return new NarvalError(
    'ERR_STORE_WRITE',
    isFull(directory, error)
      ? `no space left on the device of ${directory}: make room, then start the node again; nothing acknowledged is lost`
      : `cannot write to ${directory}: ${message}`,
    { cause: error },
  )
}

/** True if it is for want of room that a write failed. */
export function isFull(directory: string, error: unknown): boolean {
  const message = error instanceof Error ? error.message : String(error)
  return /no space|ENOSPC|MDB_MAP_FULL/i.test(message) || freeBytes(directory) < STORE_FREE_BYTES_MIN
}

function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
