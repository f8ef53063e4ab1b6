/** What goes wrong with a store's files, as a user is told. */
import { statfsSync } from 'node:fs'
import { constants } from 'node:os'
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
  const message = systemReason(error)
  return new NarvalError(
    'ERR_STORE_WRITE',
    isFull(directory, error)
      ? `no space left on the device of ${directory}: make room, then start the node again; nothing acknowledged is lost`
      : `cannot write to ${directory}: ${message}${remedyFor(message)}`,
    { cause: error },
  )
}

/** This process, or the machine, may open no more files: nothing is wrong with the disk. */
export function isOutOfFiles(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EMFILE' || code === 'ENFILE'
}

function remedyFor(message: string): string {
  if (/\b(?:EMFILE|ENFILE)\b/.test(message)) {
    return ': it may open too few files; raise its limit (ulimit -n, LimitNOFILE)'
  }
  if (/\bEIO\b|Input\/output/i.test(message)) {
    return ": the machine's log has what its disk said; what is acknowledged is checked and copied at the next start"
  }
  return /\b(?:EACCES|EPERM|EROFS)\b|Permission denied|Read-only/i.test(message)
    ? ': give --store a directory that this user can write to'
    : ''
}

/** What a system error says; libuv, which knows not all of them, has a number for the others. */
export function systemReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const [, number] = /^Unknown system error -(\d+)/.exec(message) ?? []
  const [name] = Object.entries(constants.errno).find(([, value]) => value === Number(number)) ?? []
  return name ?? message
}

/** True if it is for want of room that a write failed. */
export function isFull(directory: string, error: unknown): boolean {
  const message = error instanceof Error ? error.message : String(error)
  return /no space|ENOSPC|MDB_MAP_FULL/i.test(message) || freeBytes(directory) < STORE_FREE_BYTES_MIN
}

/** Bytes that may still be written on the device of a path; infinite where the file system does not count, as ramfs. */
export function freeBytes(path: string): number {
  try {
    const { bavail, blocks, bsize } = statfsSync(path)
    return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
