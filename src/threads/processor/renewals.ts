/** Batches that are kept from now on as if they were new: those that were named again, or reported late. */
import { encodeIndexEntry, type IndexEntry, type StoreDatabases, UNCOMMITTED } from '../../shared/store/format.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import type { KeptCommits } from './kept-commits.js'
import type { Retention } from './retention.js'
import { putStanding, removeStanding } from './stamps.js'
import type { StoreIndex } from './store-index.js'
import type { Level, Put, StoreWrites } from './store-writes.js'

export interface RenewalsDependencies {
  readonly databases: StoreDatabases
  readonly index: StoreIndex
  readonly retention: Retention
  readonly writes: StoreWrites
  /** The store's. */
  readonly level: Level
  /** The index entry of a batch that is there and was not found damaged. */
  readonly find: (digest: Uint8Array) => IndexEntry | undefined
  readonly kept: Pick<KeptCommits, 'renewed'>
}

export class Renewals {
  private readonly dependencies: RenewalsDependencies

  constructor(dependencies: RenewalsDependencies) {
    this.dependencies = dependencies
  }

  /** Gives a batch the newest stamp, and takes note of who handed it over. False if it is not stored any more. */
  async touch(digest: Uint8Array, isDelivered = false): Promise<boolean> {
    const { databases, find, index, kept, level, retention, writes } = this.dependencies
    const name = digestKey(digest)
    while (index.changeOf(name) !== undefined) await index.changeOf(name)
    const entry = find(digest)
    if (entry === undefined) return false
    // What no commit has is kept anyway.
    const isKept = entry.stamp === retention.round || entry.stamp === UNCOMMITTED
    const renewed = { ...entry, isDelivered: !entry.isOwn && (entry.isDelivered || isDelivered) }
    if (isKept && renewed.isDelivered === entry.isDelivered) return true
    const renew = (): Put => {
      if (isKept) return databases.index.put(digest, encodeIndexEntry(renewed))
      const stamp = retention.round
      void removeStanding(databases, digest, entry)
      void putStanding(databases, digest, { ...entry, stamp })
      kept.renewed(entry.stamp, entry.byteLength)
      return databases.index.put(digest, encodeIndexEntry({ ...renewed, stamp }))
    }
    await index.hold(name, writes.write(renew, level))
    return true
  }

  /** The primary has been told of these own batches. */
  async markReported(digests: readonly Uint8Array[]): Promise<void> {
    const { databases, find, index, retention, writes } = this.dependencies
    const marks = digests.flatMap((digest) => index.markOf(digest) ?? [])
    if (marks.length === 0) return
    // Retention counts from the report on, unless it does from the commit on. The batch may have been stored long before.
    const aging = digests.filter((digest) => {
      if (retention.isByCommits) return false
      const entry = find(digest)
      return entry !== undefined && retention.isAging(entry.stamp)
    })
    await Promise.all(aging.map((digest) => this.touch(digest)))
    await writes.write(() => {
      for (const mark of marks.slice(1)) void databases.unreported.remove(mark)
      return databases.unreported.remove(marks[0]!)
    }, 'stored')
  }
}
