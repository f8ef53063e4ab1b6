/** Those who read the order: the commit log, and the bytes of ordered batches from whichever worker of ours has them. */
import { primaryDirectory } from '../../shared/store/authority-directories.js'
import { CommitLogReader } from '../../shared/store/primary/commit-log-reader.js'
import type { CommittedBatch } from '../../shared/wire/primary/commit-record.js'
import type { Lifecycle } from '../lib/lifecycle.js'
import type { Logger } from '../lib/log.js'
import type { PrimaryNode } from '../primary/primary-node.js'
import type { CheckedAuthorityOptions } from './authority-options.js'
import { Commits } from './commits.js'
import { type BatchSource, type LateBatch, OrderedBatches } from './ordered-batches.js'

export interface OrderReadersDependencies {
  readonly primary: Pick<PrimaryNode, 'head' | 'readerRefused'>
  /** Our workers, by their ids. */
  readonly workers: ReadonlyMap<number, BatchSource>
  readonly log: Logger
}

export class OrderReaders {
  private readonly options: CheckedAuthorityOptions
  private readonly dependencies: OrderReadersDependencies
  private readonly batches: OrderedBatches
  private opened: Commits | undefined

  constructor(options: CheckedAuthorityOptions, dependencies: OrderReadersDependencies) {
    const { committee, ownIndex } = options
    const { log, workers } = dependencies
    this.options = options
    this.dependencies = dependencies
    this.batches = new OrderedBatches({ committee, ownIndex, log, workers })
  }

  /** What is ordered. After `open`. */
  get commits(): Commits {
    return this.opened!
  }

  /** What readers wait for too long, if anything. */
  get late(): LateBatch | undefined {
    return this.batches.late
  }

  /** The first commit of which all workers keep the batches. */
  get firstKept(): number {
    return this.batches.firstKept
  }

  /** Resolves when one of our workers has it, for readers in other threads. Rejects as they would. */
  readonly arrived = (batch: CommittedBatch, commit: number, signal: AbortSignal): Promise<unknown> =>
    this.batches.bytesOf(batch, commit, signal)

  /** A worker of ours has it now. */
  stored(digest: Uint8Array): void {
    this.batches.stored(digest)
  }

  /** The primary has started. */
  async open(lifecycle: Lifecycle): Promise<void> {
    const { committee, parameters, store } = this.options
    const reader = await lifecycle.open(
      'commit log',
      () => new CommitLogReader(primaryDirectory(store)),
      (opened) => opened.close(),
    )
    this.opened = await lifecycle.open(
      'readers of commits',
      () =>
        new Commits({
          committee,
          batchBytesMax: parameters.batchBytesMax,
          reader,
          head: this.dependencies.primary.head,
          batches: this.batches,
          onRefused: this.dependencies.primary.readerRefused,
        }),
      (opened) => opened.close(),
    )
  }
}
