/** Small files that are on the disk, with their names, when the call returns. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'

/** Writes a file and flushes it; its name is on the disk after `flushDirectory`. @throws what the file system throws */
export function writeFlushed(path: string, text: string): void {
  const fd = openSync(path, 'w')
  try {
    writeSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Flushes the names of a directory's files. @throws what the file system throws */
export function flushDirectory(directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
