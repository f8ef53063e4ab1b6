/**
 * A disk for segments of which the power can be cut: beside the real files it keeps others, which have what a disk must
 * have then. What was flushed is there. Of what was written and not flushed, each page is there or not, by chance; so is
 * each file that was made or removed, if the names were not flushed since.
 */
import { closeSync, existsSync, ftruncateSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { SEGMENT_BYTES } from '../../src/shared/store/segments/limits.js'
import {
  openSegmentDisk,
  type SegmentDisk,
  type SegmentHandle,
} from '../../src/threads/processor/segments/segment-disk.js'

const PAGE_BYTES = 4096

interface Written {
  readonly file: string
  readonly position: number
  readonly bytes: Uint8Array
  isDone: boolean
}

export class CutDisk implements SegmentDisk {
  readonly isDirect: boolean
  private readonly disk: SegmentDisk
  private readonly directory: string
  private readonly left: string
  private pending: Written[] = []
  private readonly unnamed = new Set<string>()
  private readonly removed = new Set<string>()
  private isCut = false
  /** Called when a write has begun. */
  onWrite: () => void = () => {}

  /**
   * `left` is the directory of the segments that a cut leaves; what is in it by now is on the disk. What is in `directory`
   * alone was made by a run that was killed before it flushed the names.
   */
  constructor(directory: string, left: string) {
    this.disk = openSegmentDisk(directory)
    this.directory = directory
    this.isDirect = this.disk.isDirect
    this.left = left
    for (const name of readdirSync(directory)) this.make(join(left, name))
  }

  open(path: string): SegmentHandle {
    const handle = this.disk.open(path)
    const file = join(this.left, basename(path))
    this.make(file)
    return {
      isNew: handle.isNew,
      write: async (bytes, position) => {
        const written = { file, position, bytes: bytes.slice(), isDone: false }
        this.pending.push(written)
        this.onWrite()
        await handle.write(bytes, position)
        written.isDone = true
      },
      flush: async () => {
        const covered = this.pending.filter((written) => written.file === file && written.isDone)
        await handle.flush()
        if (this.isCut) return
        for (const written of covered) this.apply(written, () => true)
        this.pending = this.pending.filter((written) => !covered.includes(written))
      },
      close: () => handle.close(),
    }
  }

  async flushNames(directory: string): Promise<void> {
    const named = [...this.unnamed]
    const removed = [...this.removed]
    await this.disk.flushNames(directory)
    if (this.isCut || directory !== this.directory) return
    for (const file of named) this.unnamed.delete(file)
    for (const file of removed) rmSync(file, { force: true })
  }

  async remove(path: string): Promise<void> {
    await this.disk.remove(path)
    this.removed.add(join(this.left, basename(path)))
  }

  close(): void {
    this.disk.close()
  }

  /** The power goes. Returns how many writes were not flushed. */
  cut(random: () => number): number {
    this.isCut = true
    for (const written of this.pending.sort(() => random() - 0.5)) this.apply(written, () => random() < 0.5)
    for (const file of [...this.unnamed, ...this.removed]) if (random() < 0.5) rmSync(file, { force: true })
    return this.pending.length
  }

  private apply({ bytes, file, position }: Written, isThere: () => boolean): void {
    const fd = this.openLeft(file)
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      if (isThere()) writeSync(fd, bytes, at, PAGE_BYTES, position + at)
    }
    closeSync(fd)
  }

  /** The file is there, and its name is not flushed, unless it was there before. */
  private make(file: string): void {
    if (existsSync(file)) return
    this.unnamed.add(file)
    closeSync(this.openLeft(file))
  }

  private openLeft(file: string): number {
    const fd = openSync(file, existsSync(file) ? 'r+' : 'w+')
    ftruncateSync(fd, SEGMENT_BYTES)
    return fd
  }
}
