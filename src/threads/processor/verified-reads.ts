/**
 * Reads of stored batches, by position and not through LMDB's map. Each batch is checked by its digest, so that what a
 * disk has changed is never served, shown or reported. A batch that is found damaged counts as one that is not there:
 * it is fetched or taken again, and replaced.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BATCH_SIZE_MAX } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import { type IndexEntry, roundKey } from '../../shared/store/format.js'
import { cellOf } from '../../shared/store/segments/cell.js'
import type { StoreFile } from '../../shared/store/store-snapshot.js'
import { BatchVerifier } from '../../shared/wire/batch-verifier.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import { DAMAGED_REMEMBERED_MAX } from './limits.js'
import type { CellReader } from './segments/cell-reader.js'

export interface Damage {
  readonly digest: Uint8Array
  readonly author: Uint8Array
}

export interface VerifiedReadsDependencies {
  readonly cells: CellReader
  readonly file: StoreFile
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

  /** A batch, in memory of its own; undefined if it is damaged. @throws NarvalError ERR_BUSY, as `CellReader` does */
  read(digest: Uint8Array, entry: IndexEntry): Uint8Array<ArrayBuffer> | undefined {
    const bytes = this.stored(digest, entry)
    // A small value is a part of a buffer that others share.
    if (this.isWhole(digest, entry, bytes)) return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
    this.found(digest, entry)
    return undefined
  }

  /** True if these very bytes are stored: a comparison costs less than a digest. @throws NarvalError ERR_BUSY */
  holds(digest: Uint8Array, entry: IndexEntry, bytes: Uint8Array): boolean {
    const stored = this.stored(digest, entry)
    if (stored !== undefined && Buffer.compare(stored, bytes) === 0) return true
    this.found(digest, entry)
    return false
  }

  /**
   * Whether a batch is whole; `entry` is asked for when its turn comes. Batches that are received do not wait for a
   * Synchronize of thousands of digests: one batch is verified in a turn of the event loop. Rejects with ERR_BUSY.
   */
  verify(digest: Uint8Array, entry: () => IndexEntry | undefined): Promise<IndexEntry | undefined> {
    const verified = this.last.then(async () => {
      const now = entry()
      if (now === undefined) return undefined
      const isWhole = this.isWhole(digest, now, this.stored(digest, now))
      if (!isWhole) this.found(digest, now)
      await nextTurn()
      return isWhole ? now : undefined
    })
    // One that cannot be read now holds up none behind it.
    this.last = verified.catch(() => {})
    return verified
  }

  /**
   * What lies where the index says. Neither a file that was cut off nor a sector that cannot be read is more than damage:
   * through LMDB's map, either would end the process.
   *
   * A cell is read in the turn in which the index named it. It is not released before the index has forgotten it, so nobody
   * writes to it meanwhile.
   */
  private stored(digest: Uint8Array, { byteLength, placed }: IndexEntry): Uint8Array<ArrayBuffer> | undefined {
    const cell = cellOf(placed, byteLength)
    if (cell !== undefined) return this.dependencies.cells.read(cell, byteLength)
    try {
      const value = this.dependencies.file.read((snapshot) => snapshot.get('batches', roundKey(placed, digest)))
      return value && new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.length)
    } catch (error) {
      if (error instanceof NarvalError && error.code === 'ERR_STORE_DAMAGED') return undefined
      throw error
    }
  }

  private isWhole<T extends Uint8Array>(digest: Uint8Array, entry: IndexEntry, bytes: T | undefined): bytes is T {
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
