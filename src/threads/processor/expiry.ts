/**
 * Deletes what is beyond retention, little by little, in the same transactions that store new batches. A transaction
 * then frees about as many pages as the next ones need. So LMDB's list of free pages, which it writes anew in each
 * transaction, stays short.
 */
import { COMMIT_GROUP_INTERVAL_MS, DELETES_PER_PUT, DELETES_WHEN_IDLE } from './limits.js'
import type { StoreWrites } from './store-writes.js'

export interface ExpiryDependencies {
  readonly writes: StoreWrites
  /** Stamps below this one are beyond retention now. */
  readonly firstKept: () => bigint
  /** The keys of the first batches whose stamp is below `stamp`, from the one after `after`. */
  readonly expired: (stamp: bigint, after: Uint8Array | undefined, limit: number) => Uint8Array[]
  /** Deletes batches, without those that are in use: how many, and when they are gone. */
  readonly remove: (keys: readonly Uint8Array[]) => { count: number; committed: Promise<void> }
}

/** No batch was stored for this long, so the node is idle: a batch that comes now may wait for a deletion. */
const IDLE_MS = 5 * COMMIT_GROUP_INTERVAL_MS

/**
 * A step of a deletion. `last` is the last key that it came to, undefined if there are no more; `count` is how many
 * batches it deleted.
 */
type DeletionStep =
  | 'not-now'
  | { readonly last: Uint8Array | undefined; readonly count: number; readonly committed: Promise<void> }

export class Expiry {
  private readonly dependencies: ExpiryDependencies
  /** The deletion that is under way, or was last. */
  private deletion: Promise<number> = Promise.resolve(0)
  private isDeleting = false
  private isStopping = false
  /** Something that a pass left, because it was in use, may be deleted now. */
  private isLeft = false
  /** Batches that were stored since the last step of a deletion. */
  private putsSinceDeletion = 0
  private putsOutstanding = 0
  private lastPutMs = Number.NEGATIVE_INFINITY

  constructor(dependencies: ExpiryDependencies) {
    this.dependencies = dependencies
  }

  /** A batch is about to be stored; `putWritten` says that it is in a transaction, `putEnds` that it is stored. */
  putBegins(): void {
    this.putsOutstanding += 1
  }

  putWritten(): void {
    this.putsSinceDeletion += 1
  }

  putEnds(): void {
    this.putsOutstanding -= 1
    this.lastPutMs = performance.now()
  }

  /**
   * Something went beyond retention. Resolves to how many batches were deleted, once they are gone. If an earlier
   * deletion is still under way, it resolves to 0, and that deletion goes on with the new ones.
   */
  begin(): Promise<number> {
    if (this.isDeleting) return Promise.resolve(0)
    this.deletion = this.deleteExpired()
    return this.deletion
  }

  /** What is beyond retention and was in use is not any more: it is deleted too, by another pass. */
  again(): void {
    this.isLeft = true
    if (!this.isStopping) void this.begin()
  }

  /** Leaves what is still to be deleted to the first Cleanup of the next run. */
  stop(): void {
    this.isStopping = true
  }

  /** Resolves when nothing is being deleted any more. */
  async ended(): Promise<void> {
    await this.deletion
  }

  private async deleteExpired(): Promise<number> {
    const { firstKept } = this.dependencies
    this.isDeleting = true
    this.putsSinceDeletion = 0
    let deleted = 0
    // A Cleanup that came meanwhile is the reason for another pass.
    for (let before = 0n; (before < firstKept() || this.isLeft) && !this.isStopping; ) {
      this.isLeft = false
      before = firstKept()
      deleted += await this.deleteBefore(before)
    }
    this.isDeleting = false
    return deleted
  }

  /**
   * One pass over the batches whose stamp is below this one. Each step waits until the last one is committed, since
   * LMDB would join all steps that are queued into one transaction.
   */
  private async deleteBefore(stamp: bigint): Promise<number> {
    let deleted = 0
    for (let start: Uint8Array | undefined; !this.isStopping; ) {
      const after = start
      const step: DeletionStep = await this.dependencies.writes.atEnd(() => this.deleteSome(stamp, after))
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
    const keys = this.dependencies.expired(stamp, after, limit)
    return { last: keys.at(-1), ...this.dependencies.remove(keys) }
  }
}
