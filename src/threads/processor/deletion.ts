/** One step of a deletion: batches are taken out of all parts of the store, in one transaction (expiry.ts says when). */
import {
  digestOfKey,
  type IndexEntry,
  META_OWN_DELETED,
  roundKey,
  type StoreDatabases,
  sequenceKey,
} from '../../shared/store/format.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import type { FreedCells } from './segments/freed-cells.js'
import type { StoreIndex } from './store-index.js'
import { encodeNumber, readNumber } from './store-meta.js'
import type { Put, StoreWrites } from './store-writes.js'

export interface DeletionDependencies {
  readonly databases: StoreDatabases
  readonly index: StoreIndex
  readonly freed: FreedCells
  readonly writes: StoreWrites
  /** This batch is deleted: it counts as gone from now on. */
  readonly onDeleting: (digest: Uint8Array, entry: IndexEntry) => void
  /** So many batches were deleted. */
  readonly onDeleted: (count: number) => void
}

export class Deletion {
  private readonly dependencies: DeletionDependencies
  /** The highest sequence of the own batches that were deleted. */
  private ownDeleted: bigint

  constructor(dependencies: DeletionDependencies) {
    this.dependencies = dependencies
    this.ownDeleted = readNumber(dependencies.databases.meta, META_OWN_DELETED)
  }

  /**
   * Deletes batches by their keys in `stamps`, without those that the primary was not told of, and those whose entry is
   * being changed: one that is being moved is deleted then (segments/moves.ts).
   */
  remove(keys: readonly Uint8Array[]): { count: number; committed: Promise<void> } {
    const { freed, index, onDeleted, onDeleting, writes } = this.dependencies
    const removed: string[] = []
    const entries: IndexEntry[] = []
    let ownDeleted = this.ownDeleted
    let put: Put | undefined
    for (const key of keys) {
      const digest = digestOfKey(key)
      const name = digestKey(digest)
      const entry = index.entryOf(digest)
      if (entry === undefined || index.changeOf(name) !== undefined || !index.isReported(digest)) continue
      put = this.removeOne(key, digest, entry)
      if (entry.isOwn && entry.sequence > ownDeleted) ownDeleted = entry.sequence
      index.beginDeletion(name)
      onDeleting(digest, entry)
      removed.push(name)
      entries.push(entry)
    }
    const count = removed.length
    if (put === undefined) return { count, committed: Promise.resolve() }
    if (ownDeleted > this.ownDeleted) {
      void this.dependencies.databases.meta.put(META_OWN_DELETED, encodeNumber(ownDeleted))
    }
    this.ownDeleted = ownDeleted
    freed.after(put, entries)
    const committed = writes.settle(put, 'stored').then(() => {
      index.endDeletion(removed)
      onDeleted(count)
    })
    return { count, committed }
  }

  private removeOne(key: Uint8Array, digest: Uint8Array, { isOwn, placed, sequence }: IndexEntry): Put {
    const { batches, index, own, stamps } = this.dependencies.databases
    void stamps.remove(key)
    void index.remove(digest)
    if (isOwn) void own.remove(sequenceKey(sequence))
    return batches.remove(roundKey(placed, digest))
  }
}
