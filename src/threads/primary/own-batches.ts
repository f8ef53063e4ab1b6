/**
 * Batches of our own workers that are not in the order yet: those that no header of ours lists, oldest first, and those
 * that one does. A header can fall out: it was given up, or its certificate was never linked. Then its batches are
 * proposed again, before all newer ones. Being listed twice does no harm, as a batch counts once (`committed-batches.ts`).
 */
import type { BatchEntry } from '../../shared/wire/primary/header.js'
import { compareEntries } from '../../shared/wire/primary/header.js'
import type { Round } from './consensus/types.js'
import { UNOBTAINABLE_RETRY_ROUNDS_MAX, UNOBTAINABLE_RETRY_ROUNDS_MIN } from './limits.js'

/** Its name: there is one author, ourselves. */
export function batchKey({ worker, sequence }: { worker: number; sequence: bigint }): string {
  return `${worker}/${sequence}`
}

export class OwnBatches {
  /** Batches that no header has listed. */
  private readonly fresh = new Map<string, BatchEntry>()
  /** Batches whose header fell out. They are listed before all fresh ones, so they stay few, however many are fresh. */
  private again = new Map<string, BatchEntry>()
  private readonly proposed = new Map<Round, Map<string, BatchEntry>>()
  /** Batches that a quorum could not obtain: proposed alone, now and then. */
  private readonly unobtainable = new Map<string, BatchEntry>()
  /** The round of the last header that was made, and that from which one of these is tried again. */
  private takenRound: Round = 0
  private retryRound: Round = 0
  /** Rounds until the try after that. */
  private retryDistance = UNOBTAINABLE_RETRY_ROUNDS_MIN

  /** Batches that no header lists. */
  get waiting(): number {
    return this.again.size + this.fresh.size
  }

  /** Batches in headers that may still be ordered. */
  get listed(): number {
    let count = 0
    for (const batches of this.proposed.values()) count += batches.size
    return count
  }

  /** Batches of a worker that are not ordered. */
  of(worker: number): BatchEntry[] {
    const all = [this.again, this.fresh, this.unobtainable, ...this.proposed.values()]
    return all.flatMap((batches) => [...batches.values()].filter((batch) => batch.worker === worker))
  }

  /** Whether a worker of ours has told of it, and it is not in the order. */
  has(key: string): boolean {
    return this.queued(key) !== undefined || this.unobtainable.has(key) || this.isProposed(key)
  }

  /** Returns whether it is new. */
  add(batch: BatchEntry): boolean {
    const key = batchKey(batch)
    if (this.has(key)) return false
    this.fresh.set(key, batch)
    return true
  }

  /** Those to list in the header of this round, the oldest, in the order of a header. */
  take(round: Round, countMax: number): BatchEntry[] {
    const batches = new Map<string, BatchEntry>()
    // Not in certain rounds only: who is far has no header in most of them.
    const isRetry = countMax > 0 && this.unobtainable.size > 0 && round >= this.retryRound
    this.takenRound = round
    if (isRetry) this.retryLater()
    for (const [key, batch] of isRetry ? this.unobtainable : this.queue()) {
      if (batches.size >= (isRetry ? 1 : countMax)) break
      batches.set(key, batch)
      this.unqueue(key)
    }
    if (batches.size > 0) this.proposed.set(round, batches)
    return [...batches.values()].sort(compareEntries)
  }

  /** After a restart: the header of this round lists these of the batches that are not ordered. */
  restore(round: Round, keys: readonly string[]): void {
    const batches = new Map<string, BatchEntry>()
    for (const key of keys) {
      const batch = this.queued(key)
      if (batch === undefined) continue
      batches.set(key, batch)
      this.unqueue(key)
    }
    if (batches.size > 0) this.proposed.set(round, batches)
  }

  /** The header of this round will never be ordered. Returns how many batches are proposed again. */
  giveUp(round: Round): number {
    const batches = this.proposed.get(round)
    if (batches === undefined) return 0
    this.proposed.delete(round)
    const again = [...batches].filter(([key]) => !this.unobtainable.has(key))
    this.again = new Map([...again, ...this.again])
    // The next one has its turn first.
    for (const [key, batch] of batches) if (this.unobtainable.delete(key)) this.unobtainable.set(key, batch)
    return batches.size
  }

  /** A quorum cannot obtain this batch. Returns it, if it waits to be proposed. */
  setAside(key: string): BatchEntry | undefined {
    const batch = this.queued(key)
    if (batch === undefined) return undefined
    this.unqueue(key)
    if (this.unobtainable.size === 0) this.retrySoon()
    this.unobtainable.set(key, batch)
    return batch
  }

  isSetAside(key: string): boolean {
    return this.unobtainable.has(key)
  }

  /** Gives up each header that `isOver`. */
  collect(isOver: (round: Round) => boolean): number {
    const over = [...this.proposed.keys()].filter(isOver).sort((a, b) => b - a)
    return over.reduce((count, round) => count + this.giveUp(round), 0)
  }

  /** It is in the order. Returns the batch, if it was not before. */
  done(key: string): BatchEntry | undefined {
    const waiting = this.queued(key) ?? this.unobtainable.get(key)
    this.unqueue(key)
    // What keeps one from a quorum often keeps the others, and ends for all.
    if (this.unobtainable.delete(key)) this.retrySoon()
    for (const [round, batches] of this.proposed) {
      const batch = batches.get(key)
      if (batch === undefined) continue
      batches.delete(key)
      if (batches.size === 0) this.proposed.delete(round)
      return batch
    }
    return waiting
  }

  private retrySoon(): void {
    this.retryDistance = UNOBTAINABLE_RETRY_ROUNDS_MIN
    this.retryRound = this.takenRound + this.retryDistance
  }

  private retryLater(): void {
    this.retryRound = this.takenRound + this.retryDistance
    this.retryDistance = Math.min(UNOBTAINABLE_RETRY_ROUNDS_MAX, 2 * this.retryDistance)
  }

  /** Those to be proposed, in order. */
  private *queue(): Generator<[string, BatchEntry]> {
    yield* this.again
    yield* this.fresh
  }

  private queued(key: string): BatchEntry | undefined {
    return this.again.get(key) ?? this.fresh.get(key)
  }

  private unqueue(key: string): void {
    this.again.delete(key)
    this.fresh.delete(key)
  }

  private isProposed(key: string): boolean {
    for (const batches of this.proposed.values()) if (batches.has(key)) return true
    return false
  }
}
