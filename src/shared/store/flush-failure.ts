/**
 * What is left of a flush that failed. Linux reports the failure once, and counts the pages as written from then on: the
 * next flush succeeds, and reading back shows what is in memory, not what is on the disk. So a failure is written down,
 * and the next start copies the store to a new file, whose pages are all written and flushed anew, before anything is
 * acknowledged again.
 *
 * The record itself may not reach that disk either. It need not: where the machine went down as well, memory is gone,
 * and the store is read as it was last flushed.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { NarvalError } from '../errors.js'
import { checkStore } from './check-store.js'
import { flushDirectory, writeFlushed } from './flushed-file.js'
import { DATA_FILE, freeBytes, isOutOfFiles } from './store-error.js'

/** The file that says that a flush failed; a directory where no file could be opened. */
export const FLUSH_FAILURE_FILE = 'flush-failed'
const COPY_FILE = `${DATA_FILE}.copy`
const COPY_CHUNK_BYTES = 4 * 1024 * 1024
/** Damaged digests that are named in the log; `narval check` names all. */
const DAMAGED_NAMED_MAX = 10

/** Writes down that a flush of the store failed. As much of it as the disk takes: nothing here throws. */
export function recordFlushFailure(directory: string, reason: string): void {
  const record = join(directory, FLUSH_FAILURE_FILE)
  try {
    writeFlushed(record, `${reason}\n`)
    flushDirectory(directory)
  } catch (error) {
    // What was written is in memory, which is where the next start looks.
    if (isOutOfFiles(error) && !existsSync(record)) makeWithoutDescriptor(record)
  }
}

/**
 * Copies the store's file if a flush of it failed, and forgets the failure when the copy is on the disk. A start that is
 * killed in between begins again.
 *
 * @throws NarvalError ERR_STORE_WRITE if there is no room; and what the file system throws
 */
export function copyAfterFlushFailure(directory: string, log: (text: string) => void): void {
  const record = join(directory, FLUSH_FAILURE_FILE)
  const copy = join(directory, COPY_FILE)
  rmSync(copy, { force: true })
  if (!existsSync(record)) return
  const data = join(directory, DATA_FILE)
  if (existsSync(data)) {
    log('A flush of the store failed in an earlier run: copying the store to a new file')
    const byteLength = copyFlushed(data, copy)
    renameSync(copy, data)
    flushDirectory(directory)
    log(`Copied and flushed ${byteLength} bytes; reading all of it`)
    reportDamage(directory, log)
  }
  rmSync(record, { recursive: true })
  flushDirectory(directory)
}

/** A directory needs no descriptor; it has no room for the reason, which is in the log. */
function makeWithoutDescriptor(record: string): void {
  try {
    mkdirSync(record)
  } catch {
    // The disk takes nothing.
  }
}

/** Byte by byte: a copy by the file system could share the blocks that were not written. */
function copyFlushed(from: string, to: string): number {
  const source = openSync(from, 'r')
  try {
    const { size } = fstatSync(source)
    const free = freeBytes(from)
    if (free < size) {
      throw new NarvalError(
        'ERR_STORE_WRITE',
        `a flush of ${from} failed, and ${free} bytes are free where its copy needs ${size}: make room, then start the node again`,
      )
    }
    const target = openSync(to, 'w')
    try {
      const chunk = Buffer.allocUnsafe(COPY_CHUNK_BYTES)
      for (let at = 0; ; ) {
        const count = readSync(source, chunk, 0, chunk.length, at)
        if (count === 0) break
        for (let done = 0; done < count; ) done += writeSync(target, chunk, done, count - done, at + done)
        at += count
      }
      fsyncSync(target)
    } finally {
      closeSync(target)
    }
    return size
  } finally {
    closeSync(source)
  }
}

/** What was not in memory any more, and never reached the disk, is what the disk had before. */
function reportDamage(directory: string, log: (text: string) => void): void {
  let named = 0
  const { count, damaged, what } = checkStore(directory, {
    onDamaged: (digest, why) => {
      named += 1
      if (named <= DAMAGED_NAMED_MAX) log(`Damaged: ${digest}: ${why}`)
    },
    onProgress: () => {},
  })
  log(`Read ${count} ${what}: ${damaged} are damaged${damaged > 0 ? '; `narval check` names them all' : ''}`)
}
