/**
 * The segments' one writer: cells are written from where the batch lies, and flushed before the index names them. What
 * the index names is therefore whole, after kill -9 and after a power cut; what it does not name is free.
 *
 * ```
 *  take ──▶ write ──▶ flush ──▶ (the index names the cell) ──▶ (it does not any more, on the disk) ──▶ release
 * ```
 */
import assert from 'node:assert'
import { readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { wholePages } from '../../../shared/memory/page-memory.js'
import { makeDirectory } from '../../../shared/store/lock.js'
import { type Cell, UNIT_BYTES, unitsOf } from '../../../shared/store/segments/cell.js'
import {
  OPEN_AT_CLOSE_MS,
  OPEN_RETRY_MS,
  SEGMENT_BYTES,
  SEGMENT_NUMBER_MAX,
} from '../../../shared/store/segments/limits.js'
import { SEGMENTS_DIRECTORY, segmentNumber, segmentPath } from '../../../shared/store/segments/read-cell.js'
import { isOutOfFiles } from '../../../shared/store/store-error.js'
import { SegmentAllocator } from './segment-allocator.js'
import { openSegmentDisk, type SegmentDisk, type SegmentHandle } from './segment-disk.js'

/** What `stat` counts in. */
const BLOCK_BYTES = 512

export interface SegmentsOptions {
  /** The store's. */
  readonly directory: string
  /** What to write with; the directory's disk unless given. */
  readonly disk?: SegmentDisk
}

export interface SegmentsHandlers {
  /** No file can be opened for another segment, for want of descriptors; or one can again. */
  readonly onStarved: (isStarved: boolean) => void
  /** The segment's file is about to be removed. */
  readonly onRemoved: (segment: number) => void
}

interface SegmentFile {
  readonly handle: SegmentHandle
  /** Cells that were taken and are not written yet, and flushes under way. */
  using: number
  isNameFlushed: boolean
}

export class Segments {
  private readonly directory: string
  private readonly disk: SegmentDisk
  private readonly handlers: SegmentsHandlers
  private readonly allocator = new SegmentAllocator()
  /** Files that are open for writing: of the segment that is filled, and of those that were not flushed since. */
  private readonly files = new Map<number, SegmentFile>()
  /** Written to, and not flushed since. */
  private readonly unflushed = new Set<number>()
  /** Bytes of each segment that were written to since it was made: the disk has room for no more of it. */
  private readonly written = new Map<number, number>()
  /** Files that are being removed: at most as many as segments were given back at once. */
  private readonly removals = new Set<Promise<void>>()
  private next = 0
  private filling: number | undefined
  /** Batches whose segment cannot be opened now. */
  private waiting = 0
  /** Until then they wait, in ms of the monotonic clock. */
  private waitsUntilMs = Number.POSITIVE_INFINITY

  /** @throws what the file system throws */
  constructor({ directory, disk }: SegmentsOptions, handlers: SegmentsHandlers) {
    this.directory = directory
    this.handlers = handlers
    makeDirectory(this.path)
    this.disk = disk ?? openSegmentDisk(this.path)
  }

  /** False where batches are written through the page cache. */
  get isDirect(): boolean {
    return this.disk.isDirect
  }

  /** No file can be opened for another segment: batches wait. */
  get isStarved(): boolean {
    return this.waiting > 0
  }

  /** Bytes that the segments take of the disk. */
  get fileBytes(): number {
    let sum = 0
    for (const bytes of this.written.values()) sum += bytes
    return sum
  }

  /** The segment whose cells are to be moved, so that its room is free. */
  emptiest(except: ReadonlySet<number>): number | undefined {
    return this.allocator.emptiest(except)
  }

  /** While the store is opened, for each cell that its index names. */
  place(cell: Cell): void {
    this.allocator.place(cell)
    this.next = Math.max(this.next, cell.segment + 1)
  }

  /**
   * When all were placed: segments that nothing lies in are free. One that is not as long as it should be is made so: what
   * was cut off is damaged then, batch by batch.
   *
   * @param notice takes what somebody who runs the node should know
   */
  recover(notice: (text: string) => void): void {
    const found = new Set<number>()
    for (const name of readdirSync(this.path)) {
      const segment = segmentNumber(name)
      if (segment === undefined || segment > SEGMENT_NUMBER_MAX) continue
      found.add(segment)
      this.next = Math.max(this.next, segment + 1)
      const isInUse = this.allocator.isInUse(segment)
      if (!isInUse) this.allocator.add(segment)
      const { blocks, size } = statSync(this.pathOf(segment))
      this.written.set(segment, Math.min(SEGMENT_BYTES, blocks * BLOCK_BYTES))
      if (size === SEGMENT_BYTES) continue
      if (isInUse) {
        notice(`${this.pathOf(segment)} has ${size} bytes of ${SEGMENT_BYTES}: batches in it are damaged`)
      }
      truncateSync(this.pathOf(segment), SEGMENT_BYTES)
    }
    for (const segment of this.allocator.used) {
      if (found.has(segment)) continue
      notice(`${this.pathOf(segment)} is not there: all batches in it are damaged`)
      this.disk.open(this.pathOf(segment)).close()
    }
  }

  /**
   * When the index is on the disk as it was read: cells may be written from now on. Files that an earlier run made are
   * found after a power cut too, and those that nobody needs are removed.
   */
  async begin(): Promise<void> {
    await this.disk.flushNames(this.path)
    await this.disk.flushNames(this.directory)
    this.removeSurplus()
  }

  /**
   * Takes a cell for a batch of so many bytes. It waits, however long that is, while this process may open no more files
   * and the cell's segment is another than the one that is open: that is no failure of the disk, and nothing is lost.
   * @throws what the file system throws; also for want of descriptors, some seconds after `stopWaiting`
   */
  async take(byteLength: number): Promise<Cell> {
    const cell = this.allocate(unitsOf(byteLength))
    if (!this.use(cell.segment)) await this.whenUsable(cell.segment)
    return cell
  }

  /**
   * Writes a batch to a cell that was taken for it; resolves when the system has taken it, and before it is on the disk.
   *
   * `bytes` begin at a page of page memory, and have the pages to themselves that they lie in. They stay as they are until
   * then. What lies behind them in the last page is cleared: it is of earlier batches, and nothing of these goes to the
   * disk again.
   */
  async write(cell: Cell, bytes: Uint8Array): Promise<void> {
    assert(bytes.buffer instanceof SharedArrayBuffer && bytes.byteOffset % UNIT_BYTES === 0, 'a batch begins at a page')
    const pages = new Uint8Array(bytes.buffer, bytes.byteOffset, wholePages(bytes.length))
    pages.fill(0, bytes.length)
    const file = this.files.get(cell.segment)!
    await file.handle.write(pages, cell.unit * UNIT_BYTES)
    file.using -= 1
    this.unflushed.add(cell.segment)
    const end = (cell.unit + cell.units) * UNIT_BYTES
    if (end > (this.written.get(cell.segment) ?? 0)) this.written.set(cell.segment, end)
  }

  /** Resolves when all cells whose writes have ended by now are on the disk; undefined if they are already. */
  flush(): Promise<void> | undefined {
    if (this.unflushed.size === 0) return undefined
    const segments = [...this.unflushed]
    this.unflushed.clear()
    // What was not flushed is open.
    const flushes = segments.map((segment) => this.flushFile(this.files.get(segment)!))
    return Promise.all(flushes).then(() => {
      this.closeUnused()
    })
  }

  /** These cells are free: the index does not name them any more, on the disk either. */
  release(cells: readonly Cell[]): void {
    for (const cell of cells) this.allocator.release(cell)
    this.removeSurplus()
  }

  /** The node closes: what cannot be written for want of descriptors fails in OPEN_AT_CLOSE_MS. */
  stopWaiting(): void {
    this.waitsUntilMs = Math.min(this.waitsUntilMs, performance.now() + OPEN_AT_CLOSE_MS)
  }

  /** Nothing is being written or flushed any more. Resolves when nothing is being removed either. */
  async close(): Promise<void> {
    for (const segment of [...this.files.keys()]) this.closeFile(segment)
    await Promise.all(this.removals)
    this.disk.close()
  }

  private removeSurplus(): void {
    for (const segment of this.allocator.takeSurplus()) {
      this.closeFile(segment)
      this.written.delete(segment)
      this.handlers.onRemoved(segment)
      // One that is left is removed by the next start.
      const removal = this.disk
        .remove(this.pathOf(segment))
        .catch(() => {})
        .finally(() => this.removals.delete(removal))
      this.removals.add(removal)
    }
  }

  private get path(): string {
    return join(this.directory, SEGMENTS_DIRECTORY)
  }

  private pathOf(segment: number): string {
    return segmentPath(this.directory, segment)
  }

  private allocate(units: number): Cell {
    let cell = this.allocator.allocate(units)
    if (cell === undefined) {
      assert(this.next <= SEGMENT_NUMBER_MAX)
      this.allocator.add(this.next)
      this.next += 1
      cell = this.allocator.allocate(units)
    }
    assert(cell !== undefined, 'a segment has room for any batch')
    this.filling = cell.segment
    return cell
  }

  /** Has the file of a segment open until a cell of it is written; false while this process may open no more. */
  private use(segment: number): boolean {
    const file = this.files.get(segment)
    if (file !== undefined) {
      file.using += 1
      return true
    }
    const handle = this.open(segment)
    if (handle === undefined) return false
    this.files.set(segment, { handle, using: 1, isNameFlushed: !handle.isNew })
    return true
  }

  /** The segment that was filled before gives its descriptor if there is no other; undefined if there is none at all. */
  private open(segment: number): SegmentHandle | undefined {
    for (;;) {
      try {
        return this.disk.open(this.pathOf(segment))
      } catch (error) {
        if (!isOutOfFiles(error)) throw error
        if (this.closeUnused()) continue
        if (performance.now() >= this.waitsUntilMs) throw error
        return undefined
      }
    }
  }

  private async whenUsable(segment: number): Promise<void> {
    this.waiting += 1
    if (this.waiting === 1) this.handlers.onStarved(true)
    try {
      do await sleep(OPEN_RETRY_MS)
      while (!this.use(segment))
    } finally {
      this.waiting -= 1
    }
    if (this.waiting === 0) this.handlers.onStarved(false)
  }

  private async flushFile(file: SegmentFile): Promise<void> {
    file.using += 1
    await file.handle.flush()
    if (!file.isNameFlushed) await this.disk.flushNames(this.path)
    file.isNameFlushed = true
    file.using -= 1
  }

  /** Closes files that nothing is written to any more; false if there are none. */
  private closeUnused(): boolean {
    let isClosed = false
    for (const [segment, { using }] of this.files) {
      if (using > 0 || segment === this.filling || this.unflushed.has(segment)) continue
      this.closeFile(segment)
      isClosed = true
    }
    return isClosed
  }

  private closeFile(segment: number): void {
    const file = this.files.get(segment)
    assert(file === undefined || file.using === 0, 'a file is closed when nothing is written to it')
    file?.handle.close()
    this.files.delete(segment)
    this.unflushed.delete(segment)
  }
}
