/**
 * The file that says that an authority has never signed anything. Whoever makes its keys leaves it in the store's
 * directory; the first start takes it. A start that finds neither a store nor this file cannot know what the key has
 * signed elsewhere, and must sign nothing until the others have said so.
 */
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { NarvalError } from '../../errors.js'
import { storeError } from '../store-error.js'

export const FRESH_FILE = 'fresh'

/** @param authority its public key, in base64. The directory is there. @throws NarvalError ERR_STORE_WRITE */
export function writeFreshMarker(directory: string, authority: string): void {
  try {
    const fd = openSync(join(directory, FRESH_FILE), 'wx')
    try {
      writeSync(fd, `${authority}\n`)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    flushDirectory(directory)
  } catch (error) {
    throw storeError(directory, error)
  }
}

/** Whether the marker is there. @throws NarvalError ERR_STORE_FOREIGN if it is another authority's */
export function isFresh(directory: string, authority: string): boolean {
  let found: string
  try {
    found = readFileSync(join(directory, FRESH_FILE), 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw storeError(directory, error)
  }
  if (found === authority) return true
  throw new NarvalError(
    'ERR_STORE_FOREIGN',
    `${join(directory, FRESH_FILE)} was made for the authority ${found.slice(0, 64)}: give this one a --store of its own`,
  )
}

/** It counts once: what it said is in the store, on the disk. */
export function removeFreshMarker(directory: string): void {
  rmSync(join(directory, FRESH_FILE), { force: true })
  flushDirectory(directory)
}

function flushDirectory(directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
