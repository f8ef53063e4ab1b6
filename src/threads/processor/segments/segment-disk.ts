/** The files of segments, for writing: past the page cache where the file system lets us (O_DIRECT). */
import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  openSync,
  rmSync,
  write,
  writeSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PAGE_BYTES, pageMemory } from '../../../shared/memory/page-memory.js'
import { SEGMENT_BYTES } from '../../../shared/store/segments/limits.js'

/** What segments are written with; tests put another in its place. */
export interface SegmentDisk {
  /** False where what is written goes through the page cache. */
  readonly isDirect: boolean
  /** Opens the file of a segment, and makes it if there is none. @throws what the file system throws */
  open(path: string): SegmentHandle
  /** Flushes the names of files that were made. */
  flushNames(directory: string): Promise<void>
  /** Removes the file of a segment, if there is one. */
  remove(path: string): Promise<void>
  close(): void
}

export interface SegmentHandle {
  /** The file was not there before. */
  readonly isNew: boolean
  /** Memory, position and length are whole pages. Resolves when the system has taken all of it. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Resolves when what was written before the call is on the disk. */
  flush(): Promise<void>
  close(): void
}

/** The disk under a directory. @throws what the file system throws */
export function openSegmentDisk(directory: string): SegmentDisk {
  const isDirect = takesDirectWrites(directory)
  const flags = constants.O_RDWR | constants.O_CREAT | (isDirect ? constants.O_DIRECT : 0)
  // It stays open: a batch must not be lost because the names cannot be flushed for want of a descriptor.
  const names = openSync(directory, 'r')
  return {
    isDirect,
    open(path) {
      const isNew = !existsSync(path)
      const fd = openSync(path, flags)
      // Room is taken from the disk when it is written to, once: a segment that is filled again has it.
      if (fstatSync(fd).size < SEGMENT_BYTES) ftruncateSync(fd, SEGMENT_BYTES)
      return {
        isNew,
        write: (bytes, position) => writeAll(fd, bytes, position),
        flush: () => promisify(fdatasync)(fd),
        close: () => closeSync(fd),
      }
    },
    async flushNames(path) {
      if (path === directory) return promisify(fsync)(names)
      const fd = openSync(path, 'r')
      try {
        await promisify(fsync)(fd)
      } finally {
        closeSync(fd)
      }
    },
    remove: (path) => rm(path, { force: true }),
    close: () => closeSync(names),
  }
}

/** Tries it: some file systems refuse the flag, and some refuse the write. */
function takesDirectWrites(directory: string): boolean {
  if (constants.O_DIRECT === undefined) return false
  const path = join(directory, 'probe')
  try {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT)
    try {
      return writeSync(fd, new Uint8Array(pageMemory(PAGE_BYTES)), 0, PAGE_BYTES, 0) === PAGE_BYTES
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EINVAL' || code === 'ENOTSUP' || code === 'EOPNOTSUPP') return false
    throw error
  } finally {
    rmSync(path, { force: true })
  }
}

async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += await writeSome(fd, bytes, at, position + at)
}

function writeSome(fd: number, bytes: Uint8Array, at: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, at, bytes.length - at, position, (error, count) => {
      if (error !== null) reject(error)
      else if (count === 0) reject(new Error('a write to a segment took nothing'))
      else resolve(count)
    })
  })
}
