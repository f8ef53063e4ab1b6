/**
 * A commit as the application gets it: that of the log, with the repeats taken out if these are to be dropped, and with what
 * health wants to know, whether it waits for bytes that are not here yet.
 */
import { NarvalError } from '../../shared/errors.js'
import { sha256 } from '../../shared/wire/primary/sha256.js'
import type { OrderedBatch, OrderedCommit } from '../authority/commits.js'
import type { RecentTransactions } from './recent-transactions.js'

export interface AppliedCommitDependencies {
  /** If repeats are dropped. */
  readonly recent: RecentTransactions | undefined
  readonly onDropped: (count: number) => void
}

export class AppliedCommit implements OrderedCommit {
  private readonly commit: OrderedCommit
  private readonly dependencies: AppliedCommitDependencies
  private waitingForBytes = false
  /** The batches that are not taken yet, where each is taken once. */
  private rest: AsyncGenerator<OrderedBatch, void, undefined> | undefined
  /** What is being taken of them. */
  private taking: Promise<unknown> = Promise.resolve()

  constructor(commit: OrderedCommit, dependencies: AppliedCommitDependencies) {
    this.commit = commit
    this.dependencies = dependencies
  }

  get index(): number {
    return this.commit.index
  }

  get timestamp(): number {
    return this.commit.timestamp
  }

  get batchCount(): number {
    return this.commit.batchCount
  }

  get firstBatch(): number {
    return this.commit.firstBatch
  }

  /** The application waits for a batch. */
  get isWaiting(): boolean {
    return this.waitingForBytes
  }

  digest(): Uint8Array {
    return this.commit.digest()
  }

  async *batches(): AsyncGenerator<OrderedBatch, void, undefined> {
    const batches = this.batchesOnce()
    // Unless each is taken once: what is left of those is taken by `finish`.
    const isAll = this.dependencies.recent === undefined
    try {
      for (;;) {
        const batch = await this.take(batches)
        if (batch === undefined) return
        yield this.dependencies.recent === undefined ? batch : this.withoutRepeats(batch, this.dependencies.recent)
      }
    } finally {
      if (isAll) await batches.return()
    }
  }

  async *transactions(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const batch of this.batches()) yield* batch.transactions()
  }

  /** The application is done with it: what it has not read is taken note of all the same. */
  async finish(): Promise<void> {
    const { recent } = this.dependencies
    if (recent === undefined) return
    await this.taking.catch(() => {})
    this.rest ??= this.commit.batches()
    for (let batch = await this.take(this.rest); batch !== undefined; batch = await this.take(this.rest)) {
      this.withoutRepeats(batch, recent)
    }
  }

  private batchesOnce(): AsyncGenerator<OrderedBatch, void, undefined> {
    if (this.dependencies.recent === undefined) return this.commit.batches()
    if (this.rest !== undefined) {
      const detail = `the batches of commit ${this.index} have been read: with dropDuplicates they can be read once`
      throw new NarvalError('ERR_USAGE', detail)
    }
    this.rest = this.commit.batches()
    return this.rest
  }

  private async take(batches: AsyncGenerator<OrderedBatch, void, undefined>): Promise<OrderedBatch | undefined> {
    this.waitingForBytes = true
    try {
      const taking = batches.next()
      this.taking = taking
      const { done, value } = await taking
      return done === true ? undefined : value
    } finally {
      this.waitingForBytes = false
    }
  }

  private withoutRepeats(batch: OrderedBatch, recent: RecentTransactions): OrderedBatch {
    const kept: Uint8Array[] = []
    for (const transaction of batch.transactions()) {
      if (!recent.take(sha256(transaction), this.index)) kept.push(transaction)
    }
    this.dependencies.onDropped(batch.transactionCount - kept.length)
    function* transactions(): Generator<Uint8Array, void, undefined> {
      yield* kept
    }
    return { ...batch, transactions }
  }
}
