/**
 * The store's writes. Each joins the next commit group, and its promise resolves when the write has reached the level
 * that it asks for: committed, or flushed. A write that fails ends the node.
 */
import assert from 'node:assert'
import type { NarvalError } from '../../shared/errors.js'
import { recordFlushFailure } from '../../shared/store/flush-failure.js'
import { isFull, storeError } from '../../shared/store/store-error.js'
import { CommitGroups } from './commit-groups.js'
import { FLUSH_DEADLINE_MS } from './limits.js'

/** What LMDB returns for a write: resolves at the commit, `flushed` at the flush. */
export type Put = Promise<unknown> & { flushed?: Promise<unknown> }
export type Level = 'stored' | 'durable'

export class StoreWrites {
  private readonly directory: string
  private readonly onFatal: (error: NarvalError) => void
  private readonly groups: CommitGroups
  private lastFlush: Promise<unknown> = Promise.resolve()

  /** `flushSegments` returns undefined where nothing is to be flushed. */
  constructor(
    directory: string,
    onFatal: (error: NarvalError) => void,
    flushSegments: () => Promise<void> | undefined = () => undefined,
  ) {
    this.directory = directory
    this.onFatal = onFatal
    this.groups = new CommitGroups(() => {
      const flush = flushSegments()
      return flush && this.ended(flush)
    })
  }

  /** Resolves when a write to a segment is done. One that fails, or does not end in time, ends the node. */
  async written<T>(write: Promise<T>): Promise<T> {
    try {
      return await inTime(write, 'a write')
    } catch (error) {
      return this.fail(error)
    }
  }

  /** Has `write` done in the next commit group; resolves when that is true at the level. */
  write(write: () => Put, level: Level): Promise<void> {
    return new Promise((resolve) => {
      this.groups.join(() => resolve(this.settle(write(), level)))
    })
  }

  /** The same for a batch of so many bytes. */
  writeBatch(write: () => Put, bytes: number, level: Level): Promise<void> {
    return new Promise((resolve) => {
      this.groups.joinBatch(() => resolve(this.settle(write(), level)), bytes)
    })
  }

  /** Calls `write` behind all others of the next commit group, and resolves to what it returns. */
  atEnd<T>(write: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.groups.joinAtEnd(() => resolve(write()))
    })
  }

  /** Begins now what is waiting: the store is about to be closed. */
  async flush(): Promise<void> {
    await this.groups.flush()
  }

  /** Waits for a write to be true at a level; a write that fails ends the node. */
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

  /** Writes down that a flush failed, so that the next start copies the store, and ends the node. */
  flushFailed(error: Error): void {
    if (!isOutOfFiles(error)) recordFlushFailure(this.directory, error.message)
    this.onFatal(storeError(this.directory, error))
  }

  /** Resolves when a flush has ended. One that fails, or does not end in time, ends the node. */
  private async ended(flush: Promise<unknown>): Promise<void> {
    try {
      await inTime(flush, 'a flush')
    } catch (error) {
      this.flushFailed(error as Error)
      // What waits for it never goes on.
      await new Promise<never>(() => {})
    }
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

/** The same promise; rejects if it has not ended after FLUSH_DEADLINE_MS. */
async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${FLUSH_DEADLINE_MS} ms`)), FLUSH_DEADLINE_MS)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** This process, or the machine, may open no more files: nothing is wrong with the disk. */
function isOutOfFiles(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EMFILE' || code === 'ENFILE'
}
