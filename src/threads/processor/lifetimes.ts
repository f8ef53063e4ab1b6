/**
 * What of a store is for what, in bytes:
 *
 * ```
 *  stored ──▶ unnamed ──a header that we voted for, or a delivered certificate, lists it──▶ named ──a commit──▶ committed
 *                ▲                                                                            │
 *                └──────── nothing that can still be ordered lists it any more ◀──────────────┘
 * ```
 *
 * Only what is unnamed counts in its author's share (shares.ts): what is named is bounded by the rounds that are not ordered
 * yet, and what is committed by retention. So an author is never refused because we lag behind in committing.
 *
 * Which batches are named is the primary's knowledge, and is in no store. It says it again after each start, of either.
 * Under a primary that says nothing of all this, everything is unnamed.
 */
import { type IndexEntry, UNCOMMITTED } from '../../shared/store/format.js'
import { storedBytes } from '../../shared/store/stored-bytes.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import type { StoreIndex } from './store-index.js'

export type Lifetime = 'unnamed' | 'named' | 'committed'

export interface LifetimesDependencies {
  readonly index: Pick<StoreIndex, 'entryOf'>
  /** The primary says what is named, and what is committed. */
  readonly isByCommits: boolean
  /** Batches of this author take so many bytes more in this part of their lives, or less. */
  readonly account: (author: Uint8Array, bytes: number, lifetime: Lifetime) => void
}

type Owned = Pick<IndexEntry, 'author' | 'byteLength'>
type Stamped = Owned & Pick<IndexEntry, 'stamp'>

export class Lifetimes {
  private readonly dependencies: LifetimesDependencies
  /**
   * By the keys of their digests, stored or not: what the primary has named and no commit has. It bounds them: they are in
   * the headers of `gc_depth` rounds.
   */
  private readonly names = new Map<string, Uint8Array>()
  /** Batches that are being stored: one for each slot at most. The index does not have them yet. */
  private readonly coming = new Map<string, Owned>()
  /** Batches whose entries are about to say that a commit has them: those of the writes that are under way. */
  private readonly committing = new Set<string>()

  constructor(dependencies: LifetimesDependencies) {
    this.dependencies = dependencies
  }

  /** Batches that are named, and not committed. */
  get named(): number {
    return this.names.size
  }

  of(digest: Uint8Array, stamp: bigint): Lifetime {
    if (this.dependencies.isByCommits && stamp !== UNCOMMITTED) return 'committed'
    return this.names.has(digestKey(digest)) ? 'named' : 'unnamed'
  }

  /** It takes its bytes from now on. To be followed by `stored`. */
  begins(digest: Uint8Array, entry: Stamped): void {
    const lifetime = this.of(digest, entry.stamp)
    if (lifetime !== 'committed') this.coming.set(digestKey(digest), entry)
    this.add(entry, 1, lifetime)
  }

  /** The index has it. */
  stored(digest: Uint8Array): void {
    this.coming.delete(digestKey(digest))
  }

  /** It is not there any more. */
  gone(digest: Uint8Array, entry: Stamped): void {
    this.add(entry, -1, this.of(digest, entry.stamp))
  }

  /** What the index has at the start. */
  restore(digest: Uint8Array, entry: Stamped): void {
    this.add(entry, 1, this.of(digest, entry.stamp))
  }

  /** @param isAnew these are all: what was named before is so no more */
  name(digests: readonly Uint8Array[], isAnew: boolean): void {
    if (isAnew) this.unname([...this.names.values()])
    for (const digest of digests) {
      const key = digestKey(digest)
      if (this.names.has(key)) continue
      const entry = this.uncommitted(key, digest)
      if (entry === 'committed') continue
      this.names.set(key, new Uint8Array(digest))
      if (entry !== undefined) this.move(entry, 'unnamed', 'named')
    }
  }

  /** Nothing that can still be ordered lists these any more. */
  unname(digests: readonly Uint8Array[]): void {
    for (const digest of digests) {
      const key = digestKey(digest)
      if (!this.names.delete(key)) continue
      const entry = this.uncommitted(key, digest)
      if (entry !== undefined && entry !== 'committed') this.move(entry, 'named', 'unnamed')
    }
  }

  /** A commit has it, and its entry is about to say so; `undefined` of one that is not stored. */
  committed(digest: Uint8Array, entry: Owned | undefined): void {
    const key = digestKey(digest)
    if (entry === undefined) {
      this.unname([digest])
      return
    }
    this.coming.delete(key)
    this.committing.add(key)
    this.move(entry, this.names.delete(key) ? 'named' : 'unnamed', 'committed')
  }

  /** The entries of these say that a commit has them. */
  written(keys: Iterable<string>): void {
    for (const key of keys) this.committing.delete(key)
  }

  private uncommitted(key: string, digest: Uint8Array): Owned | 'committed' | undefined {
    if (this.committing.has(key)) return 'committed'
    const coming = this.coming.get(key)
    if (coming !== undefined) return coming
    const entry = this.dependencies.index.entryOf(digest)
    return entry === undefined || entry.stamp === UNCOMMITTED ? entry : 'committed'
  }

  private move(entry: Owned, from: Lifetime, to: Lifetime): void {
    this.add(entry, -1, from)
    this.add(entry, 1, to)
  }

  private add({ author, byteLength }: Owned, sign: 1 | -1, lifetime: Lifetime): void {
    this.dependencies.account(author, sign * storedBytes(byteLength), lifetime)
  }
}
