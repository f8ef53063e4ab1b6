/** Where a batch that is stored goes: a large one to a cell, from where it lies; a small one to LMDB, from a copy. */
import type { Cell } from '../../../shared/store/segments/cell.js'
import { SEGMENT_BATCH_BYTES_MIN } from '../../../shared/store/segments/limits.js'
import { OwnedBuffers } from '../owned-buffers.js'
import type { Level, Put, StoreWrites } from '../store-writes.js'
import type { Segments } from './segments.js'

const EMPTY = new Uint8Array(0)

export class Placement {
  private readonly segments: Segments
  private readonly writes: StoreWrites
  private readonly level: Level
  private readonly buffers = new OwnedBuffers(SEGMENT_BATCH_BYTES_MIN)
  /** The last batch that is being written, or waits for one that is. */
  private placing: Promise<unknown> | undefined

  constructor(segments: Segments, writes: StoreWrites, level: Level) {
    this.segments = segments
    this.writes = writes
    this.level = level
  }

  /**
   * Has a batch written to a cell, or copied for LMDB, and then `put` done in a commit group. The index gets batches in the
   * order of the calls.
   */
  async place(bytes: Uint8Array, put: (cell: Cell | undefined, value: Uint8Array) => Put): Promise<void> {
    const isLarge = bytes.length >= SEGMENT_BATCH_BYTES_MIN
    // LMDB keeps a reference, and on Node 20 it reads garbage from shared memory.
    const owned = isLarge ? undefined : this.buffers.copy(bytes)
    let cell: Cell | undefined
    if (isLarge || this.placing !== undefined) {
      const written = isLarge ? this.write(bytes) : undefined
      const placing = Promise.all([written, this.placing]).then(([place]) => place)
      this.placing = placing
      cell = await placing
      if (this.placing === placing) this.placing = undefined
    }
    await this.writes.writeBatch(() => put(cell, owned ?? EMPTY), bytes.length, this.level)
    if (owned !== undefined) this.buffers.release(owned)
  }

  /** Writes a batch to a cell: the deadline of a write begins when there is one. */
  async write(bytes: Uint8Array): Promise<Cell> {
    const cell = await this.writes.succeeded(this.segments.take(bytes.length))
    await this.writes.written(this.segments.write(cell, bytes))
    return cell
  }
}
