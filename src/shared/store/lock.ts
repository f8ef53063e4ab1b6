/**
 * One node per store: a lock on a file in the store's directory, held by the kernel for as long as the process lives,
 * so that a node that was killed leaves no lock behind.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { tryLock } from 'fs-native-extensions'
import { NarvalError } from '../errors.js'
import { systemReason } from './store-error.js'

export const LOCK_FILE = 'narval.lock'

export interface StoreLock {
  release(): void
}

/** @throws NarvalError ERR_STORE_LOCKED if another process holds it */
export function lockStore(directory: string): StoreLock {
  let fd: number
  const path = join(directory, LOCK_FILE)
  makeDirectory(directory)
  try {
    fd = openSync(path, 'a+')
  } catch (error) {
    throw notWritable(directory, error)
  }
  if (!lockFile(fd, directory)) {
    const holder = readFileSync(path, 'utf8').trim()
    closeSync(fd)
    throw new NarvalError(
      'ERR_STORE_LOCKED',
      `the store ${directory} is open in another node${holder === '' ? '' : ` (process ${holder})`}: stop it, or give this one a --store of its own`,
    )
  }
  try {
    ftruncateSync(fd)
    writeSync(fd, `${process.pid}\n`)
  } catch {
    // A full disk: the lock holds without the name of its holder.
  }
  return { release: () => closeSync(fd) }
}

/** @throws NarvalError ERR_STORE_WRITE where there are no locks */
function lockFile(fd: number, directory: string): boolean {
  try {
    return tryLock(fd)
  } catch (error) {
    closeSync(fd)
    throw new NarvalError(
      'ERR_STORE_WRITE',
      `the file system of ${directory} takes no locks (${systemReason(error)}), and two nodes with one store would destroy it: give --store a directory on a local disk`,
      { cause: error },
    )
  }
}

/**
 * Makes the last directory of a path. Not those above it: a slip in the path is seen then, and Node's `recursive` never
 * ends where nothing can be made, as in /proc.
 *
 * @throws NarvalError ERR_STORE_WRITE
 */
export function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw notWritable(directory, error)
  }
}

function notWritable(directory: string, error: unknown): NarvalError {
  return new NarvalError(
    'ERR_STORE_WRITE',
    `cannot write to the store's directory ${directory}: ${(error as Error).message}: give --store a directory that this user can make and write to`,
    { cause: error },
  )
}
