/**
 * Waits for what a store has written to be true: committed, or flushed. A write or a flush that fails, or does not end in
 * time, ends the node, and what waits for it never goes on. A flush that failed is written down, so that the next start
 * copies the store.
 */
import assert from 'node:assert'
import type { NarvalError } from '../errors.js'
import { Deadlines } from './deadlines.js'
import { recordFlushFailure } from './flush-failure.js'
import { FLUSH_DEADLINE_MS } from './limits.js'
import { isFull, isOutOfFiles, storeError } from './store-error.js'

/** What LMDB returns for a write: resolves at the commit, `flushed` at the flush. */
export type Put = Promise<unknown> & { flushed?: Promise<unknown> }
export type Level = 'stored' | 'durable'

export class WriteOutcomes {
  private readonly directory: string
  private readonly onFatal: (error: NarvalError) => void
  private readonly deadlines = new Deadlines(FLUSH_DEADLINE_MS)
  private lastFlush: Promise<unknown> = Promise.resolve()

  constructor(directory: string, onFatal: (error: NarvalError) => void) {
    this.directory = directory
    this.onFatal = onFatal
  }

  /** Resolves when a write to a file beside LMDB's is done. */
  written<T>(write: Promise<T>): Promise<T> {
    return this.succeeded(this.deadlines.within(write, 'a write'))
  }

  /** The same for what may take as long as it does. */
  async succeeded<T>(step: Promise<T>): Promise<T> {
    try {
      return await step
    } catch (error) {
      return this.fail(error)
    }
  }

  /** Waits for a write to be true at a level. */
  async settle(put: Put, level: Level): Promise<void> {
    try {
      await put
    } catch (error) {
      await this.fail(error)
    }
    if (level === 'stored') return
    assert(put.flushed !== undefined, 'LMDB says when a write is flushed')
    await this.ended(this.inOrder(put.flushed))
  }

  /** Resolves when a flush has ended. */
  async ended(flush: Promise<unknown>): Promise<void> {
    try {
      await this.deadlines.within(flush, 'a flush')
    } catch (error) {
      this.flushFailed(error as Error)
      // What waits for it never goes on.
      await new Promise<never>(() => {})
    }
  }

  /** Writes down that a flush failed, so that the next start copies the store, and ends the node. */
  flushFailed(error: Error): void {
    if (!isOutOfFiles(error)) recordFlushFailure(this.directory, error.message)
    this.onFatal(storeError(this.directory, error))
  }

  /**
   * A flush counts when all before it have ended. One that fails never does, and LMDB says nothing; the next one succeeds,
   * without what the failed one should have written.
   */
  private inOrder(flushed: Promise<unknown>): Promise<unknown> {
    this.lastFlush = this.lastFlush.then(() => flushed)
    return this.lastFlush
  }

  private async fail(error: unknown): Promise<never> {
    const cause = await ((error as { commitError?: Promise<unknown> }).commitError ?? Promise.resolve(error)).catch(
      (commitError: unknown) => commitError,
    )
    const failure = storeError(this.directory, cause)
    if (!isFull(this.directory, cause) && !isOutOfFiles(cause)) recordFlushFailure(this.directory, failure.message)
    this.onFatal(failure)
    // The node is about to stop. Nothing that waits for this write may go on.
    return new Promise<never>(() => {})
  }
}
