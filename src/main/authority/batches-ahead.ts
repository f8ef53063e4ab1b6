/**
 * The batches of one commit, in order, whose bytes are read before they are asked for. How many are on their way is a
 * budget that all commits share that a reader has before it: the first has the first of it.
 */
import type { LoggedBatch } from '../../shared/store/primary/commit-log-reader.js'
import { Deque } from '../lib/deque.js'

/** How many batches may be read ahead. */
export class ReadBudget {
  private left: number

  constructor(batches: number) {
    this.left = batches
  }

  tryTake(): boolean {
    if (this.left === 0) return false
    this.left -= 1
    return true
  }

  giveBack(batches: number): void {
    this.left += batches
  }
}

export interface Reading {
  readonly entry: LoggedBatch
  /** Called once, when its turn comes. */
  readonly bytes: () => Promise<Uint8Array> | Uint8Array
}

export interface BatchesAheadDependencies {
  readonly entries: Iterator<LoggedBatch>
  readonly bytesOf: (entry: LoggedBatch) => Promise<Uint8Array>
  /** Whether it is in memory; it may not be any more when its turn comes. */
  readonly isRecent: (entry: LoggedBatch) => boolean
  readonly recent: (entry: LoggedBatch) => Uint8Array | undefined
  readonly budget: ReadBudget
  /** Called once, when nobody takes any more. */
  readonly onLeft: () => void
}

export class BatchesAhead {
  private readonly dependencies: BatchesAheadDependencies
  private readonly readings = new Deque<Reading>()
  private areAllBegun = false
  private isLeft = false
  /** What the iterator of entries has thrown. */
  private failure: { readonly error: unknown } | undefined

  constructor(dependencies: BatchesAheadDependencies) {
    this.dependencies = dependencies
  }

  /** Begins to read what the budget has room for. Returns whether all are begun. */
  fill(): boolean {
    const { budget } = this.dependencies
    while (!this.areAllBegun && budget.tryTake()) {
      const reading = this.begin()
      if (reading === undefined) budget.giveBack(1)
      else this.readings.pushBack(reading)
    }
    return this.areAllBegun
  }

  /**
   * The next one, if there is one. Commits behind this one may have used up the budget: then it is begun only now.
   *
   * @throws what the iterator of entries has thrown, to the reader that has come so far
   */
  take(): Reading | undefined {
    const ahead = this.readings.popFront()
    if (ahead !== undefined) {
      this.dependencies.budget.giveBack(1)
      return ahead
    }
    const reading = this.begin()
    if (reading === undefined && this.failure !== undefined) throw this.failure.error
    return reading
  }

  leave(): void {
    if (this.isLeft) return
    this.isLeft = true
    this.areAllBegun = true
    this.dependencies.budget.giveBack(this.readings.size)
    while (this.readings.popFront() !== undefined);
    this.dependencies.onLeft()
  }

  private begin(): Reading | undefined {
    const entry = this.areAllBegun ? undefined : this.nextEntry()
    if (entry === undefined) return undefined
    const { bytesOf, isRecent, recent } = this.dependencies
    if (isRecent(entry)) return { entry, bytes: () => recent(entry) ?? bytesOf(entry) }
    const bytes = bytesOf(entry)
    // It is waited for when its turn comes, or the reader has left by then.
    bytes.catch(() => {})
    return { entry, bytes: () => bytes }
  }

  private nextEntry(): LoggedBatch | undefined {
    try {
      const { done, value } = this.dependencies.entries.next()
      if (!done) return value
    } catch (error) {
      this.failure = { error }
    }
    this.areAllBegun = true
    return undefined
  }
}
