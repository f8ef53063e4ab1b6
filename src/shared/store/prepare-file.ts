/**
 * Looks at the store's file before LMDB maps it, since LMDB believes it: with a page that is not there, or not what it
 * should be, LMDB ends the process. The caller holds the store's lock.
 *
 * 1. A flush that failed in an earlier run (flush-failure.ts): the file is copied to a new one, which is flushed.
 * 2. After a power cut, commits that were not flushed are undone. LMDB does this too, but only where no reader has the
 *    file open.
 * 3. A file that an earlier start was killed in the middle of making is made anew.
 * 4. Each page of each tree is read and checked; of logs, those that LMDB is about to touch. A file that is shorter than its
 *    meta page says is none the worse if only free pages are missing: it is made as long as it should be.
 */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { NarvalError } from '../errors.js'
import { copyAfterFlushFailure } from './flush-failure.js'
import {
  currentSnapshot,
  isUnfinished,
  machineBootId,
  readMetaPages,
  WHAT_TO_DO_WITH_DAMAGE,
  writeSnapshot,
} from './meta-page.js'
import { DATA_FILE, storeError } from './store-error.js'
import { StoreSnapshot } from './store-snapshot.js'

export interface PrepareDependencies {
  /** What somebody who runs the node should know. */
  readonly log: (text: string) => void
  /** The machine's boot; from the system unless given. */
  readonly bootId?: bigint | undefined
  /** Databases that are logs: see `StoreSnapshot.inspect`. */
  readonly logs?: readonly string[] | undefined
}

/** @throws NarvalError ERR_STORE_FORMAT, ERR_STORE_DAMAGED, ERR_STORE_WRITE */
export function prepareFile(directory: string, dependencies: PrepareDependencies): void {
  const path = join(directory, DATA_FILE)
  try {
    copyAfterFlushFailure(directory, dependencies.log)
    const fd = openSync(path, 'r+')
    try {
      // LMDB begins a store in a file that is empty.
      const { size } = fstatSync(fd)
      if (isUnfinished(fd, size)) ftruncateSync(fd, 0)
      else if (size > 0) prepareOpened(fd, path, dependencies)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (error instanceof NarvalError) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw storeError(directory, error)
  }
}

function prepareOpened(fd: number, path: string, { bootId = machineBootId(), log, logs }: PrepareDependencies): void {
  const pages = readMetaPages(fd, path)
  const { isRolledBack, meta } = currentSnapshot(pages, bootId)
  const { size } = fstatSync(fd)
  const snapshot = new StoreSnapshot(fd, path, size, meta)
  try {
    snapshot.inspect(logs)
  } catch (error) {
    if (!(error instanceof NarvalError)) throw error
    const short = size < snapshot.expectedBytes ? ` (it has ${size} bytes of ${snapshot.expectedBytes})` : ''
    throw new NarvalError('ERR_STORE_DAMAGED', `${error.message}${short}; ${WHAT_TO_DO_WITH_DAMAGE}`)
  }
  if (isRolledBack) {
    const newest = Math.max(...pages.commits.map(({ txnid }) => txnid))
    writeSnapshot(fd, meta, fdatasyncSync)
    log(
      `The machine went down: the store is again as it was last flushed, ${newest - meta.txnid} commits before its end`,
    )
  }
  if (size < snapshot.expectedBytes) ftruncateSync(fd, snapshot.expectedBytes)
}
