/**
 * The link of a primary to one of its own workers in the same process.
 *
 * ```
 *  worker: OurBatch, OthersBatch ──▶ author and sequence, as its stored bytes say ──▶ the primary's store has it ──▶ delivered
 *  primary: synchronize ──▶ Synchronize, to the worker; committed ──▶ onCommitted, the batches of this worker
 * ```
 *
 * A report counts as delivered when the primary's store has the batch: only then may the worker forget that the primary has
 * to be told.
 */
import { assert } from '../../shared/assert.js'
import type { Committee } from '../../shared/config/committee.js'
import { NarvalError } from '../../shared/errors.js'
import type { CommittedBatches, PrimaryWorkerRequest } from '../../shared/memory/dialogue/primary.js'
import { readBatchHeader } from '../../shared/wire/batch.js'
import type { PrimaryWorkerMessage, WorkerPrimaryMessage } from '../../shared/wire/primary-messages.js'
import type { PrimaryClient } from './primary-client.js'

export interface WorkerLinkOptions {
  readonly committee: Committee
  /** Our authority's index. */
  readonly ownIndex: number
  readonly workerId: number
}

export interface WorkerLinkDependencies {
  readonly client: Pick<PrimaryClient, 'batch'>
  /** A batch in the worker's store: its author's key, and its bytes. */
  readonly read: (
    digest: Uint8Array,
  ) => Promise<{ readonly author: Uint8Array; readonly bytes: Uint8Array } | undefined>
  /** To the worker. */
  readonly send: (message: PrimaryWorkerMessage) => void
  /** These of the worker's batches are in the order, on the primary's disk. Once for each commit that has some. */
  readonly onCommitted: (index: number, digests: readonly Uint8Array[]) => void
}

export class WorkerLink {
  private readonly options: WorkerLinkOptions
  private readonly dependencies: WorkerLinkDependencies

  constructor(options: WorkerLinkOptions, dependencies: WorkerLinkDependencies) {
    this.options = options
    this.dependencies = dependencies
  }

  /** A report of the worker. Resolves when it is delivered; rejects if it cannot be, which ends the worker. */
  readonly onMessage = async ({ digest, type }: WorkerPrimaryMessage): Promise<void> => {
    const { committee, ownIndex, workerId: worker } = this.options
    const { client, read } = this.dependencies
    const stored = await read(digest)
    if (stored === undefined) {
      // One of another authority is asked for again if a header lists it.
      if (type === 'OthersBatch') return
      const name = Buffer.from(digest).toString('base64')
      throw new NarvalError('ERR_BATCH_NOT_FOUND', `a quorum has our batch ${name}, and our own store does not`)
    }
    const author = committee.indexOf(stored.author)
    const { sequence, workerId } = readBatchHeader(stored.bytes)
    assert(workerId === worker, 'a worker stores batches of its own id')
    assert((author === ownIndex) === (type === 'OurBatch'), 'a report says whose batch it is')
    await client.batch(type === 'OurBatch' ? 'own-batch' : 'others-batch', { digest, author, worker, sequence })
  }

  /** What the primary says to its workers; what is for others is passed over. */
  onRequest(request: PrimaryWorkerRequest): void {
    const { committee, workerId } = this.options
    if (request.type === 'committed') {
      for (const commit of request.commits) this.committed(commit)
    } else if (request.worker === workerId) {
      const target = committee.authority(request.author).publicKey
      this.dependencies.send({ type: 'Synchronize', digests: request.digests, target })
    }
  }

  private committed({ batches, index }: CommittedBatches): void {
    const { workerId } = this.options
    const digests = batches.filter(({ worker }) => worker === workerId).map(({ digest }) => digest)
    if (digests.length > 0) this.dependencies.onCommitted(index, digests)
  }
}
