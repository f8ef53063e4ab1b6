/**
 * The store's one writer. Format and keys: shared/store/format.ts.
 *
 * What kill -9 leaves: a batch, its index entry and its `unreported` mark are written in one event turn, hence in one
 * transaction: all or none. A promise of `put` is kept when it resolves, never before.
 *
 * What is beyond retention is deleted little by little, in the transactions of what is stored meanwhile: the pages that a
 * transaction frees are about those that the next ones need, and LMDB's list of free pages, which it writes anew in each
 * transaction, stays short.
 */

import assert from 'node:assert'
import {
  DELETES_PER_PUT,
  DELETES_WHEN_IDLE,
  DIGEST_BYTES,
  FLUSH_DEADLINE_MS,
  SEQUENCE_PER_MS,
  SEQUENCE_RANGE,
  TRANSACTION_INTERVAL_MS,
} from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import type { StoreOptions } from '../../shared/memory/dialogue/processor.js'
import {
  batchKey,
  decodeIndexEntry,
  digestOfBatchKey,
  encodeIndexEntry,
  type IndexEntry,
  openDatabases,
  readOwned,
  STORE_FORMAT,
  type StoreDatabases,
  stampKey,
  storedBytes,
} from '../../shared/store/format.js'
import { checkFreeSpace, storeError } from '../../shared/store/store-error.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import { Transactions } from './commit-groups.js'

export interface StoreEvents {
  /** A write failed, or a flush did not end: nothing more can be promised. */
  readonly onFatal: (error: NarvalError) => void
  /** So many batches were deleted. */
  readonly onDeleted: (count: number) => void
}

const META_FORMAT = Buffer.from('format')
const META_OWNER = Buffer.from('owner')
const META_RESERVED = Buffer.from('reserved-sequence')
const META_ROUND = Buffer.from('cleanup-round')
const EMPTY = new Uint8Array(0)
/** No batch was stored for this long: one that comes now may wait for a deletion. */
const IDLE_MS = 5 * TRANSACTION_INTERVAL_MS

type Put = Promise<unknown> & { flushed?: Promise<unknown> }

/** A step of a deletion: the last key it came to, undefined if there are no more; how many were deleted. */
type DeletionStep =
  | 'not-now'
  | { readonly last: Uint8Array | undefined; readonly count: number; readonly committed: Promise<void> }

export class Store {
  private readonly options: StoreOptions
  private readonly databases: StoreDatabases
  private readonly events: StoreEvents
  private readonly transactions = new Transactions()
  private round: bigint
  private liveBytes = 0
  /** The deletion that is under way, or was last. */
  private deletion: Promise<number> = Promise.resolve(0)
  private isDeleting = false
  private isStopping = false
  /** Batches in the transactions since something was deleted last. */
  private putsSinceDeletion = 0
  private putsOutstanding = 0
  private lastPutMs = Number.NEGATIVE_INFINITY
  /**
   * Digests with a deletion, and with a new stamp, that is written and not committed: reads do not see it yet. What is
   * being deleted is gone for everybody; what is being touched is not deleted.
   */
  private readonly deleting = new Set<string>()
  private readonly touching = new Map<string, Promise<void>>()

  constructor(options: StoreOptions, events: StoreEvents) {
    this.options = options
    this.events = events
    checkFreeSpace(options.directory)
    try {
      this.databases = openDatabases(options.directory, { readOnly: false })
      this.checkOwner()
    } catch (error) {
      throw error instanceof NarvalError ? error : storeError(options.directory, error)
    }
    this.round = this.readNumber(META_ROUND)
    for (const { value } of this.databases.index.getRange({})) {
      this.liveBytes += storedBytes(decodeIndexEntry(value).byteLength)
    }
  }

  /**
   * Makes what an earlier run had committed as true as this one's level says: one that was killed may not have flushed
   * it, and it is acknowledged again without a write.
   */
  async open(): Promise<void> {
    await this.write(() => this.databases.meta.put(META_FORMAT, encodeNumber(BigInt(STORE_FORMAT))), this.options.level)
  }

  /** Bytes of the file that stored batches take. */
  get bytes(): number {
    return this.liveBytes
  }

  /** The last Cleanup round seen: the stamp of what is stored now. */
  get stamp(): bigint {
    return this.round
  }

  find(digest: Uint8Array): IndexEntry | undefined {
    if (this.deleting.size > 0 && this.deleting.has(digestKey(digest))) return undefined
    const value = this.databases.index.getBinary(digest)
    return value === undefined ? undefined : decodeIndexEntry(value)
  }

  get(digest: Uint8Array): { author: Uint8Array; bytes: Uint8Array<ArrayBuffer> } | undefined {
    const entry = this.find(digest)
    if (entry === undefined) return undefined
    const bytes = readOwned(this.databases.batches, batchKey(entry.stamp, digest))
    return bytes === undefined ? undefined : { author: entry.author, bytes }
  }

  /**
   * Stores a batch; resolves when that is true at the store's level. `bytes` must be memory of its own (LMDB keeps a
   * reference, and on Node 20 it reads garbage from shared memory) and stay unchanged until then.
   */
  async put(digest: Uint8Array, author: Uint8Array, bytes: Uint8Array, own: boolean): Promise<void> {
    assert(bytes.buffer instanceof ArrayBuffer, 'LMDB is given memory of its own')
    assert(digest.length === DIGEST_BYTES)
    this.liveBytes += storedBytes(bytes.length)
    this.putsOutstanding += 1
    const put = (): Put => {
      const stamp = this.round
      const batch: Put = this.databases.batches.put(batchKey(stamp, digest), bytes)
      this.databases.index.put(digest, encodeIndexEntry({ stamp, author, byteLength: bytes.length }))
      if (own) this.databases.unreported.put(digest, EMPTY)
      this.putsSinceDeletion += 1
      return batch
    }
    await new Promise<void>((resolve) => {
      this.transactions.joinBatch(() => resolve(this.settle(put(), this.options.level)), bytes.length)
    })
    this.putsOutstanding -= 1
    this.lastPutMs = performance.now()
  }

  /** The primary has been told of these own batches. */
  async markReported(digests: readonly Uint8Array[]): Promise<void> {
    if (digests.length === 0) return
    await this.write(() => {
      for (const digest of digests.slice(1)) void this.databases.unreported.remove(digest)
      return this.databases.unreported.remove(digests[0]!)
    }, 'stored')
  }

  isReported(digest: Uint8Array): boolean {
    return !this.databases.unreported.doesExist(digest)
  }

  /** Own batches that the primary has not been told of, from the one after `after`, in the order of their digests. */
  unreported(after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const keys = this.databases.unreported.getKeys({ ...(after && { start: after }), limit: limit + 1 })
    return take(keys, after, limit)
  }

  /** Batches with a stamp of at least `stamp`, from the one after `after`: their digests and authors. */
  since(
    stamp: bigint,
    after: Uint8Array | undefined,
    limit: number,
  ): { found: { digest: Uint8Array; author: Uint8Array }[]; next: Uint8Array | undefined } {
    const keys = take(
      this.databases.batches.getKeys({ start: after ?? stampKey(stamp), limit: limit + 1 }),
      after,
      limit,
    )
    const found = keys.flatMap((key) => {
      const digest = digestOfBatchKey(key)
      const entry = this.find(digest)
      return entry === undefined ? [] : [{ digest, author: entry.author }]
    })
    return { found, next: keys.at(-1) }
  }

  /** Gives a batch the newest stamp, so that it is kept as long as one stored now. */
  async touch(digest: Uint8Array): Promise<void> {
    const name = digestKey(digest)
    // Where it lies is known only once the last move is committed.
    for (let last = this.touching.get(name); last !== undefined; last = this.touching.get(name)) await last
    const entry = this.find(digest)
    if (entry === undefined || entry.stamp === this.round) return
    const bytes = readOwned(this.databases.batches, batchKey(entry.stamp, digest))
    if (bytes === undefined) return
    const move = (): Put => {
      const stamp = this.round
      this.databases.batches.remove(batchKey(entry.stamp, digest))
      this.databases.batches.put(batchKey(stamp, digest), bytes)
      return this.databases.index.put(digest, encodeIndexEntry({ ...entry, stamp }))
    }
    const moved = this.write(move, this.options.level).finally(() => this.touching.delete(name))
    this.touching.set(name, moved)
    await moved
  }

  /**
   * Takes note of a Cleanup, and has deleted what it puts beyond retention. Resolves to how many batches that were, once
   * they are gone; to 0 if those of an earlier Cleanup are still being deleted: the deletion goes on with these.
   */
  async cleanup(round: bigint): Promise<number> {
    if (round <= this.round) return 0
    this.round = round
    const noted = this.write(() => this.databases.meta.put(META_ROUND, encodeNumber(round)), 'stored')
    let deleted: Promise<number> | 0 = 0
    if (!this.isDeleting) {
      deleted = this.deleteExpired()
      this.deletion = deleted
    }
    const [count] = await Promise.all([deleted, noted])
    return count
  }

  /**
   * Reserves sequences that were never used before and never will be again, and resolves when that is on the disk:
   * not after a crash (the reserved end is kept), not with a new store (the clock is far ahead of any counter).
   */
  async reserveSequences(nowMs: number): Promise<{ start: bigint; end: bigint }> {
    const reserved = this.readNumber(META_RESERVED)
    const byClock = BigInt(nowMs) * SEQUENCE_PER_MS
    const start = reserved > byClock ? reserved : byClock
    const end = start + SEQUENCE_RANGE
    await this.write(() => this.databases.meta.put(META_RESERVED, encodeNumber(end)), 'durable')
    return { start, end }
  }

  /** Leaves what is still to be deleted to the first Cleanup of the next run. */
  stopDeleting(): void {
    this.isStopping = true
  }

  async close(): Promise<void> {
    this.stopDeleting()
    this.transactions.flush()
    await this.deletion
    await this.databases.root.close()
  }

  /** Has `write` done in the next transaction; resolves when that is true at the level. */
  private write(write: () => Put, level: 'stored' | 'durable'): Promise<void> {
    return new Promise((resolve) => {
      this.transactions.join(() => resolve(this.settle(write(), level)))
    })
  }

  /** Stamps below this one are beyond retention. */
  private get firstKept(): bigint {
    const retention = BigInt(this.options.retentionRounds)
    return retention === 0n || this.round < retention ? 0n : this.round - retention
  }

  private async deleteExpired(): Promise<number> {
    this.isDeleting = true
    this.putsSinceDeletion = 0
    let deleted = 0
    // A Cleanup that came meanwhile is the reason for another pass.
    for (let before = 0n; before < this.firstKept && !this.isStopping; ) {
      before = this.firstKept
      deleted += await this.deleteBefore(before)
    }
    this.isDeleting = false
    return deleted
  }

  /** One pass over what has a stamp below this one. Each step waits for the last: LMDB joins what is queued behind it. */
  private async deleteBefore(stamp: bigint): Promise<number> {
    let deleted = 0
    for (let start: Uint8Array | undefined; !this.isStopping; ) {
      const step = await new Promise<DeletionStep>((resolve) => {
        this.transactions.joinAtEnd(() => resolve(this.deleteSome(stamp, start)))
      })
      if (step === 'not-now') continue
      if (step.last === undefined) break
      await step.committed
      deleted += step.count
      start = step.last
    }
    return deleted
  }

  private deleteSome(stamp: bigint, after: Uint8Array | undefined): DeletionStep {
    const isIdle = this.putsOutstanding === 0 && performance.now() - this.lastPutMs > IDLE_MS
    const limit = this.putsSinceDeletion * DELETES_PER_PUT || (isIdle ? DELETES_WHEN_IDLE : 0)
    if (limit === 0) return 'not-now'
    this.putsSinceDeletion = 0
    const keys = this.expired(stamp, after, limit)
    return { last: keys.at(-1), ...this.remove(keys) }
  }

  /** The first keys of batches below a stamp, from the one after `after`. */
  private expired(stamp: bigint, after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const { batches } = this.databases
    return take(
      batches.getKeys({ ...(after && { start: after }), end: stampKey(stamp), limit: limit + 1 }),
      after,
      limit,
    )
  }

  /** Deletes batches, without those that are in use. */
  private remove(keys: readonly Uint8Array[]): { count: number; committed: Promise<void> } {
    const { batches, index } = this.databases
    const removed: string[] = []
    let count = 0
    let put: Put | undefined
    for (const key of keys) {
      const digest = digestOfBatchKey(key)
      const name = digestKey(digest)
      if (this.touching.has(name) || !this.isReported(digest)) continue
      const entry = this.find(digest)
      // An index entry with another stamp belongs to a newer copy, which stays.
      if (entry !== undefined && batchKey(entry.stamp, digest).equals(key)) {
        void index.remove(digest)
        this.liveBytes -= storedBytes(entry.byteLength)
        this.deleting.add(name)
        removed.push(name)
      }
      put = batches.remove(key)
      count += 1
    }
    if (put === undefined) return { count, committed: Promise.resolve() }
    const committed = this.settle(put, 'stored').then(() => {
      for (const name of removed) this.deleting.delete(name)
      this.events.onDeleted(count)
    })
    return { count, committed }
  }

  /** Waits for a write to be true at a level; a write that fails ends the node. */
  private async settle(put: Put, level: 'stored' | 'durable'): Promise<void> {
    try {
      await put
    } catch (error) {
      await this.fail(error)
    }
    if (level === 'stored') return
    assert(put.flushed !== undefined, 'LMDB says when a write is flushed')
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, FLUSH_DEADLINE_MS, 'late')
    })
    const outcome = await Promise.race([put.flushed, deadline])
    clearTimeout(timer)
    if (outcome === 'late') await this.fail(new Error(`a flush did not end within ${FLUSH_DEADLINE_MS} ms`))
  }

  private async fail(error: unknown): Promise<never> {
    const cause = await ((error as { commitError?: Promise<unknown> }).commitError ?? Promise.resolve(error)).catch(
      (commitError: unknown) => commitError,
    )
    this.events.onFatal(storeError(this.options.directory, cause))
    // The node is about to stop. Nothing that waits for this write may go on.
    return new Promise<never>(() => {})
  }

  private checkOwner(): void {
    const { meta } = this.databases
    const format = meta.getBinary(META_FORMAT)
    const owner = Buffer.concat([this.options.authority, encodeNumber(BigInt(this.options.workerId))])
    if (format === undefined) {
      meta.putSync(META_FORMAT, encodeNumber(BigInt(STORE_FORMAT)))
      meta.putSync(META_OWNER, owner)
      return
    }
    const version = Number(decodeNumber(format))
    if (version !== STORE_FORMAT) {
      throw new NarvalError(
        'ERR_STORE_FORMAT',
        `the store ${this.options.directory} has format ${version}, this version of narval reads ${STORE_FORMAT}`,
      )
    }
    if (!owner.equals(meta.getBinary(META_OWNER) ?? EMPTY)) {
      throw new NarvalError(
        'ERR_STORE_FOREIGN',
        `the store ${this.options.directory} belongs to another authority or another worker: give this one a --store of its own`,
      )
    }
  }

  private readNumber(key: Uint8Array): bigint {
    const value = this.databases.meta.getBinary(key)
    return value === undefined ? 0n : decodeNumber(value)
  }
}

function encodeNumber(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

function decodeNumber(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0)
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
