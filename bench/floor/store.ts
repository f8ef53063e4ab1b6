/**
 * Batches into segments, and an index of them into LMDB, with the product's settings and by its rules of flushing: what
 * came within a short while is flushed together, and then named in one transaction. Small batches lie in LMDB. The oldest
 * are forgotten once there are enough, so that their room is used again.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type Database, open } from 'lmdb'
import { SEGMENT_BATCH_BYTES_MIN } from '../../src/shared/store/segments/limits.js'
import {
  COMMIT_GROUP_BATCHES,
  COMMIT_GROUP_BYTES,
  COMMIT_GROUP_INTERVAL_MS,
} from '../../src/threads/processor/limits.js'
import type { AckLevel } from './options.js'
import { SegmentLog } from './segment-log.js'

export interface StoreOptions {
  readonly directory: string
  readonly ackLevel: AckLevel
  readonly retainBytes: number
}

type Put = Promise<unknown> & { flushed?: Promise<unknown> }

/** A batch that the next transaction is to name. */
interface Named {
  readonly key: Uint8Array
  /** What LMDB keeps of it: all of a small batch, or where it lies. */
  readonly value: Uint8Array
  readonly bytes: number
  readonly onStored: () => void
}

/** As long as an index entry of the product's. */
const ENTRY_BYTES = 64

export class Store {
  private readonly options: StoreOptions
  private readonly index: Database<Uint8Array, Uint8Array>
  private readonly log: SegmentLog
  private readonly kept: { readonly key: Uint8Array; readonly bytes: number }[] = []
  private keptBytes = 0
  private count = 0
  private waiting: Named[] = []
  private waitingBytes = 0
  private timer: NodeJS.Timeout | undefined
  private lastMs = Number.NEGATIVE_INFINITY
  /** The last batch that is being written, and the last transaction that waits for its flush: both keep their order. */
  private written: Promise<unknown> = Promise.resolve()
  private flushed: Promise<unknown> = Promise.resolve()

  constructor(options: StoreOptions) {
    this.options = options
    this.index = open<Uint8Array, Uint8Array>({
      path: options.directory,
      encoding: 'binary',
      keyEncoding: 'binary',
      compression: false,
      noMemInit: true,
      separateFlushed: true,
    } as Parameters<typeof open>[0]) as Database<Uint8Array, Uint8Array>
    this.log = new SegmentLog(join(options.directory, 'segments'), options.retainBytes)
  }

  /**
   * Hashes and stores a batch that lies in a slot. `onWritten` is called when the slot may change, and `onStored` in the
   * order of the calls.
   */
  put(bytes: Uint8Array, onWritten: () => void, onStored: () => void): void {
    const isLarge = bytes.length >= SEGMENT_BATCH_BYTES_MIN
    const writing = isLarge ? this.log.write(bytes) : undefined
    const digest = createHash('sha256').update(bytes).digest()
    // LMDB is never given shared memory.
    const value = isLarge ? new Uint8Array(ENTRY_BYTES) : bytes.slice()
    const named = { key: this.keyOf(digest), value, bytes: bytes.length, onStored }
    this.written = Promise.all([writing?.then(onWritten), this.written]).then(() => this.join(named))
    if (!isLarge) onWritten()
  }

  /** When all that was put is stored. */
  async close(): Promise<void> {
    this.log.close()
    await this.index.close()
  }

  private join(named: Named): void {
    this.waiting.push(named)
    this.waitingBytes += named.bytes
    const isEnough = this.waiting.length >= COMMIT_GROUP_BATCHES || this.waitingBytes >= COMMIT_GROUP_BYTES
    const waitMs = isEnough ? 0 : this.lastMs + COMMIT_GROUP_INTERVAL_MS - performance.now()
    if (waitMs <= 0) this.begin()
    else this.timer ??= setTimeout(() => this.begin(), Math.ceil(waitMs))
  }

  private begin(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.lastMs = performance.now()
    const group = this.waiting
    this.waiting = []
    this.waitingBytes = 0
    this.flushed = Promise.all([this.log.flush(), this.flushed]).then(() => this.name(group))
  }

  /** One transaction: its last promise speaks for all. */
  private name(group: readonly Named[]): void {
    let last: Put | undefined
    for (const { bytes, key, value } of group) {
      last = this.index.put(key, value)
      this.kept.push({ key, bytes })
      this.keptBytes += bytes
    }
    while (this.keptBytes > this.options.retainBytes && this.kept.length > 1) this.forgetOldest()
    const onStored = (): void => {
      for (const each of group) each.onStored()
    }
    void (this.options.ackLevel === 'durable' ? last!.then(() => last!.flushed) : last!).then(onStored)
  }

  /** Keys rise, so that what is written together is freed together. */
  private keyOf(digest: Uint8Array): Uint8Array {
    const key = Buffer.alloc(8 + digest.length)
    this.count += 1
    key.writeBigUInt64BE(BigInt(this.count))
    key.set(digest, 8)
    return key
  }

  private forgetOldest(): void {
    const oldest = this.kept.shift()!
    this.keptBytes -= oldest.bytes
    void this.index.remove(oldest.key)
  }
}
