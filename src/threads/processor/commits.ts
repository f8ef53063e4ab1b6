/**
 * What the primary says is committed. Until then a batch is kept, whoever made it and however old it is.
 *
 * ```
 *  stored ──▶ uncommitted ──▶ a commit has it: stamped with the commit's index ──▶ retention ──▶ deleted
 * ```
 *
 * The marks of a commit and its index are written in one transaction. So kill -9 leaves both or neither, and what a restart
 * is told from that index on is neither too little nor, but for what changes nothing, too much.
 */
import {
  decodeIndexEntry,
  digestOfKey,
  encodeIndexEntry,
  roundKey,
  type StoreDatabases,
  UNCOMMITTED,
} from '../../shared/store/format.js'
import { storedBytes } from '../../shared/store/stored-bytes.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import type { KeptCommits } from './kept-commits.js'
import type { Lifetimes } from './lifetimes.js'
import type { Retention } from './retention.js'
import { putStanding, removeStanding } from './stamps.js'
import type { StoreIndex } from './store-index.js'
import { encodeNumber, META_APPLIED } from './store-meta.js'
import type { Put, StoreWrites } from './store-writes.js'

export interface CommitsDependencies {
  readonly databases: StoreDatabases
  readonly index: StoreIndex
  readonly retention: Retention
  readonly writes: StoreWrites
  readonly lifetimes: Pick<Lifetimes, 'committed' | 'written'>
  readonly kept: Pick<KeptCommits, 'begin'>
}

export interface Committed {
  /** Batches of this worker's id that are in the order, in any number; those that are not stored are passed over. */
  readonly digests: readonly Uint8Array[]
  /** All batches of the commits up to this one were handed in, with these; as before unless given. */
  readonly applied?: bigint | undefined
  /** The commit of which these are a part; the rest is still to come. */
  readonly partOf?: bigint | undefined
}

export class Commits {
  private readonly dependencies: CommitsDependencies

  constructor(dependencies: CommitsDependencies) {
    this.dependencies = dependencies
  }

  /** The index of the last commit that was applied. */
  get applied(): bigint {
    return this.dependencies.retention.round
  }

  /** Resolves when it is in the store. */
  async apply({ applied, digests, partOf = 0n }: Committed): Promise<void> {
    const { index, kept, lifetimes, retention, writes } = this.dependencies
    const byName = new Map(digests.map((digest) => [digestKey(digest), digest]))
    // No turn may pass between the last look and `hold`.
    for (let changes = this.changes(byName); changes.length > 0; changes = this.changes(byName)) {
      await Promise.all(changes)
    }
    let bytes = 0
    for (const [name, digest] of byName) {
      const entry = index.entryOf(digest)
      if (entry?.stamp !== UNCOMMITTED) byName.delete(name)
      else bytes += storedBytes(entry.byteLength)
      if (entry === undefined || entry.stamp === UNCOMMITTED) lifetimes.committed(digest, entry)
    }
    const isLater = applied !== undefined && applied > this.applied
    if (isLater) retention.round = applied
    if (byName.size === 0 && !isLater) return
    const end = kept.begin()
    const written = writes.write(() => this.write([...byName.values()], partOf), 'stored')
    await Promise.all([written, ...[...byName.keys()].map((name) => index.hold(name, written))])
    lifetimes.written(byName.keys())
    end(bytes)
  }

  private changes(byName: ReadonlyMap<string, unknown>): Promise<void>[] {
    return [...byName.keys()].flatMap((name) => this.dependencies.index.changeOf(name) ?? [])
  }

  private write(digests: readonly Uint8Array[], partOf: bigint): Put {
    const { databases, index, retention } = this.dependencies
    const stamp = partOf > retention.round ? partOf : retention.round
    for (const digest of digests) {
      const entry = index.entryOf(digest)!
      void removeStanding(databases, digest, entry)
      void putStanding(databases, digest, { ...entry, stamp })
      void databases.index.put(digest, encodeIndexEntry({ ...entry, stamp }))
      if (entry.isOwn) void databases.unreported.remove(roundKey(entry.sequence, digest))
    }
    return databases.meta.put(META_APPLIED, encodeNumber(retention.round))
  }

  /**
   * The primary is another one now, which does not say what is committed: what it would have said it of gets the stamp of
   * what is stored now.
   */
  forget(): void {
    const { databases, retention } = this.dependencies
    const keys = [...databases.uncommitted.getKeys({})].map((key) => new Uint8Array(key))
    if (keys.length === 0) return
    databases.root.transactionSync(() => {
      for (const key of keys) {
        const digest = digestOfKey(key)
        const entry = decodeIndexEntry(databases.index.getBinary(digest)!)
        const stamp = retention.round
        void removeStanding(databases, digest, entry)
        void putStanding(databases, digest, { ...entry, stamp })
        void databases.index.put(digest, encodeIndexEntry({ ...entry, stamp }))
      }
    })
  }
}
