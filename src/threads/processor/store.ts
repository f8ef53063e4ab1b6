/**
 * The store's one writer. Format and keys: shared/store/format.ts.
 *
 * What kill -9 leaves: a batch, its index entry and its `unreported` mark are written in one event turn, hence in one
 * transaction: all or none. A batch that lies in a segment is on the disk before that transaction begins, and its cell is
 * used again only when the transaction that deletes it is on the disk. A promise of `put` is kept when it resolves, never
 * before.
 *
 * How writes come true is in store-writes.ts, how batches are deleted in expiry.ts.
 */

import assert from 'node:assert'
import { DIGEST_BYTES, SEQUENCE_PER_MS, SEQUENCE_RANGE } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import type { OwnBatches, SequenceRange, StoredOwnBatch, StoreOptions } from '../../shared/memory/dialogue/processor.js'
import { checkFileSystem } from '../../shared/store/file-system.js'
import {
  checkFormat,
  decodeIndexEntry,
  decodeOwnEntry,
  digestOfKey,
  encodeIndexEntry,
  encodeOwnEntry,
  type IndexEntry,
  leastKey,
  META_FORMAT,
  numberOfKey,
  openDatabases,
  roundKey,
  STORE_FORMAT,
  type StoreDatabases,
  sequenceKey,
} from '../../shared/store/format.js'
import { prepareFile } from '../../shared/store/prepare-file.js'
import { readMeta } from '../../shared/store/read-meta.js'
import { type Cell, cellOf, placeOf } from '../../shared/store/segments/cell.js'
import { SEGMENT_BATCH_BYTES_MIN } from '../../shared/store/segments/limits.js'
import { checkFreeSpace, storeError } from '../../shared/store/store-error.js'
import { StoreFile } from '../../shared/store/store-snapshot.js'
import { storedBytes } from '../../shared/store/stored-bytes.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import { Expiry } from './expiry.js'
import { OwnedBuffers } from './owned-buffers.js'
import { CellReader } from './segments/cell-reader.js'
import { Mover } from './segments/mover.js'
import type { SegmentDisk } from './segments/segment-disk.js'
import { Segments } from './segments/segments.js'
import {
  checkOwner,
  encodeNumber,
  META_OWN_DELETED,
  META_PRIMARY_ROUND,
  META_RESERVED,
  META_ROUND,
  readNumber,
} from './store-meta.js'
import { checkSettings, type StoreSettings } from './store-settings.js'
import { type Put, StoreWrites } from './store-writes.js'
import { type Damage, VerifiedReads } from './verified-reads.js'

export interface StoreEvents {
  /** A write failed, or a flush did not end: nothing more can be promised. */
  readonly onFatal: (error: NarvalError) => void
  /** What somebody who runs the node should know. */
  readonly onNotice: (text: string) => void
  /** So many batches were deleted. */
  readonly onDeleted: (count: number) => void
  /** A stored batch is not what its digest names. An own one that was not reported cannot be sent again. */
  readonly onDamaged: (damage: Damage, isUnreported: boolean) => void
  /**
   * The batches of this author take so many bytes more of the file, or less if negative. When the store is opened, it
   * is called for each batch that is there.
   */
  readonly onBytes: (author: Uint8Array, bytes: number) => void
  /** Batches wait, since this process may open no file for another segment; or they go on. */
  readonly onStarved: (isStarved: boolean) => void
}

/** What makes a batch that is stored one of our own: it is to be reported, and found by its sequence. */
export interface OwnPut {
  readonly sequence: bigint
  readonly transactions: number
  readonly transactionBytes: number
}

const EMPTY = new Uint8Array(0)

export class Store {
  private readonly options: StoreOptions
  private readonly databases: StoreDatabases
  private readonly events: StoreEvents
  private readonly writes: StoreWrites
  private readonly expiry: Expiry
  private readonly file: StoreFile
  private readonly cells: CellReader
  private readonly reads: VerifiedReads
  private readonly segments: Segments
  private readonly mover: Mover
  private readonly buffers = new OwnedBuffers(SEGMENT_BATCH_BYTES_MIN)
  /** The last batch that is being written, or waits for one that is. */
  private placing: Promise<unknown> | undefined
  private round: bigint
  /** The primary's round that `round` stands for. */
  primaryRound: bigint
  private liveBytes = 0
  /** The highest sequence of the own batches that were deleted. */
  private ownDeleted: bigint
  /**
   * Digests whose deletion, or whose new stamp or place, is written and not committed: reads of LMDB do not see it yet. A
   * batch that is being deleted counts as gone. A batch that is getting a new stamp or place is not deleted.
   */
  private readonly deleting = new Set<string>()
  private readonly touching = new Map<string, Promise<void>>()
  /** Cells that are going to be free: one entry for each step of a deletion, each move and each replacement under way. */
  private readonly releasing = new Set<Promise<void>>()

  /** `disk` is what segments are written with; the directory's unless given. */
  constructor(options: StoreOptions, events: StoreEvents, disk?: SegmentDisk) {
    this.options = options
    this.events = events
    checkFreeSpace(options.directory)
    checkFileSystem(options.directory)
    prepareFile(options.directory, { log: events.onNotice })
    // Before LMDB makes databases in what may be a primary's store.
    const format = readMeta(options.directory, META_FORMAT)
    if (format !== undefined) checkFormat(format, options.directory)
    try {
      this.databases = openDatabases(options.directory)
      checkOwner(this.databases, options)
      const { onStarved } = events
      const onRemoved = (segment: number): void => this.cells.forget(segment)
      this.segments = new Segments({ directory: options.directory, ...(disk && { disk }) }, { onRemoved, onStarved })
      this.cells = new CellReader(options.directory)
    } catch (error) {
      throw error instanceof NarvalError ? error : storeError(options.directory, error)
    }
    this.round = readNumber(this.databases.meta, META_ROUND)
    this.primaryRound = this.databases.meta.doesExist(META_PRIMARY_ROUND)
      ? readNumber(this.databases.meta, META_PRIMARY_ROUND)
      : this.round
    this.ownDeleted = readNumber(this.databases.meta, META_OWN_DELETED)
    this.writes = new StoreWrites(options.directory, events.onFatal, () => this.segments.flush())
    this.file = new StoreFile(options.directory)
    this.reads = new VerifiedReads({
      cells: this.cells,
      file: this.file,
      onDamaged: (damage) => events.onDamaged(damage, !this.isReported(damage.digest)),
    })
    this.expiry = new Expiry({
      writes: this.writes,
      firstKept: () => this.firstKept,
      expired: (stamp, after, limit) => this.expired(stamp, after, limit),
      remove: (keys) => this.remove(keys),
    })
    for (const { value } of this.databases.index.getRange({})) {
      const { author, byteLength, placed } = decodeIndexEntry(value)
      this.account(author, storedBytes(byteLength))
      const cell = cellOf(placed, byteLength)
      if (cell !== undefined) this.segments.place(cell)
    }
    this.segments.recover(events.onNotice)
    if (!this.segments.isDirect) {
      events.onNotice(`The file system of ${options.directory} refuses O_DIRECT: batches go through the page cache`)
    }
    this.mover = new Mover({
      emptiest: () => this.segments.emptiest,
      listed: (segment, limit) => this.listed(segment, limit),
      read: (digest, segment) => this.readToMove(digest, segment),
      move: (digest, bytes) => this.move(digest, bytes),
    })
  }

  /**
   * Has what an earlier run committed on the disk. A run that was killed may have committed batches and not flushed them.
   * They are acknowledged again without a new write. What it deleted or moved may be in the index on the disk still, so
   * no cell is used before. What it was about to move is moved now.
   */
  async open(): Promise<void> {
    await this.writes.write(() => this.databases.meta.put(META_FORMAT, encodeNumber(BigInt(STORE_FORMAT))), 'durable')
    await this.writes.written(this.segments.begin())
    this.mover.wake()
  }

  /** No batch can be written to a segment now: this process may open no more files. */
  get isStarved(): boolean {
    return this.segments.isStarved
  }

  /** Bytes of the segments. */
  get segmentBytes(): number {
    return this.segments.fileBytes
  }

  /** Bytes of the file that stored batches take. */
  get bytes(): number {
    return this.liveBytes
  }

  /** The last Cleanup round seen: the stamp of what is stored now. */
  get stamp(): bigint {
    return this.round
  }

  /** The index entry of a batch; undefined if it is not stored, is being deleted, or was found damaged. */
  find(digest: Uint8Array): IndexEntry | undefined {
    return this.reads.isDamaged(digest) ? undefined : this.entryOf(digest)
  }

  /** The same, once the stored bytes were checked by the digest. Rejects with ERR_BUSY if they cannot be read now. */
  async verified(digest: Uint8Array): Promise<IndexEntry | undefined> {
    return this.reads.verify(digest, () => this.find(digest))
  }

  /** True if these very bytes are stored under the digest. @throws NarvalError ERR_BUSY if they cannot be read now */
  holds(digest: Uint8Array, bytes: Uint8Array): boolean {
    const entry = this.find(digest)
    return entry !== undefined && this.reads.holds(digest, entry, bytes)
  }

  private entryOf(digest: Uint8Array): IndexEntry | undefined {
    if (this.deleting.size > 0 && this.deleting.has(digestKey(digest))) return undefined
    const value = this.databases.index.getBinary(digest)
    return value === undefined ? undefined : decodeIndexEntry(value)
  }

  /** A batch, in memory of its own. @throws NarvalError ERR_BUSY if it cannot be read now */
  get(digest: Uint8Array): { author: Uint8Array; bytes: Uint8Array<ArrayBuffer> } | undefined {
    const entry = this.find(digest)
    if (entry === undefined) return undefined
    const bytes = this.reads.read(digest, entry)
    return bytes === undefined ? undefined : { author: entry.author, bytes }
  }

  /**
   * Stores a batch; resolves when that is true at the store's level. `bytes` stay unchanged until then: they are written
   * from where they lie, unless they are few. They lie in pages of their own (segments/segments.ts).
   */
  async put(digest: Uint8Array, author: Uint8Array, bytes: Uint8Array, own?: OwnPut): Promise<void> {
    assert(digest.length === DIGEST_BYTES)
    this.account(author, storedBytes(bytes.length))
    this.expiry.putBegins()
    const name = digestKey(digest)
    while (this.touching.has(name)) await this.touching.get(name)
    const replaced = this.reads.isDamaged(digest) ? this.entryOf(digest) : undefined
    if (replaced !== undefined) this.account(replaced.author, -storedBytes(replaced.byteLength))
    // A copy of an own batch that comes from another worker keeps the sequence that the batch had here.
    const sequence = own?.sequence ?? replaced?.sequence
    const put = (cell: Cell | undefined, value: Uint8Array): Put => {
      const { batches, index, stamps } = this.databases
      const stamp = this.round
      const placed = cell === undefined ? stamp : placeOf(cell)
      if (replaced !== undefined) {
        void batches.remove(roundKey(replaced.placed, digest))
        void stamps.remove(roundKey(replaced.stamp, digest))
      }
      const batch: Put = batches.put(roundKey(placed, digest), value)
      index.put(digest, encodeIndexEntry({ stamp, placed, author, byteLength: bytes.length, sequence }))
      stamps.put(roundKey(stamp, digest), EMPTY)
      if (own !== undefined) this.putOwn(digest, own)
      this.expiry.putWritten()
      if (replaced !== undefined) this.releaseAfter(batch, [replaced])
      return batch
    }
    const stored = this.place(bytes, put)
    // What is being replaced is not deleted by its old stamp.
    await (replaced === undefined ? stored : this.hold(name, stored))
    this.reads.forget(digest)
    this.expiry.putEnds()
  }

  private putOwn(digest: Uint8Array, { sequence, transactionBytes, transactions }: OwnPut): void {
    const { own, unreported } = this.databases
    own.put(sequenceKey(sequence), encodeOwnEntry({ digest, transactions, transactionBytes }))
    unreported.put(roundKey(sequence, digest), EMPTY)
  }

  /**
   * Has a batch written to a cell, or copied for LMDB, and then `put` done in a commit group. The index gets batches in the
   * order of the calls.
   */
  private async place(bytes: Uint8Array, put: (cell: Cell | undefined, value: Uint8Array) => Put): Promise<void> {
    const { level } = this.options
    const isLarge = bytes.length >= SEGMENT_BATCH_BYTES_MIN
    // LMDB keeps a reference, and on Node 20 it reads garbage from shared memory.
    const owned = isLarge ? undefined : this.buffers.copy(bytes)
    let cell: Cell | undefined
    if (isLarge || this.placing !== undefined) {
      const written = isLarge ? this.writeCell(bytes) : undefined
      const placing = Promise.all([written, this.placing]).then(([place]) => place)
      this.placing = placing
      cell = await placing
      if (this.placing === placing) this.placing = undefined
    }
    await this.writes.writeBatch(() => put(cell, owned ?? EMPTY), bytes.length, level)
    if (owned !== undefined) this.buffers.release(owned)
  }

  /** Writes a batch to a cell: the deadline of a write begins when there is one. */
  private async writeCell(bytes: Uint8Array): Promise<Cell> {
    const cell = await this.writes.succeeded(this.segments.take(bytes.length))
    await this.writes.written(this.segments.write(cell, bytes))
    return cell
  }

  /** The primary has been told of these own batches. */
  async markReported(digests: readonly Uint8Array[]): Promise<void> {
    const marks = digests.flatMap((digest) => this.markOf(digest) ?? [])
    if (marks.length === 0) return
    // Retention counts from the report on. The batch may have been stored long before.
    await Promise.all(digests.filter((digest) => this.isAging(digest)).map((digest) => this.touch(digest)))
    await this.writes.write(() => {
      for (const mark of marks.slice(1)) void this.databases.unreported.remove(mark)
      return this.databases.unreported.remove(marks[0]!)
    }, 'stored')
  }

  /** The key of a batch in `unreported`, whether it is there or not; undefined if the batch is none of our own. */
  private markOf(digest: Uint8Array): Buffer | undefined {
    const sequence = this.entryOf(digest)?.sequence
    return sequence === undefined ? undefined : roundKey(sequence, digest)
  }

  /** Whether a quarter of the retention has passed since its stamp. Before that, a new stamp is not worth a write. */
  private isAging(digest: Uint8Array): boolean {
    const entry = this.find(digest)
    return entry !== undefined && (this.round - entry.stamp) * 4n > BigInt(this.options.retentionRounds)
  }

  isReported(digest: Uint8Array): boolean {
    const mark = this.markOf(digest)
    return mark === undefined || !this.databases.unreported.doesExist(mark)
  }

  /** Own batches of these sequences that the primary has not been told of, in their order. */
  unreported({ before, from }: SequenceRange, limit: number): { sequence: bigint; digest: Uint8Array }[] {
    const found: { sequence: bigint; digest: Uint8Array }[] = []
    if (from >= before) return found
    const keys = this.databases.unreported.getKeys({ start: leastKey(from), end: leastKey(before), limit })
    for (const key of keys) found.push({ sequence: numberOfKey(key), digest: digestOfKey(key) })
    return found
  }

  /** Own batches of these sequences, in their order. */
  own({ before, from }: SequenceRange, limit: number): OwnBatches {
    const { meta, own } = this.databases
    // Of the same turn as the walk, hence of the same snapshot: what the walk does not find any more counts as deleted.
    const deleted = readNumber(meta, META_OWN_DELETED)
    const found: StoredOwnBatch[] = []
    if (from >= before) return { found, next: before, deleted }
    for (const { key, value } of own.getRange({ start: sequenceKey(from), end: sequenceKey(before), limit })) {
      found.push({ sequence: numberOfKey(key), ...decodeOwnEntry(value) })
    }
    return { found, next: found.length === limit ? found.at(-1)!.sequence + 1n : before, deleted }
  }

  /** Batches with a stamp of at least `stamp`, from the one after `after`: their digests and authors. */
  async since(
    stamp: bigint,
    after: Uint8Array | undefined,
    limit: number,
  ): Promise<{ found: { digest: Uint8Array; author: Uint8Array }[]; next: Uint8Array | undefined }> {
    const keys = take(
      this.databases.stamps.getKeys({ start: after ?? leastKey(stamp), limit: limit + 1 }),
      after,
      limit,
    )
    const found: { digest: Uint8Array; author: Uint8Array }[] = []
    for (const key of keys) {
      const digest = digestOfKey(key)
      const entry = await this.verified(digest)
      if (entry !== undefined) found.push({ digest, author: entry.author })
    }
    return { found, next: keys.at(-1) }
  }

  /** Gives a batch the newest stamp, so that it is kept as long as one stored now. False if it is not stored any more. */
  async touch(digest: Uint8Array): Promise<boolean> {
    const name = digestKey(digest)
    // Its stamp and its place are known only once the last ones are committed. No turn may pass between the last look at
    // `touching` and the call of `hold`: a deletion or a move could begin in it.
    while (this.touching.has(name)) await this.touching.get(name)
    const entry = this.find(digest)
    if (entry === undefined) return false
    if (entry.stamp === this.round) return true
    const renew = (): Put => {
      const { index, stamps } = this.databases
      const stamp = this.round
      stamps.remove(roundKey(entry.stamp, digest))
      stamps.put(roundKey(stamp, digest), EMPTY)
      return index.put(digest, encodeIndexEntry({ ...entry, stamp }))
    }
    await this.hold(name, this.writes.write(renew, this.options.level))
    return true
  }

  /** Until this change of a batch's entry is over, nothing else changes it. */
  private hold(name: string, change: Promise<void>): Promise<void> {
    assert(!this.touching.has(name), 'one change of an entry at a time')
    const held = change.finally(() => this.touching.delete(name))
    this.touching.set(name, held)
    return held
  }

  /**
   * Takes note of a Cleanup, and deletes what is beyond retention now. Resolves to how many batches that were, once
   * they are gone. If the deletion of an earlier Cleanup is still under way, it resolves to 0, and that deletion goes
   * on with the new ones. Batches that are being moved are deleted when they have moved, and not counted.
   */
  async cleanup(round: bigint, primaryRound = round): Promise<number> {
    if (round <= this.round) return 0
    this.round = round
    this.primaryRound = primaryRound
    const { meta } = this.databases
    const noted = this.writes.write(() => {
      void meta.put(META_PRIMARY_ROUND, encodeNumber(primaryRound))
      return meta.put(META_ROUND, encodeNumber(round))
    }, 'stored')
    const [count] = await Promise.all([this.expiry.begin(), noted])
    return count
  }

  /**
   * Reserves sequences that were never used before and never will be again, and resolves when that is on the disk. A
   * crash does not repeat one, since the end of the range is kept. A new store does not either, since ranges begin at
   * the clock, which is far ahead of any counter.
   */
  async reserveSequences(nowMs: number): Promise<{ start: bigint; end: bigint }> {
    const reserved = readNumber(this.databases.meta, META_RESERVED)
    const byClock = BigInt(nowMs) * SEQUENCE_PER_MS
    const start = reserved > byClock ? reserved : byClock
    const end = start + SEQUENCE_RANGE
    await this.writes.write(() => this.databases.meta.put(META_RESERVED, encodeNumber(end)), 'durable')
    return { start, end }
  }

  /** Refuses settings that do not go with what is stored, and says what else does not. */
  checkSettings(settings: Omit<StoreSettings, 'directory'>): void {
    const { directory } = this.options
    checkSettings(this.databases, this.bytes, { directory, ...settings }, this.events.onNotice)
  }

  /** Frees what readers that died keep in use: how many there were. */
  clearDeadReaders(): number {
    return this.databases.root.readerCheck()
  }

  /** A flush of the store's file failed: nothing more can be promised, and the next start is to know. */
  flushFailed(error: Error): void {
    this.writes.flushFailed(error)
  }

  /** Leaves what is still to be deleted to the first Cleanup of the next run. */
  stopDeleting(): void {
    this.expiry.stop()
  }

  async close(): Promise<void> {
    this.stopDeleting()
    this.mover.stop()
    await this.writes.flush()
    await this.mover.ended()
    await this.expiry.ended()
    await Promise.all(this.releasing)
    await this.databases.root.close()
    this.file.close()
    await this.segments.close()
    this.cells.close()
  }

  /** Stamps below this one are beyond retention. */
  private get firstKept(): bigint {
    const retention = BigInt(this.options.retentionRounds)
    return retention === 0n || this.round < retention ? 0n : this.round - retention
  }

  /** The first keys of `stamps` below a stamp, from the one after `after`. */
  private expired(stamp: bigint, after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const { stamps } = this.databases
    return take(
      stamps.getKeys({ ...(after && { start: after }), end: leastKey(stamp), limit: limit + 1 }),
      after,
      limit,
    )
  }

  /** Batches of this author take so many bytes more, or less. */
  private account(author: Uint8Array, bytes: number): void {
    this.liveBytes += bytes
    this.events.onBytes(author, bytes)
  }

  /** Deletes batches by their keys in `stamps`, without those that are in use. */
  private remove(keys: readonly Uint8Array[]): { count: number; committed: Promise<void> } {
    const { batches, index, own, stamps } = this.databases
    const removed: string[] = []
    let ownDeleted = this.ownDeleted
    const entries: IndexEntry[] = []
    let put: Put | undefined
    for (const key of keys) {
      const digest = digestOfKey(key)
      const name = digestKey(digest)
      const entry = this.entryOf(digest)
      // One that is being moved is deleted then (`move`).
      if (entry === undefined || this.touching.has(name) || !this.isReported(digest)) continue
      void stamps.remove(key)
      void index.remove(digest)
      if (entry.sequence !== undefined) {
        void own.remove(sequenceKey(entry.sequence))
        if (entry.sequence > ownDeleted) ownDeleted = entry.sequence
      }
      put = batches.remove(roundKey(entry.placed, digest))
      this.account(entry.author, -storedBytes(entry.byteLength))
      this.reads.forget(digest)
      this.deleting.add(name)
      removed.push(name)
      entries.push(entry)
    }
    if (ownDeleted > this.ownDeleted) void this.databases.meta.put(META_OWN_DELETED, encodeNumber(ownDeleted))
    this.ownDeleted = ownDeleted
    const count = removed.length
    if (put === undefined) return { count, committed: Promise.resolve() }
    this.releaseAfter(put, entries)
    const committed = this.writes.settle(put, 'stored').then(() => {
      for (const name of removed) this.deleting.delete(name)
      this.events.onDeleted(count)
    })
    return { count, committed }
  }

  /**
   * The cells of these entries are free when a write that takes them out of the index is on the disk. Before that, a power
   * cut would bring the entries back.
   */
  private releaseAfter(put: Put, entries: readonly IndexEntry[]): void {
    const cells = entries
      .map(({ byteLength, placed }) => cellOf(placed, byteLength))
      .filter((cell) => cell !== undefined)
    if (cells.length === 0) return
    const released = this.writes.settle(put, 'durable').then(() => {
      this.releasing.delete(released)
      // No read of LMDB begun before sees them any more.
      this.databases.root.resetReadTxn()
      this.segments.release(cells)
      this.mover.wake()
    })
    this.releasing.add(released)
  }

  /** What lies in a batch's cell, damaged or not; undefined if it is given a new stamp now, or is about to be deleted. */
  private readToMove(digest: Uint8Array, segment: number): Uint8Array | undefined {
    const entry = this.touching.has(digestKey(digest)) ? undefined : this.entryOf(digest)
    const cell = entry && cellOf(entry.placed, entry.byteLength)
    if (entry === undefined || cell?.segment !== segment || this.isExpired(digest, entry)) return undefined
    try {
      return this.cells.read(cell, entry.byteLength) ?? new Uint8Array(entry.byteLength)
    } catch (error) {
      // It is moved when cells are released the next time.
      if (error instanceof NarvalError && error.code === 'ERR_BUSY') return undefined
      throw error
    }
  }

  /** It is beyond retention, and not kept for the primary. */
  private isExpired(digest: Uint8Array, { stamp }: IndexEntry): boolean {
    return stamp < this.firstKept && this.isReported(digest)
  }

  /**
   * Gives a batch another cell. Until then it is neither deleted nor given a new stamp. If it went beyond retention
   * meanwhile, it is deleted after that.
   */
  private async move(digest: Uint8Array, bytes: Uint8Array): Promise<void> {
    const name = digestKey(digest)
    const entry = this.entryOf(digest)!
    const renew = (cell: Cell): Put => {
      const { batches, index } = this.databases
      const placed = placeOf(cell)
      void batches.remove(roundKey(entry.placed, digest))
      void batches.put(roundKey(placed, digest), EMPTY)
      const put: Put = index.put(digest, encodeIndexEntry({ ...entry, placed }))
      this.releaseAfter(put, [entry])
      return put
    }
    const moved = this.writeCell(bytes).then((cell) => this.writes.write(() => renew(cell), 'stored'))
    await this.hold(name, moved)
    if (this.isExpired(digest, entry)) this.expiry.again()
  }

  /** The first batches of a segment, in the order of its cells. */
  private listed(segment: number, limit: number): Uint8Array[] {
    const range = {
      start: leastKey(placeOf({ segment, unit: 0 })),
      end: leastKey(placeOf({ segment: segment + 1, unit: 0 })),
    }
    return take(this.databases.batches.getKeys({ ...range, limit }), undefined, limit).map(digestOfKey)
  }
}

/** At most `limit` keys behind `after`, which a range includes. Copies: LMDB reuses the memory of a key. */
function take(keys: Iterable<Uint8Array>, after: Uint8Array | undefined, limit: number): Uint8Array[] {
  const taken: Uint8Array[] = []
  for (const key of keys) {
    if (after !== undefined && Buffer.compare(key, after) === 0) continue
    taken.push(new Uint8Array(key))
    if (taken.length === limit) break
  }
  return taken
}
