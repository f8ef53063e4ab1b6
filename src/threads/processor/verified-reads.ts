/**
 * Reads of stored batches, each checked by its digest: what a disk has changed is never served, shown or reported. A batch
 * that is found damaged counts as one that is not there, so that it is fetched or taken again, and replaced.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BATCH_SIZE_MAX } from '../../shared/constants.js'
import { type IndexEntry, readOwned, roundKey, type StoreDatabases } from '../../shared/store/format.js'
import { BatchVerifier } from '../../shared/wire/batch-verifier.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import { DAMAGED_REMEMBERED_MAX } from './limits.js'

export interface Damage {
  readonly digest: Uint8Array
  readonly author: Uint8Array
}

export interface VerifiedReadsDependencies {
  readonly databases: StoreDatabases
  /** Once for each batch that is found damaged. */
  readonly onDamaged: (damage: Damage) => void
}

export class VerifiedReads {
  private readonly dependencies: VerifiedReadsDependencies
  private readonly verifier = new BatchVerifier(BATCH_SIZE_MAX)
  /** What was found damaged, the oldest first; at most DAMAGED_REMEMBERED_MAX. */
  private readonly damaged = new Set<string>()
  /** The last of the batches that wait to be verified, one in a turn of the event loop. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(dependencies: VerifiedReadsDependencies) {
    this.dependencies = dependencies
  }

  isDamaged(digest: Uint8Array): boolean {
    return this.damaged.size > 0 && this.damaged.has(digestKey(digest))
  }

  /** It was stored anew, or deleted. */
  forget(digest: Uint8Array): void {
    if (this.damaged.size > 0) this.damaged.delete(digestKey(digest))
  }

  /** A batch, in memory of its own; undefined if it is damaged. */
  read(digest: Uint8Array, entry: IndexEntry): Uint8Array<ArrayBuffer> | undefined {
    const bytes = readOwned(this.dependencies.databases.batches, roundKey(entry.placed, digest))
    if (this.isWhole(digest, entry, bytes)) return bytes
    this.found(digest, entry)
    return undefined
  }

  /** True if these very bytes are stored: a comparison costs less than a digest. */
  holds(digest: Uint8Array, entry: IndexEntry, bytes: Uint8Array): boolean {
    const stored = this.lend(digest, entry)
    if (stored !== undefined && Buffer.compare(stored, bytes) === 0) return true
    this.found(digest, entry)
    return false
  }

  /**
   * Whether a batch is whole; `entry` is asked for when its turn comes. Batches that are received do not wait for a
   * Synchronize of thousands of digests: one batch is verified in a turn of the event loop.
   */
  verify(digest: Uint8Array, entry: () => IndexEntry | undefined): Promise<IndexEntry | undefined> {
    const verified = this.last.then(async () => {
      const now = entry()
      if (now === undefined) return undefined
      const isWhole = this.isWhole(digest, now, this.lend(digest, now))
      if (!isWhole) this.found(digest, now)
      await nextTurn()
      return isWhole ? now : undefined
    })
    this.last = verified
    return verified
  }

  /** The stored bytes until the next read. */
  private lend(digest: Uint8Array, entry: IndexEntry): Uint8Array | undefined {
    const lent = this.dependencies.databases.batches.getBinaryFast(roundKey(entry.placed, digest))
    // The scratch buffer is longer than the value; its `length` is the value's.
    return lent?.subarray(0, lent.length)
  }

  private isWhole(digest: Uint8Array, entry: IndexEntry, bytes: Uint8Array | undefined): boolean {
    return bytes?.length === entry.byteLength && this.verifier.isWhole(bytes, entry.author, digest)
  }

  private found(digest: Uint8Array, { author }: IndexEntry): void {
    const name = digestKey(digest)
    if (this.damaged.has(name)) return
    this.damaged.add(name)
    if (this.damaged.size > DAMAGED_REMEMBERED_MAX) this.damaged.delete(this.damaged.values().next().value!)
    this.dependencies.onDamaged({ digest, author })
  }
}
