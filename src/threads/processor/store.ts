/**
 * The store's one writer, as the rest of the thread sees it. Format and keys: shared/store/format.ts.
 *
 * What kill -9 leaves: a batch, its index entry and its `unreported` mark are written in one event turn, hence in one
 * transaction: all or none. A batch that lies in a segment is on the disk before that transaction begins, and its cell is
 * used again only when the transaction that deletes it is on the disk. A promise of `put` is kept when it resolves, never
 * before.
 *
 * Its parts:
 *
 * - puts.ts: how a batch is stored; renewals.ts: how it is kept longer; commits.ts: what follows from commits
 * - store-writes.ts, commit-groups.ts: how writes come true
 * - store-index.ts: which batches there are, and who changes an entry; store-walks.ts: walks over them
 * - verified-reads.ts: reads, checked
 * - segments/: where large batches lie, and how cells are written, freed and moved
 * - lifetimes.ts: what counts in an author's share, what is named, what is committed
 * - retention.ts, kept-commits.ts, expiry.ts, deletion.ts: what is deleted, when, and how
 * - store-meta.ts, store-settings.ts: whose store it is, and what goes with it
 */

import { SEQUENCE_PER_MS, SEQUENCE_RANGE } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import type {
  KeptBatch,
  OwnBatches,
  ProcessorAnswers,
  SequenceRange,
  StoreOptions,
} from '../../shared/memory/dialogue/processor.js'
import { checkFileSystem } from '../../shared/store/file-system.js'
import {
  checkFormat,
  decodeIndexEntry,
  digestOfKey,
  type IndexEntry,
  META_FORMAT,
  openDatabases,
  STORE_FORMAT,
  type StoreDatabases,
  UNCOMMITTED,
} from '../../shared/store/format.js'
import { prepareFile } from '../../shared/store/prepare-file.js'
import { readMeta } from '../../shared/store/read-meta.js'
import { cellOf } from '../../shared/store/segments/cell.js'
import { checkFreeSpace, storeError } from '../../shared/store/store-error.js'
import { StoreFile } from '../../shared/store/store-snapshot.js'
import { Commits, type Committed } from './commits.js'
import { Deletion } from './deletion.js'
import { Expiry } from './expiry.js'
import { KeptCommits } from './kept-commits.js'
import { type Lifetime, Lifetimes } from './lifetimes.js'
import { type PutKind, Puts } from './puts.js'
import { Renewals } from './renewals.js'
import { Retention } from './retention.js'
import { CellReader } from './segments/cell-reader.js'
import { FreedCells } from './segments/freed-cells.js'
import { Mover } from './segments/mover.js'
import { Moves } from './segments/moves.js'
import { Placement } from './segments/placement.js'
import type { SegmentDisk } from './segments/segment-disk.js'
import { Segments } from './segments/segments.js'
import { StoreIndex } from './store-index.js'
import { checkOwner, encodeNumber, META_RESERVED, readNumber, readStoreId } from './store-meta.js'
import { checkSettings, type StoreSettings } from './store-settings.js'
import { keysBefore, keysSince, keysUncommitted, listed, ownBatches, unreported } from './store-walks.js'
import { StoreWrites } from './store-writes.js'
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
   * The batches of this author that are in this part of their lives take so many bytes more of the file, or less if
   * negative. When the store is opened, it is called for each batch that is there.
   */
  readonly onBytes: (author: Uint8Array, bytes: number, lifetime: Lifetime) => void
  /** What committed batches may take now, in bytes; any number unless given. */
  readonly committedBytesMax?: () => number
  /** The batches of commits from this one on are kept. */
  readonly onFirstKept?: (first: bigint) => void
  /** Batches wait, since this process may open no file for another segment; or they go on. */
  readonly onStarved: (isStarved: boolean) => void
}

export class Store {
  private readonly options: StoreOptions
  private readonly events: StoreEvents
  private readonly databases: StoreDatabases
  private readonly writes: StoreWrites
  private readonly index: StoreIndex
  private readonly file: StoreFile
  private readonly cells: CellReader
  private readonly reads: VerifiedReads
  private readonly segments: Segments
  private readonly freed: FreedCells
  private readonly mover: Mover
  private readonly retention: Retention
  private readonly expiry: Expiry
  private readonly puts: Puts
  private readonly renewals: Renewals
  private readonly commits: Commits
  private readonly lifetimes: Lifetimes
  private readonly kept: KeptCommits
  private liveBytes = 0

  /** `disk` is what segments are written with; the directory's unless given. */
  constructor(options: StoreOptions, events: StoreEvents, disk?: SegmentDisk) {
    const { directory } = options
    this.options = options
    this.events = events
    checkFreeSpace(directory)
    checkFileSystem(directory)
    prepareFile(directory, { log: events.onNotice })
    // Before LMDB makes databases in what may be a primary's store.
    const format = readMeta(directory, META_FORMAT)
    if (format !== undefined) checkFormat(format, directory)
    try {
      this.databases = openDatabases(directory)
      checkOwner(this.databases, options)
      const { onStarved } = events
      const onRemoved = (segment: number): void => this.cells.forget(segment)
      this.segments = new Segments({ directory, ...(disk && { disk }) }, { onRemoved, onStarved })
      this.cells = new CellReader(directory)
    } catch (error) {
      throw error instanceof NarvalError ? error : storeError(directory, error)
    }
    const { cells, databases, segments } = this
    const writes = new StoreWrites(directory, events.onFatal, () => segments.flush())
    const index = new StoreIndex(databases)
    this.writes = writes
    this.index = index
    this.retention = new Retention(databases, writes, options)
    this.kept = this.openKept()
    this.lifetimes = new Lifetimes({
      index,
      isByCommits: this.retention.isByCommits,
      account: (author, bytes, lifetime) => this.account(author, bytes, lifetime),
    })
    this.file = new StoreFile(directory)
    this.reads = new VerifiedReads({
      cells,
      file: this.file,
      onDamaged: (damage) => events.onDamaged(damage, !index.isReported(damage.digest)),
    })
    this.freed = new FreedCells(databases, segments, writes, () => this.mover.wake())
    this.expiry = this.openExpiry()
    const { expiry, freed, kept, lifetimes, reads, retention } = this
    const { level } = options
    const placement = new Placement(segments, writes, level)
    const find = (digest: Uint8Array): IndexEntry | undefined => this.find(digest)
    this.puts = new Puts({ databases, index, reads, retention, placement, freed, expiry, lifetimes, kept })
    this.renewals = new Renewals({ databases, index, retention, writes, level, find, kept })
    this.commits = new Commits({ databases, index, retention, writes, lifetimes, kept })
    this.mover = this.openMover(placement)
    if (!retention.isByCommits) this.commits.forget()
    this.readIndex()
    segments.recover(events.onNotice)
    if (!segments.isDirect) {
      events.onNotice(`The file system of ${directory} refuses O_DIRECT: batches go through the page cache`)
    }
  }

  private openKept(): KeptCommits {
    const { databases, events, options, retention, writes } = this
    const { committedBytesMax = () => Number.POSITIVE_INFINITY, onFirstKept = () => {} } = events
    return new KeptCommits(
      { commits: BigInt(options.retentionCommits ?? 0) },
      { databases, writes, retention, bytesMax: committedBytesMax, onFirst: onFirstKept },
    )
  }

  private openExpiry(): Expiry {
    const { databases, freed, index, retention, writes } = this
    const deletion = new Deletion({
      databases,
      index,
      freed,
      writes,
      onDeleting: (digest, entry) => {
        this.lifetimes.gone(digest, entry)
        this.reads.forget(digest)
      },
      onDeleted: this.events.onDeleted,
    })
    return new Expiry({
      writes,
      firstKept: () => retention.firstKept,
      expired: (stamp, after, limit) => keysBefore(databases, stamp, after, limit),
      remove: (keys) => deletion.remove(keys),
    })
  }

  private openMover(placement: Placement): Mover {
    const { cells, databases, freed, index, retention, segments, writes } = this
    const onExpired = (): void => this.expiry.again()
    const moves = new Moves({ databases, index, retention, cells, placement, freed, writes, onExpired })
    return new Mover({
      emptiest: (except) => segments.emptiest(except),
      listed: (segment, limit) => listed(databases, segment, limit),
      read: (digest, segment) => moves.read(digest, segment),
      move: (digest, bytes) => moves.move(digest, bytes),
    })
  }

  /** What an earlier run left: what it takes, and which cells. */
  private readIndex(): void {
    const { isByCommits } = this.retention
    for (const { key, value } of this.databases.index.getRange({})) {
      const entry = decodeIndexEntry(value)
      this.lifetimes.restore(key, entry)
      if (isByCommits && entry.stamp !== UNCOMMITTED) this.kept.restore(entry.stamp, entry.byteLength)
      const cell = cellOf(entry.placed, entry.byteLength)
      if (cell !== undefined) this.segments.place(cell)
    }
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
    this.events.onFirstKept?.(this.retention.firstKept)
    await this.letGo()
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
    return this.retention.round
  }

  /** The primary's round that the stamp stands for. */
  get primaryRound(): bigint {
    return this.retention.primaryRound
  }

  /** The index entry of a batch; undefined if it is not stored, is being deleted, or was found damaged. */
  find(digest: Uint8Array): IndexEntry | undefined {
    return this.reads.isDamaged(digest) ? undefined : this.index.entryOf(digest)
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
  put(digest: Uint8Array, author: Uint8Array, bytes: Uint8Array, kind: PutKind = 'fetched'): Promise<void> {
    return this.puts.put(digest, author, bytes, kind)
  }

  /**
   * Gives a batch the newest stamp, so that it is kept as long as one stored now. False if it is not stored any more.
   *
   * @param isDelivered its author's worker itself has handed it over now, whoever did before
   */
  touch(digest: Uint8Array, isDelivered = false): Promise<boolean> {
    return this.renewals.touch(digest, isDelivered)
  }

  /** The primary has been told of these own batches. */
  markReported(digests: readonly Uint8Array[]): Promise<void> {
    return this.renewals.markReported(digests)
  }

  isReported(digest: Uint8Array): boolean {
    return this.index.isReported(digest)
  }

  /** Own batches of these sequences that the primary has not been told of, in their order. */
  unreported(range: SequenceRange, limit: number): { sequence: bigint; digest: Uint8Array }[] {
    return unreported(this.databases, range, limit)
  }

  /** Own batches of these sequences, in their order. */
  own(range: SequenceRange, limit: number): OwnBatches {
    return ownBatches(this.databases, range, limit)
  }

  /** Batches with a stamp of at least `stamp`, from the one after `after`. */
  async since(
    stamp: bigint,
    after: Uint8Array | undefined,
    limit: number,
  ): Promise<{ found: KeptBatch[]; next: Uint8Array | undefined }> {
    const keys = keysSince(this.databases, stamp, after, limit)
    const found: KeptBatch[] = []
    for (const key of keys) {
      const digest = digestOfKey(key)
      const entry = await this.verified(digest)
      if (entry !== undefined) found.push(keptOf(digest, entry))
    }
    return { found, next: keys.at(-1) }
  }

  /**
   * Batches that no commit has, in the order of their sequences, from the one after `after`; without own ones that the
   * primary was not told of. The index alone says it: nothing is read.
   */
  uncommitted(after: Uint8Array | undefined, limit: number): { found: KeptBatch[]; next: Uint8Array | undefined } {
    const keys = keysUncommitted(this.databases, after, limit)
    const found: KeptBatch[] = []
    for (const key of keys) {
      const digest = digestOfKey(key)
      const entry = this.find(digest)
      if (entry === undefined || !this.isReported(digest)) continue
      found.push(keptOf(digest, entry))
    }
    return { found, next: keys.at(-1) }
  }

  /** The primary has these batches in its order; resolves when the store says so. */
  async committed(committed: Committed): Promise<void> {
    await this.commits.apply(committed)
    await this.letGo()
    if (this.retention.firstKept > 0n) void this.expiry.begin()
  }

  /** Deletes committed batches, the oldest first, if there are more of them than there may be now. */
  async letGo(): Promise<void> {
    if (this.retention.isByCommits && (await this.kept.move())) void this.expiry.begin()
  }

  /** The primary has named these batches, stored or not; with `isAnew`, no others. */
  name(digests: readonly Uint8Array[], isAnew: boolean): void {
    if (this.retention.isByCommits) this.lifetimes.name(digests, isAnew)
  }

  /** It was said of these, and is not so any more. */
  unname(digests: readonly Uint8Array[]): void {
    this.lifetimes.unname(digests)
  }

  /** Which store this is, up to which commit it knows what is committed, and whether that is all it has. */
  get commitState(): ProcessorAnswers['commit-state'] {
    const isSettled = keysUncommitted(this.databases, undefined, 1).length === 0
    const isNew = readNumber(this.databases.meta, META_RESERVED) === 0n
    return { storeId: readStoreId(this.databases.meta), applied: this.commits.applied, isSettled, isNew }
  }

  /**
   * Takes note of a Cleanup, and deletes what is beyond retention now. Resolves to how many batches that were, once
   * they are gone. If the deletion of an earlier Cleanup is still under way, it resolves to 0, and that deletion goes
   * on with the new ones. Batches that are being moved are deleted when they have moved, and not counted.
   */
  async cleanup(round: bigint, primaryRound = round): Promise<number> {
    if (this.retention.isByCommits || round <= this.stamp) return 0
    const noted = this.retention.note(round, primaryRound)
    const [count] = await Promise.all([this.expiry.begin(), noted])
    return count
  }

  /**
   * Reserves sequences that were never used before and never will be again, and resolves when that is on the disk. A
   * crash does not repeat one, since the end of the range is kept. A new store does not either, since ranges begin at
   * the clock, which is far ahead of any counter; and if the clock has been set back, since a primary that orders says
   * which sequences it knows of.
   *
   * @param after the highest sequence that another store of this worker is known to have used
   */
  async reserveSequences(nowMs: number, after = 0n): Promise<{ start: bigint; end: bigint }> {
    const reserved = readNumber(this.databases.meta, META_RESERVED)
    const byClock = BigInt(nowMs) * SEQUENCE_PER_MS
    const start = [reserved, byClock, after + 1n].reduce((greatest, least) => (least > greatest ? least : greatest))
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

  /**
   * Nothing new comes any more. What is still to be deleted is left to the first Cleanup of the next run, and what waits
   * for a file to be opened fails if that cannot be soon.
   */
  stop(): void {
    this.kept.stop()
    this.expiry.stop()
    this.segments.stopWaiting()
  }

  async close(): Promise<void> {
    this.stop()
    this.mover.stop()
    await this.kept.ended()
    await this.writes.flush()
    await this.mover.ended()
    await this.expiry.ended()
    await this.freed.ended()
    await this.databases.root.close()
    this.file.close()
    await this.segments.close()
    this.cells.close()
  }

  /** Batches of this author take so many bytes more, or less. */
  private account(author: Uint8Array, bytes: number, lifetime: Lifetime): void {
    this.liveBytes += bytes
    this.events.onBytes(author, bytes, lifetime)
  }
}

function keptOf(digest: Uint8Array, { author, isDelivered, sequence }: IndexEntry): KeptBatch {
  return { digest, author, sequence, isDelivered }
}
