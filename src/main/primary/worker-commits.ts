/**
 * Tells a worker what is committed: reads the primary's log from the last commit on that the worker's store knows of, and
 * goes on with what comes. Past and new alike come from the log, so there is no seam between the two, and what a slow store
 * has not taken waits in the log.
 *
 * ```
 *  log:  ─── applied ───┤ read, a chunk at a time ──▶ the store's write ──▶ applied ┤ ─── not read yet ───▶ head moves
 * ```
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CommitsPrunedError, NarvalError } from '../../shared/errors.js'
import type { CommitLogHead } from '../../shared/memory/commit-log-head.js'
import { CommitLogReader } from '../../shared/store/primary/commit-log-reader.js'
import { sleep } from '../lib/sleep.js'
import type { OrderedWorker } from '../worker/primary-link/ordering-primary.js'
import {
  COMMITS_APPLIED_BATCHES,
  COMMITS_APPLIED_INTERVAL_MS,
  COMMITS_APPLIED_MAX,
  COMMITS_READ_PER_TURN,
} from './limits.js'

export interface WorkerCommitsOptions {
  /** Of the primary's store. */
  readonly directory: string
  readonly workerId: number
}

export interface WorkerCommitsDependencies {
  readonly head: CommitLogHead
  readonly worker: Pick<OrderedWorker, 'applied' | 'committed' | 'isSettled' | 'onCommits' | 'onGap'>
}

export class WorkerCommits {
  /** Resolves when all commits are applied that the log had when it began, or it was closed. */
  readonly replayed: Promise<void>
  private readonly options: WorkerCommitsOptions
  private readonly dependencies: WorkerCommitsDependencies
  private readonly ending = new AbortController()
  private settleReplayed: () => void = () => {}
  private running: Promise<void> = Promise.resolve()
  private applied: number

  constructor(options: WorkerCommitsOptions, dependencies: WorkerCommitsDependencies) {
    this.options = options
    this.dependencies = dependencies
    this.applied = dependencies.worker.applied
    this.replayed = new Promise((resolve) => {
      this.settleReplayed = resolve
    })
  }

  /** Rejects if the log cannot be read. */
  run(): Promise<void> {
    const running = this.follow()
    this.running = running.catch(() => {})
    return running
  }

  /** What is being written is written. */
  async close(): Promise<void> {
    this.ending.abort()
    await this.running
  }

  private async follow(): Promise<void> {
    const { signal } = this.ending
    const { head } = this.dependencies
    const reader = new CommitLogReader(this.options.directory)
    try {
      const { last } = reader.bounds()
      await this.skipTo(last)
      while (!signal.aborted) {
        // Before the log is read: what comes meanwhile is seen in the next turn.
        const { seen } = head
        const isMore = await this.applyNext(reader)
        if (this.applied >= last) this.settleReplayed()
        if (isMore) continue
        await head.moved(seen, signal)
        // Many commits go in one write of the store.
        await sleep(COMMITS_APPLIED_INTERVAL_MS, signal)
      }
    } finally {
      reader.close()
      this.settleReplayed()
    }
  }

  /**
   * A store that has nothing uncommitted, as a new one, need not be told of a long past. What it stores from now on is in
   * later commits, or the primary says that it is in the order when it is told.
   */
  private async skipTo(last: number): Promise<void> {
    const { worker } = this.dependencies
    if (!worker.isSettled || last <= this.applied) return
    await worker.committed([], { applied: last })
    this.applied = last
  }

  /** Returns whether the log may have more. */
  private async applyNext(reader: CommitLogReader): Promise<boolean> {
    try {
      return await this.applyChunk(reader)
    } catch (error) {
      // The primary writes faster than its file can be read: it is looked at again.
      if (error instanceof NarvalError && error.code === 'ERR_BUSY') {
        await sleep(COMMITS_APPLIED_INTERVAL_MS)
        return true
      }
      if (!(error instanceof CommitsPrunedError)) throw error
      // Which batches these commits had the primary says when it is told of them again.
      const { worker } = this.dependencies
      this.applied = error.oldest - 1
      await worker.committed([], { applied: this.applied })
      worker.onGap()
      return true
    }
  }

  /** Some commits. One that has more batches than a write takes goes to the store in parts, its index with the last. */
  private async applyChunk(reader: CommitLogReader): Promise<boolean> {
    const { signal } = this.ending
    const { worker } = this.dependencies
    let digests: Uint8Array[] = []
    let last = this.applied
    for (const commit of reader.commits(this.applied)) {
      if (signal.aborted) break
      for (const batch of commit.batches()) {
        if (batch.worker !== this.options.workerId) continue
        digests.push(batch.digest)
        if (digests.length < COMMITS_APPLIED_BATCHES) continue
        await worker.committed(digests, { partOf: commit.index })
        digests = []
        if (signal.aborted) return false
      }
      last = commit.index
      if (last - this.applied >= COMMITS_APPLIED_MAX) break
      if (last % COMMITS_READ_PER_TURN === 0) await nextTurn()
    }
    if (last === this.applied) return false
    await worker.committed(digests, { applied: last })
    this.applied = last
    worker.onCommits()
    return true
  }
}
