/**
 * Copies a store's LMDB environment, as it is at one commit, whether a node runs it or not.
 *
 * Of a running store LMDB makes the copy, of a snapshot: pages that are freed meanwhile are not used again before it is
 * over, so the file grows by what is written in that time, and no more afterwards. Of a store that nobody runs we hold the
 * lock, so no node begins before the file is copied as it is; what a power cut has undone is undone in the copy.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { NarvalError } from '../../errors.js'
import { openReadOnly } from '../environment.js'
import { lockStore, type StoreLock } from '../lock.js'
import { prepareFile } from '../prepare-file.js'
import { DATA_FILE, systemReason } from '../store-error.js'
import { backupError, writing } from './backup-error.js'
import { BACKUP_BYTES_PER_TURN } from './limits.js'

/**
 * @param target an empty directory
 * @param log takes what somebody should know
 */
export async function copyEnvironment(
  source: string,
  target: string,
  log: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const lock = lockIfStopped(source)
  try {
    if (lock === undefined) await copyRunning(source, target)
    else await copyStopped(source, target, signal)
  } finally {
    lock?.release()
  }
  // It reads every page of the copy as well.
  prepareFile(target, { log })
}

function lockIfStopped(source: string): StoreLock | undefined {
  try {
    return lockStore(source)
  } catch (error) {
    if (error instanceof NarvalError && error.code === 'ERR_STORE_LOCKED') return undefined
    throw error
  }
}

async function copyRunning(source: string, target: string): Promise<void> {
  let root: ReturnType<typeof openReadOnly>
  try {
    root = openReadOnly(source)
  } catch (error) {
    throw new NarvalError('ERR_FILE_UNREADABLE', `cannot read the store ${source}: ${systemReason(error)}`)
  }
  try {
    await root.backup(target, true)
  } catch (error) {
    throw backupError(target, error)
  } finally {
    await root.close()
  }
}

async function copyStopped(source: string, target: string, signal: AbortSignal): Promise<void> {
  const from = openSync(join(source, DATA_FILE), 'r')
  const to = writing(target, () => openSync(join(target, DATA_FILE), 'wx'))
  try {
    const chunk = Buffer.allocUnsafe(BACKUP_BYTES_PER_TURN)
    for (let at = 0; ; ) {
      const count = readSync(from, chunk, 0, chunk.length, at)
      if (count === 0) break
      writing(target, () => writeAll(to, chunk.subarray(0, count), at))
      at += count
      await nextTurn()
      signal.throwIfAborted()
    }
    writing(target, () => fsyncSync(to))
  } finally {
    closeSync(from)
    closeSync(to)
  }
}

export function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done)
  }
}
