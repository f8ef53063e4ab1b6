/**
 * Batches one behind the other in files of the product's size, written from where they lie, past the page cache. When
 * enough files are full, the first is filled again: its room is on the disk already.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { wholePages } from '../../src/shared/memory/page-memory.js'
import { SEGMENT_BYTES } from '../../src/shared/store/segments/limits.js'
import {
  openSegmentDisk,
  type SegmentDisk,
  type SegmentHandle,
} from '../../src/threads/processor/segments/segment-disk.js'

export class SegmentLog {
  private readonly directory: string
  private readonly disk: SegmentDisk
  private readonly handles: SegmentHandle[] = []
  private readonly unflushed = new Set<SegmentHandle>()
  private readonly segments: number
  private readonly segmentBytes: number
  private current = -1
  private at: number

  /** @param retainBytes of the last batches, which stay as they are */
  constructor(directory: string, retainBytes: number, segmentBytes = SEGMENT_BYTES) {
    this.directory = directory
    this.segmentBytes = segmentBytes
    this.at = segmentBytes
    mkdirSync(directory, { recursive: true })
    this.disk = openSegmentDisk(directory)
    // One that is being filled, and one whose batches are being forgotten.
    this.segments = Math.ceil(retainBytes / segmentBytes) + 2
  }

  /** Resolves when the system has taken the batch, whose last page may be read beyond its end. */
  async write(bytes: Uint8Array): Promise<void> {
    const pages = new Uint8Array(bytes.buffer, bytes.byteOffset, wholePages(bytes.length))
    if (this.at + pages.length > this.segmentBytes) this.next()
    const handle = this.handles[this.current]!
    const position = this.at
    this.at += pages.length
    await handle.write(pages, position)
    this.unflushed.add(handle)
  }

  /** Resolves when all that was taken is on the disk; undefined if it is already. */
  flush(): Promise<unknown> | undefined {
    if (this.unflushed.size === 0) return undefined
    const flushes = [...this.unflushed].map((handle) => handle.flush())
    this.unflushed.clear()
    return Promise.all(flushes)
  }

  close(): void {
    for (const handle of this.handles) handle.close()
  }

  private next(): void {
    this.current = (this.current + 1) % this.segments
    this.at = 0
    this.handles[this.current] ??= this.disk.open(join(this.directory, String(this.current)))
  }
}
