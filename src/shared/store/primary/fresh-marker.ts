/**
 * The file that says that an authority has never signed anything. Whoever makes its keys leaves it in the store's
 * directory; the first start takes it. A start that finds neither a store nor this file cannot know what the key has
 * signed elsewhere, and must sign nothing until the others have said so.
 */
import { linkSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { NarvalError } from '../../errors.js'
import { flushDirectory, writeFlushed } from '../flushed-file.js'
import { META_BACKUP, META_FORMAT } from '../format.js'
import { lockStore, makeDirectory } from '../lock.js'
import { readMeta } from '../read-meta.js'
import { storeError } from '../store-error.js'
import { StoreFile } from '../store-snapshot.js'
import { checkPrimaryFormat, META_SETTINGS, PrimaryKeys } from './format.js'
import { decodeSettings } from './settings.js'

export const FRESH_FILE = 'fresh'
const UNFINISHED_FILE = `${FRESH_FILE}.new`

/** @param authority its public key, in base64. The directory is there. @throws NarvalError ERR_STORE_WRITE */
export function writeFreshMarker(directory: string, authority: string): void {
  try {
    // Under its own name it is whole: a marker that a kill left empty would be nobody's, and in the way of the next.
    const whole = join(directory, UNFINISHED_FILE)
    writeFlushed(whole, `${authority}\n`)
    linkSync(whole, join(directory, FRESH_FILE))
    rmSync(whole)
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
  for (const name of [FRESH_FILE, UNFINISHED_FILE]) rmSync(join(directory, name), { force: true })
  flushDirectory(directory)
}

/**
 * Whether nothing that was signed is in the store: there is none yet, or it was made without the marker and has signed
 * neither while it waited for the others nor after they answered. A backup says nothing about that.
 *
 * @throws NarvalError ERR_STORE_FORMAT, ERR_STORE_DAMAGED
 */
export function hasSignedNothing(directory: string): boolean {
  const format = readMeta(directory, META_FORMAT)
  if (format === undefined) return true
  checkPrimaryFormat(format, directory, true)
  const keys = new PrimaryKeys(decodeSettings(readMeta(directory, META_SETTINGS)).epoch)
  const file = new StoreFile(directory)
  try {
    return file.read((snapshot) => {
      const hasVoted = [...snapshot.entries('votes', 1)].length > 0
      const isBackup = snapshot.get('meta', META_BACKUP) !== undefined
      return !hasVoted && !isBackup && snapshot.get('state', keys.state('own-header')) === undefined
    })
  } finally {
    file.close()
  }
}

/**
 * Says of keys that they have never been used, so that an authority with a new store may sign at once.
 *
 * @param directory of the primary's store; it and the one above it are made
 * @throws NarvalError ERR_STORE_USED if the store has been used; ERR_STORE_LOCKED, ERR_STORE_FOREIGN, ERR_STORE_WRITE
 */
export function markFreshStore(directory: string, authority: string): void {
  makeDirectory(directory)
  const lock = lockStore(directory)
  try {
    if (!hasSignedNothing(directory)) {
      throw new NarvalError(
        'ERR_STORE_USED',
        `the store ${directory} has been used already: its authority goes on from it, and needs no mark`,
      )
    }
    if (!isFresh(directory, authority)) writeFreshMarker(directory, authority)
  } finally {
    lock.release()
  }
}
