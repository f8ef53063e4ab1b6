/**
 * When writes go to LMDB: those of a short while together, in one transaction of LMDB, which is called a commit group here.
 * What a commit group costs beside its batches (pages of the index, free lists, a meta page, a flush, the writer's wake-up)
 * is then shared by several of them.
 *
 * A write that comes after a quiet interval does not wait for others: its group begins when the callback that called is
 * over.
 *
 * Before its writes, a group flushes the segments, so that what it names is on the disk. Groups keep their order.
 */
import { COMMIT_GROUP_BATCHES, COMMIT_GROUP_BYTES, COMMIT_GROUP_INTERVAL_MS } from './limits.js'

export class CommitGroups {
  private waiting: (() => void)[] = []
  private atEnd: (() => void)[] = []
  private batches = 0
  private bytes = 0
  private timer: NodeJS.Timeout | undefined
  private isDue = false
  private lastMs = Number.NEGATIVE_INFINITY
  private readonly flushSegments: () => Promise<void> | undefined
  /** The last group that waits for its flush, or for the group before it. */
  private pending: Promise<void> | undefined

  /** `flushSegments` returns undefined where nothing is to be flushed; it never resolves if that fails. */
  constructor(flushSegments: () => Promise<void> | undefined) {
    this.flushSegments = flushSegments
  }

  /** Calls `write` in the next commit group, in the order of the calls; it does its writes before it returns. */
  join(write: () => void): void {
    this.waiting.push(write)
    this.request()
  }

  /** The same for one that writes a batch of so many bytes: a group begins at once when enough of them wait. */
  joinBatch(write: () => void, bytes: number): void {
    this.batches += 1
    this.bytes += bytes
    this.join(write)
  }

  /** Calls `write` behind all others of the next commit group. */
  joinAtEnd(write: () => void): void {
    this.atEnd.push(write)
    this.request()
  }

  /** Begins now what is waiting; resolves when all writes are done. The store is about to be closed. */
  async flush(): Promise<void> {
    if (this.waiting.length > 0 || this.atEnd.length > 0) this.begin()
    await this.pending
  }

  private request(): void {
    if (this.isDue) return
    const isEnough = this.batches >= COMMIT_GROUP_BATCHES || this.bytes >= COMMIT_GROUP_BYTES
    const waitMs = isEnough ? 0 : this.lastMs + COMMIT_GROUP_INTERVAL_MS - performance.now()
    if (waitMs > 0) {
      this.timer ??= setTimeout(() => this.begin(), Math.ceil(waitMs))
      return
    }
    this.isDue = true
    // What the same callback writes after this joins the group too.
    queueMicrotask(() => {
      if (this.isDue) this.begin()
    })
  }

  private begin(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.isDue = false
    this.lastMs = performance.now()
    const { waiting, atEnd } = this
    this.waiting = []
    this.atEnd = []
    this.batches = 0
    this.bytes = 0
    const write = (): void => {
      for (const each of waiting) each()
      for (const each of atEnd) each()
    }
    const flushed = this.flushSegments()
    if (flushed === undefined && this.pending === undefined) {
      write()
      return
    }
    const group = Promise.all([flushed, this.pending])
      .then(write)
      .finally(() => {
        if (this.pending === group) this.pending = undefined
      })
    this.pending = group
  }
}
