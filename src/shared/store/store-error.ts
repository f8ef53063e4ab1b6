/** What goes wrong with a store's files, as a user is told. LMDB itself crashes on some of it: it is looked for first. */
import { closeSync, openSync, readSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { STORE_FREE_BYTES_MIN } from '../constants.js'
import { NarvalError } from '../errors.js'

/** Where lmdb-js has LMDB's magic number in the first page, and what it is (mdb.c `MDB_MAGIC`). */
const MAGIC_AT = 24
const MAGIC = 0xbeefc0de

/** @throws NarvalError ERR_STORE_FORMAT if there is a data file and it is not LMDB's */
export function checkDataFile(directory: string): void {
  const head = Buffer.alloc(MAGIC_AT + 4)
  let length: number
  try {
    const file = openSync(join(directory, 'data.mdb'), 'r')
    length = readSync(file, head)
    closeSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw storeError(directory, error)
  }
  // LMDB begins a store in a file that is empty.
  if (length === 0 || (length === head.length && head.readUInt32LE(MAGIC_AT) === MAGIC)) return
  throw new NarvalError(
    'ERR_STORE_FORMAT',
    `${join(directory, 'data.mdb')} is no store of narval: give this node a --store of its own`,
  )
}

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
  const isFull = /no space|ENOSPC|MDB_MAP_FULL/i.test(message) || freeBytes(directory) < STORE_FREE_BYTES_MIN
  return new NarvalError(
    'ERR_STORE_WRITE',
    isFull
      ? `no space left on the device of ${directory}: make room, then start the node again; nothing acknowledged is lost`
      : `cannot write to ${directory}: ${message}`,
    { cause: error },
  )
}

function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
