/**
 * `backup`: copies a store, or all of an authority's, while its node runs or not, to a directory that a node can be started
 * with. It is made beside its place, under a name that no node is started with, and gets its own name when it is whole.
 */
import { existsSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { NarvalError } from '../../shared/errors.js'
import { storesIn } from '../../shared/store/authority-directories.js'
import { backupError } from '../../shared/store/backup/backup-error.js'
import { type BackedUp, backupStore } from '../../shared/store/backup/backup-store.js'
import { flushDirectory } from '../../shared/store/flushed-file.js'
import { LOCK_FILE, lockStore } from '../../shared/store/lock.js'
import { mebibytes } from '../lib/mebibytes.js'
import { EXIT_INTERRUPTED, watchSignals } from '../lib/signals.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { progress } from './progress.js'

const UNFINISHED = '.unfinished'

/** Returns the exit code: 1 if something of the store is damaged, and so not in the backup. */
export async function backup(store: string, to: string): Promise<number> {
  const target = placeOf(store, to)
  const unfinished = `${target}${UNFINISHED}`
  const interrupt = watchSignals(() => process.exit(EXIT_INTERRUPTED))
  const lock = lockUnfinished(unfinished)
  try {
    empty(unfinished)
    const damaged = await copyStores(store, unfinished, interrupt.signal)
    finish(unfinished, target)
    process.stdout.write(
      `${to} is a backup of ${store}: a node that is started with it signs nothing until the others have said how far its authority was\n`,
    )
    return damaged === 0 ? 0 : EXIT_FAILURE
  } catch (error) {
    remove(unfinished)
    if (interrupt.signal.aborted) return EXIT_INTERRUPTED
    throw error
  } finally {
    lock.release()
    interrupt.dispose()
  }
}

/** Returns how many batches are damaged. */
async function copyStores(store: string, unfinished: string, signal: AbortSignal): Promise<number> {
  let damaged = 0
  // The primary's first: what it names, the workers have then, or had.
  for (const [name, path] of storesIn(store)) {
    const prefix = name === '' ? '' : `${name}: `
    const say = progress()
    const result = await backupStore(path, join(unfinished, name === '' ? ONLY : name), {
      signal,
      onNotice: (text) => process.stderr.write(`${prefix}${text}\n`),
      onDamaged: (digest) => process.stdout.write(`damaged  ${encodeBase64(digest)}  not in the backup\n`),
      onProgress: (batches, bytes) => say(() => `${prefix}${batches} batches in segments, ${mebibytes(bytes)}`),
    })
    process.stdout.write(`${prefix}${textOf(result)}\n`)
    if (result.kind === 'worker') damaged += result.damaged
  }
  return damaged
}

/** The name of the copy of a store that is no authority's, until it is whole. */
const ONLY = 'store'

function finish(unfinished: string, target: string): void {
  const only = join(unfinished, ONLY)
  const whole = existsSync(only) ? only : unfinished
  try {
    rmSync(join(unfinished, LOCK_FILE), { force: true })
    flushDirectory(unfinished)
    renameSync(whole, target)
    if (whole === only) rmSync(unfinished, { recursive: true, force: true })
    flushDirectory(dirname(target))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR') throw exists(target)
    throw backupError(dirname(target), error)
  }
}

/** Where the backup is to be. @throws NarvalError ERR_FILE_EXISTS, ERR_FILE_MISSING, ERR_USAGE */
function placeOf(store: string, to: string): string {
  const parent = realPath(dirname(resolve(to)))
  if (parent === undefined) {
    throw new NarvalError('ERR_FILE_MISSING', `the directory of ${to} does not exist: make it first`)
  }
  const target = join(parent, basename(resolve(to)))
  const source = realPath(store)
  if (source !== undefined && (target === source || target.startsWith(source + sep))) {
    throw new NarvalError(
      'ERR_USAGE',
      `--to ${to} is in the store itself: give a directory elsewhere, best on another disk`,
    )
  }
  if (existsSync(target) && !isEmptyDirectory(target)) throw exists(to)
  return target
}

function exists(to: string): NarvalError {
  return new NarvalError(
    'ERR_FILE_EXISTS',
    `${to} exists, and is not overwritten: give --to a new directory, or remove it`,
  )
}

function isEmptyDirectory(path: string): boolean {
  try {
    return readdirSync(path).length === 0
  } catch {
    return false
  }
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/** Another backup to the same place may be under way; what one that was killed has left is removed. */
function lockUnfinished(unfinished: string): { release(): void } {
  try {
    return lockStore(unfinished)
  } catch (error) {
    if (!(error instanceof NarvalError) || error.code !== 'ERR_STORE_LOCKED') throw backupError(unfinished, error)
    throw new NarvalError('ERR_STORE_LOCKED', `another backup to the same place is being made: ${unfinished}`)
  }
}

function empty(unfinished: string): void {
  try {
    for (const name of readdirSync(unfinished)) {
      if (name !== LOCK_FILE) rmSync(join(unfinished, name), { recursive: true, force: true })
    }
  } catch (error) {
    throw backupError(unfinished, error)
  }
}

function remove(unfinished: string): void {
  try {
    rmSync(unfinished, { recursive: true, force: true })
  } catch {
    // It has another name than a backup, and the next one removes it.
  }
}

function textOf(result: BackedUp): string {
  const size = mebibytes(result.bytes)
  if (result.kind === 'primary') return `the primary's store up to commit ${result.lastCommit}, ${size}`
  const { batches, damaged, deleted } = result
  const less = [
    ...(deleted > 0 ? [`${deleted} were deleted meanwhile`] : []),
    ...(damaged > 0 ? [`${damaged} are damaged`] : []),
  ]
  const without = less.length === 0 ? '' : `; not in it: ${less.join(', ')}`
  return `the worker's store, ${batches} batches in segments, ${size}${without}`
}
