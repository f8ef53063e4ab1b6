/**
 * The link of a primary to one of its own workers in the same process.
 *
 * ```
 *  worker: store id ──▶ marks of another store are void ──▶ the highest sequence of its batches: it goes on above that
 *  worker: OurBatch, OthersBatch ──▶ the primary's store has it ──▶ delivered
 *  primary: its log, from the worker's last commit on ──▶ the worker's store: committed
 *  primary: synchronize, ordered, named ──▶ the worker
 * ```
 *
 * A report counts as delivered when the primary's store has the batch. The worker tells of the batch again after each
 * start, until a commit has it: so a primary whose store is new is told everything that it may need.
 */
import type { Committee } from '../../shared/config/committee.js'
import { NarvalError } from '../../shared/errors.js'
import type { CommitLogHead } from '../../shared/memory/commit-log-head.js'
import type { Counters } from '../../shared/memory/counters.js'
import type { PrimaryWorkerRequest } from '../../shared/memory/dialogue/primary.js'
import type { BatchReport } from '../../shared/wire/primary-messages.js'
import type { OrderedWorker, OrderingLink, OrderingPrimary } from '../worker/primary-link/ordering-primary.js'
import { OWN_BATCHES_UNORDERED_MAX } from './limits.js'
import type { PrimaryClient } from './primary-client.js'
import { WorkerCommits } from './worker-commits.js'

export interface WorkerLinkOptions {
  readonly committee: Committee
  readonly workerId: number
  /** Of the primary's store. */
  readonly directory: string
}

/** A `PrimaryNode` is one. */
export interface WorkerLinkDependencies {
  readonly client: Pick<PrimaryClient, 'batch' | 'workerStore'>
  readonly counters: Pick<Counters<'primary'>, 'get'>
  readonly head: CommitLogHead
}

export interface WorkerLinkHandlers {
  /** The worker has this batch; before the primary has heard of it. */
  readonly onStored?: (digest: Uint8Array) => void
}

export class WorkerLink implements OrderingPrimary {
  private readonly options: WorkerLinkOptions
  private readonly primary: WorkerLinkDependencies
  private readonly handlers: WorkerLinkHandlers
  private worker: OrderedWorker | undefined
  /** Batches that were in the order already when the worker told of them, of this turn. */
  private ordered: Uint8Array[] = []

  constructor(options: WorkerLinkOptions, primary: WorkerLinkDependencies, handlers: WorkerLinkHandlers = {}) {
    this.options = options
    this.primary = primary
    this.handlers = handlers
  }

  /** The worker has started; the primary before it. Errors: `ERR_USAGE` if this serves a worker already. */
  attach(worker: OrderedWorker): OrderingLink {
    const { directory, workerId } = this.options
    const { client, head } = this.primary
    if (this.worker !== undefined) {
      throw new NarvalError('ERR_USAGE', `this WorkerLink serves worker ${workerId} already: make another one`)
    }
    this.worker = worker
    const sequencesAfter = client.workerStore(workerId, worker.storeId)
    const commits = new WorkerCommits({ directory, workerId }, { head, worker })
    worker.supervisor.watch('the commits of the primary', commits.run())
    const isFull = (): boolean => this.isFull
    return {
      sequencesAfter,
      replayed: commits.replayed,
      isConnected: true,
      get isFull() {
        return isFull()
      },
      close: async () => {
        await commits.close()
        this.worker = undefined
      },
    }
  }

  /** A report of the worker. Resolves when it is delivered; rejects if it cannot be, which ends the worker. */
  readonly onMessage = async (report: BatchReport): Promise<void> => {
    const { committee, workerId: worker } = this.options
    const { digest, isDelivered, sequence, type } = report
    const author = committee.indexOf(report.author)
    this.handlers.onStored?.(digest)
    const batch = { digest, author, worker, sequence }
    await this.primary.client.batch(type === 'OurBatch' ? 'own-batch' : 'others-batch', batch, isDelivered)
  }

  /** What the primary says to its workers; what is for others is passed over. */
  onRequest(request: PrimaryWorkerRequest): void {
    const { worker } = this
    // Whoever is not there is asked again, and finds what is committed in the log.
    if (worker === undefined || request.type === 'committed' || request.worker !== this.options.workerId) return
    switch (request.type) {
      case 'sequences-after':
        break
      case 'ordered':
        this.sayOrdered(request.digest, worker)
        break
      case 'named':
        worker.named(request.digests, request.isAnew)
        break
      case 'unnamed':
        worker.unnamed(request.digests)
        break
      case 'synchronize':
        worker.synchronize(request.digests, request.author)
        break
    }
  }

  /** Has the worker get batches of this author that are in the order, and that it does not have. */
  readonly fetch = (author: number, digests: readonly Uint8Array[]): void => {
    this.worker?.synchronize(digests, author)
  }

  /** So many own batches, of all workers, are not in the order yet that no more are to be made. */
  private get isFull(): boolean {
    const { counters } = this.primary
    return counters.get('ownBatchesWaiting') + counters.get('ownBatchesListed') >= OWN_BATCHES_UNORDERED_MAX
  }

  private sayOrdered(digest: Uint8Array, worker: OrderedWorker): void {
    this.ordered.push(digest)
    if (this.ordered.length > 1) return
    const { guard, watch } = worker.supervisor
    const say = guard('what is ordered', () => {
      const digests = this.ordered
      this.ordered = []
      watch('what is ordered', worker.committed(digests))
    })
    queueMicrotask(say)
  }
}
