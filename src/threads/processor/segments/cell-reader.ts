/**
 * The node's reads of cells, by position. It keeps the files of the segments that were read last open, and gives one of
 * them for another when this process may open no more files. So batches are served, and checked, while clients or
 * anything else in the process take every descriptor.
 *
 * A file that was removed, or has another in its place, is not read as it was.
 *
 * The descriptors are never less than one, unless another thread is quicker to take what was given: then the read fails
 * with ERR_BUSY, and is tried again (control.ts).
 */
import { closeSync, fstatSync, openSync } from 'node:fs'
import { NarvalError } from '../../../shared/errors.js'
import type { Cell } from '../../../shared/store/segments/cell.js'
import { SEGMENTS_READ_MAX } from '../../../shared/store/segments/limits.js'
import { openSegment, readOpened } from '../../../shared/store/segments/read-cell.js'
import { isOutOfFiles } from '../../../shared/store/store-error.js'

export class CellReader {
  private readonly directory: string
  /** Descriptors by segment, the one that was not used for the longest first; at most SEGMENTS_READ_MAX. */
  private readonly files = new Map<number, number>()
  /** A descriptor to give while no segment is open. */
  private spare: number | undefined

  /** @throws what the file system throws */
  constructor(directory: string) {
    this.directory = directory
    this.spare = openSync(directory, 'r')
  }

  /**
   * The first bytes of a cell, in memory of their own; undefined if the disk does not have or does not give them.
   *
   * @throws NarvalError ERR_BUSY while this process may open no more files
   */
  read(cell: Cell, byteLength: number): Uint8Array<ArrayBuffer> | undefined {
    const fd = this.fileOf(cell.segment)
    return fd === undefined ? undefined : readOpened(fd, cell, byteLength)
  }

  /** The segment is about to be removed: its file must not take room any longer. */
  forget(segment: number): void {
    const fd = this.files.get(segment)
    if (fd === undefined) return
    this.files.delete(segment)
    closeSync(fd)
    if (this.spare === undefined) this.takeSpare()
  }

  close(): void {
    while (this.giveOne());
  }

  private fileOf(segment: number): number | undefined {
    const open = this.files.get(segment)
    if (open !== undefined && fstatSync(open).nlink === 0) this.forget(segment)
    const fd = this.files.get(segment) ?? this.open(segment)
    if (fd === undefined) return undefined
    this.files.delete(segment)
    this.files.set(segment, fd)
    if (this.files.size > SEGMENTS_READ_MAX) this.giveOne()
    return fd
  }

  private open(segment: number): number | undefined {
    for (;;) {
      try {
        return openSegment(this.directory, segment)
      } catch (error) {
        if (!isOutOfFiles(error)) throw error
        if (!this.giveOne()) {
          throw new NarvalError('ERR_BUSY', `no file can be opened in ${this.directory}: raise its limit (ulimit -n)`, {
            cause: error,
          })
        }
      }
    }
  }

  /** Closes the file that was not used for the longest, or the spare. */
  private giveOne(): boolean {
    const [oldest, fd] = this.files.entries().next().value ?? [undefined, this.spare]
    if (fd === undefined) return false
    if (oldest === undefined) this.spare = undefined
    else this.files.delete(oldest)
    closeSync(fd)
    return true
  }

  private takeSpare(): void {
    try {
      this.spare = openSync(this.directory, 'r')
    } catch {
      // Another thread was quicker.
    }
  }
}
