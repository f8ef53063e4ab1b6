/**
 * Cells that are going to be free: those of entries that a write has taken out of the index, or given another place. They
 * are free when that write is on the disk. Before that, a power cut would bring the entries back.
 */
import type { IndexEntry, StoreDatabases } from '../../../shared/store/format.js'
import { cellOf } from '../../../shared/store/segments/cell.js'
import type { Put, StoreWrites } from '../store-writes.js'
import type { Segments } from './segments.js'

export class FreedCells {
  private readonly root: StoreDatabases['root']
  private readonly segments: Segments
  private readonly writes: StoreWrites
  private readonly onFreed: () => void
  /** One for each step of a deletion, each move and each replacement under way. */
  private readonly freeing = new Set<Promise<void>>()

  constructor({ root }: StoreDatabases, segments: Segments, writes: StoreWrites, onFreed: () => void) {
    this.root = root
    this.segments = segments
    this.writes = writes
    this.onFreed = onFreed
  }

  /** The cells of these entries are free when this write is on the disk. */
  after(put: Put, entries: readonly IndexEntry[]): void {
    const cells = entries
      .map(({ byteLength, placed }) => cellOf(placed, byteLength))
      .filter((cell) => cell !== undefined)
    if (cells.length === 0) return
    const freed = this.writes.settle(put, 'durable').then(() => {
      this.freeing.delete(freed)
      // No read of LMDB begun before sees them any more.
      this.root.resetReadTxn()
      this.segments.release(cells)
      this.onFreed()
    })
    this.freeing.add(freed)
  }

  /** Resolves when all of them are free. */
  async ended(): Promise<void> {
    await Promise.all(this.freeing)
  }
}
