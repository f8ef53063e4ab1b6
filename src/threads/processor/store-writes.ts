/**
 * The store's writes. Each joins the next commit group, and its promise resolves when the write has reached the level
 * that it asks for: committed, or flushed. A write that fails ends the node (shared/store/write-outcomes.ts).
 */
import type { NarvalError } from '../../shared/errors.js'
import { type Level, type Put, WriteOutcomes } from '../../shared/store/write-outcomes.js'
import { CommitGroups } from './commit-groups.js'

export type { Level, Put } from '../../shared/store/write-outcomes.js'

export class StoreWrites {
  private readonly outcomes: WriteOutcomes
  private readonly groups: CommitGroups

  /** `flushSegments` returns undefined where nothing is to be flushed. */
  constructor(
    directory: string,
    onFatal: (error: NarvalError) => void,
    flushSegments: () => Promise<void> | undefined = () => undefined,
  ) {
    this.outcomes = new WriteOutcomes(directory, onFatal)
    this.groups = new CommitGroups(() => {
      const flush = flushSegments()
      return flush && this.outcomes.ended(flush)
    })
  }

  /** Resolves when a write to a segment is done. One that fails, or does not end in time, ends the node. */
  written<T>(write: Promise<T>): Promise<T> {
    return this.outcomes.written(write)
  }

  /** The same for what may take as long as it does. */
  succeeded<T>(step: Promise<T>): Promise<T> {
    return this.outcomes.succeeded(step)
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
  settle(put: Put, level: Level): Promise<void> {
    return this.outcomes.settle(put, level)
  }

  /** Writes down that a flush failed, so that the next start copies the store, and ends the node. */
  flushFailed(error: Error): void {
    this.outcomes.flushFailed(error)
  }
}
