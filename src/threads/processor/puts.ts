/**
 * How a batch is stored: it, its index entry, its stamp, and the marks of an own one, in one transaction. Of a batch that
 * was found damaged, all that the store had goes in the same transaction.
 */
import assert from 'node:assert'
import { DIGEST_BYTES } from '../../shared/constants.js'
import {
  encodeIndexEntry,
  encodeOwnEntry,
  type IndexEntry,
  roundKey,
  type StoreDatabases,
  sequenceKey,
  UNCOMMITTED,
} from '../../shared/store/format.js'
import { type Cell, placeOf } from '../../shared/store/segments/cell.js'
import { readBatchHeader } from '../../shared/wire/batch.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import type { Expiry } from './expiry.js'
import type { KeptCommits } from './kept-commits.js'
import type { Lifetimes } from './lifetimes.js'
import type { Retention } from './retention.js'
import type { FreedCells } from './segments/freed-cells.js'
import type { Placement } from './segments/placement.js'
import { putStanding, removeStanding } from './stamps.js'
import type { StoreIndex } from './store-index.js'
import type { Put } from './store-writes.js'
import type { VerifiedReads } from './verified-reads.js'

/** What makes a batch that is stored one of our own: it is to be reported, and found by its sequence. */
export interface OwnPut {
  readonly sequence: bigint
  readonly transactions: number
  readonly transactionBytes: number
}

/** Whose it is and how it came: our own, or handed over by its author's worker, or fetched. */
export type PutKind = OwnPut | 'delivered' | 'fetched'

export interface PutsDependencies {
  readonly databases: StoreDatabases
  readonly index: StoreIndex
  readonly reads: VerifiedReads
  readonly retention: Retention
  readonly placement: Placement
  readonly freed: FreedCells
  readonly expiry: Expiry
  readonly lifetimes: Pick<Lifetimes, 'begins' | 'gone' | 'stored'>
  readonly kept: Pick<KeptCommits, 'renewed'>
}

type Coming = Pick<IndexEntry, 'author' | 'byteLength' | 'stamp'>

const EMPTY = new Uint8Array(0)

export class Puts {
  private readonly dependencies: PutsDependencies

  constructor(dependencies: PutsDependencies) {
    this.dependencies = dependencies
  }

  /** Resolves when the batch is stored at the store's level (Store.put). */
  async put(digest: Uint8Array, author: Uint8Array, bytes: Uint8Array, kind: PutKind): Promise<void> {
    assert(digest.length === DIGEST_BYTES)
    const { expiry, index, lifetimes, placement, reads } = this.dependencies
    const coming = { author, byteLength: bytes.length, stamp: this.dependencies.retention.stampOfNew }
    lifetimes.begins(digest, coming)
    expiry.putBegins()
    const name = digestKey(digest)
    while (index.changeOf(name) !== undefined) await index.changeOf(name)
    const replaced = reads.isDamaged(digest) ? index.entryOf(digest) : undefined
    if (replaced !== undefined) this.replaces(digest, coming, replaced)
    // A copy of an own batch that comes from another worker stays our own.
    const own = kind === 'delivered' || kind === 'fetched' ? undefined : kind
    const isOwn = own !== undefined || (replaced?.isOwn ?? false)
    const isDelivered = !isOwn && (kind === 'delivered' || (replaced?.isDelivered ?? false))
    const { sequence } = readBatchHeader(bytes)
    const entry = { author, byteLength: bytes.length, sequence, isOwn, isDelivered }
    const stored = placement.place(bytes, (cell, value) => {
      const put = this.write(digest, entry, cell, value, replaced)
      if (own !== undefined) this.writeOwn(digest, own)
      expiry.putWritten()
      return put
    })
    // What is being replaced is not deleted by its old stamp.
    await (replaced === undefined ? stored : index.hold(name, stored))
    lifetimes.stored(digest)
    reads.forget(digest)
    expiry.putEnds()
  }

  /** A copy of what a commit has already does not have to wait for another. */
  private replaces(digest: Uint8Array, coming: Coming, replaced: IndexEntry): void {
    const { kept, lifetimes, retention } = this.dependencies
    lifetimes.gone(digest, replaced)
    if (replaced.stamp === UNCOMMITTED) return
    kept.renewed(replaced.stamp, replaced.byteLength)
    lifetimes.stored(digest)
    lifetimes.gone(digest, { ...replaced, ...coming })
    lifetimes.begins(digest, { ...coming, stamp: retention.round })
  }

  private write(
    digest: Uint8Array,
    entry: Omit<IndexEntry, 'placed' | 'stamp'>,
    cell: Cell | undefined,
    value: Uint8Array,
    replaced: IndexEntry | undefined,
  ): Put {
    const { databases, freed, retention } = this.dependencies
    const { batches, index } = databases
    const stamp = replaced !== undefined && replaced.stamp !== UNCOMMITTED ? retention.round : retention.stampOfNew
    const placed = cell === undefined ? retention.round : placeOf(cell)
    if (replaced !== undefined) {
      void batches.remove(roundKey(replaced.placed, digest))
      void removeStanding(databases, digest, replaced)
    }
    const put: Put = batches.put(roundKey(placed, digest), value)
    index.put(digest, encodeIndexEntry({ stamp, placed, ...entry }))
    void putStanding(databases, digest, { stamp, sequence: entry.sequence })
    if (replaced !== undefined) freed.after(put, [replaced])
    return put
  }

  private writeOwn(digest: Uint8Array, { sequence, transactionBytes, transactions }: OwnPut): void {
    const { own, unreported } = this.dependencies.databases
    own.put(sequenceKey(sequence), encodeOwnEntry({ digest, transactions, transactionBytes }))
    unreported.put(roundKey(sequence, digest), EMPTY)
  }
}
