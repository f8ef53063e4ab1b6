/**
 * `backup`: copies a store, or all of an authority's, while its node runs or not, to a directory that a node can be started
 * with. It is made beside its place, under a name that no node is started with, and gets its own name when it is whole.
 */
import { existsSync } from 'node:fs'
import { join, sep } from 'node:path'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { NarvalError } from '../../shared/errors.js'
import { storesIn } from '../../shared/store/authority-directories.js'
import { backupError } from '../../shared/store/backup/backup-error.js'
import { type BackedUp, backupStore } from '../../shared/store/backup/backup-store.js'
import { mebibytes } from '../lib/mebibytes.js'
import { NewDirectory, realPath } from '../lib/new-directory.js'
import { EXIT_INTERRUPTED, watchSignals } from '../lib/signals.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { progress } from './progress.js'

/** Returns the exit code: 1 if something of the store is damaged, and so not in the backup. */
export async function backup(store: string, to: string): Promise<number> {
  const interrupt = watchSignals(() => process.exit(EXIT_INTERRUPTED))
  const refuse = (target: string): void => refuseInside(store, to, target)
  const directory = NewDirectory.open({ to, flag: '--to', what: 'backup', refuse, failure: backupError })
  try {
    const damaged = await copyStores(store, directory.unfinished, interrupt.signal)
    const only = join(directory.unfinished, ONLY)
    directory.finish(existsSync(only) ? only : undefined)
    process.stdout.write(
      `${to} is a backup of ${store}: a node that is started with it signs nothing until the others have said how far its authority was\n`,
    )
    return damaged === 0 ? 0 : EXIT_FAILURE
  } catch (error) {
    directory.remove()
    if (interrupt.signal.aborted) return EXIT_INTERRUPTED
    throw error
  } finally {
    directory.close()
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

/** @throws NarvalError ERR_USAGE */
function refuseInside(store: string, to: string, target: string): void {
  const source = realPath(store)
  if (source === undefined || (target !== source && !target.startsWith(source + sep))) return
  throw new NarvalError(
    'ERR_USAGE',
    `--to ${to} is in the store itself: give a directory elsewhere, best on another disk`,
  )
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
