/**
 * The index of the store as its writer sees it: what is committed, without what is being deleted, and with one change of
 * an entry at a time.
 */
import assert from 'node:assert'
import { decodeIndexEntry, type IndexEntry, roundKey, type StoreDatabases } from '../../shared/store/format.js'
import { digestKey } from '../../shared/wire/digest-key.js'

export class StoreIndex {
  private readonly databases: StoreDatabases
  /** Batches whose deletion is written and not committed, which reads of LMDB do not see yet. They count as gone. */
  private readonly deleting = new Set<string>()
  /** Batches that are getting a new stamp, or another place. They are not deleted meanwhile. */
  private readonly changing = new Map<string, Promise<void>>()

  constructor(databases: StoreDatabases) {
    this.databases = databases
  }

  /** What the index has of a batch, damaged or not; undefined if it is not stored, or is being deleted. */
  entryOf(digest: Uint8Array): IndexEntry | undefined {
    if (this.deleting.size > 0 && this.deleting.has(digestKey(digest))) return undefined
    const value = this.databases.index.getBinary(digest)
    return value === undefined ? undefined : decodeIndexEntry(value)
  }

  /** The primary was told of it, or it is none of our own. */
  isReported(digest: Uint8Array): boolean {
    const mark = this.markOf(digest)
    return mark === undefined || !this.databases.unreported.doesExist(mark)
  }

  /** The key of a batch in `unreported`, whether it is there or not; undefined if the batch is none of our own. */
  markOf(digest: Uint8Array): Buffer | undefined {
    const entry = this.entryOf(digest)
    return entry?.isOwn ? roundKey(entry.sequence, digest) : undefined
  }

  /**
   * The change of a batch's entry that is under way; `name` is its digest's key. Its stamp and its place are known only
   * when there is none. No turn may pass between the last look here and the call of `hold`: a deletion or a move could
   * begin in it.
   */
  changeOf(name: string): Promise<void> | undefined {
    return this.changing.get(name)
  }

  /** Until this change of a batch's entry is over, nothing else changes it. */
  hold(name: string, change: Promise<void>): Promise<void> {
    assert(!this.changing.has(name), 'one change of an entry at a time')
    const held = change.finally(() => this.changing.delete(name))
    this.changing.set(name, held)
    return held
  }

  /** A deletion of this batch is written: it counts as gone from now on. */
  beginDeletion(name: string): void {
    this.deleting.add(name)
  }

  /** The deletion of these batches is committed. */
  endDeletion(names: readonly string[]): void {
    for (const name of names) this.deleting.delete(name)
  }
}
