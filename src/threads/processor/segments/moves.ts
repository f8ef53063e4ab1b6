/** One move of a batch from its cell to another: what the mover reads, and what it has written (mover.ts). */
import { NarvalError } from '../../../shared/errors.js'
import { encodeIndexEntry, type IndexEntry, roundKey, type StoreDatabases } from '../../../shared/store/format.js'
import { type Cell, cellOf, placeOf } from '../../../shared/store/segments/cell.js'
import { digestKey } from '../../../shared/wire/digest-key.js'
import type { Retention } from '../retention.js'
import type { StoreIndex } from '../store-index.js'
import type { Put, StoreWrites } from '../store-writes.js'
import type { CellReader } from './cell-reader.js'
import type { FreedCells } from './freed-cells.js'
import type { Placement } from './placement.js'

const EMPTY = new Uint8Array(0)

export interface MovesDependencies {
  readonly databases: StoreDatabases
  readonly index: StoreIndex
  readonly retention: Retention
  readonly cells: CellReader
  readonly placement: Placement
  readonly freed: FreedCells
  readonly writes: StoreWrites
  /** A batch went beyond retention while it was moved, and was not deleted for that. */
  readonly onExpired: () => void
}

export class Moves {
  private readonly dependencies: MovesDependencies

  constructor(dependencies: MovesDependencies) {
    this.dependencies = dependencies
  }

  /**
   * What lies in a batch's cell, damaged or not. Undefined if its entry is changed now, or is about to be deleted, or if
   * the disk gives nothing: it may give it another time, so the batch stays where it is.
   */
  read(digest: Uint8Array, segment: number): Uint8Array | undefined {
    const { cells, index } = this.dependencies
    const entry = index.changeOf(digestKey(digest)) === undefined ? index.entryOf(digest) : undefined
    const cell = entry && cellOf(entry.placed, entry.byteLength)
    if (entry === undefined || cell?.segment !== segment || this.isExpired(digest, entry)) return undefined
    try {
      return cells.read(cell, entry.byteLength)
    } catch (error) {
      // It is moved when cells are freed the next time.
      if (error instanceof NarvalError && error.code === 'ERR_BUSY') return undefined
      throw error
    }
  }

  /**
   * Gives a batch another cell. Until then it is neither deleted nor given a new stamp. If it went beyond retention
   * meanwhile, it is deleted after that.
   */
  async move(digest: Uint8Array, bytes: Uint8Array): Promise<void> {
    const { freed, index, onExpired, placement, writes } = this.dependencies
    const entry = index.entryOf(digest)!
    const renew = (cell: Cell): Put => {
      const { batches, index } = this.dependencies.databases
      const placed = placeOf(cell)
      void batches.remove(roundKey(entry.placed, digest))
      void batches.put(roundKey(placed, digest), EMPTY)
      const put: Put = index.put(digest, encodeIndexEntry({ ...entry, placed }))
      freed.after(put, [entry])
      return put
    }
    const moved = placement.write(bytes).then((cell) => writes.write(() => renew(cell), 'stored'))
    await index.hold(digestKey(digest), moved)
    if (this.isExpired(digest, entry)) onExpired()
  }

  /** It is beyond retention, and not kept for the primary. */
  private isExpired(digest: Uint8Array, { stamp }: IndexEntry): boolean {
    const { index, retention } = this.dependencies
    return stamp < retention.firstKept && index.isReported(digest)
  }
}
