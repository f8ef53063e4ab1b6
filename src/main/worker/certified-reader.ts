/**
 * Reads certified batches in the order of their sequences, from a place in the past on.
 *
 * ```
 *  store, in sequence order ──at most WALK_CHUNK──▶ read ahead ──▶ next()
 *     ▲ up to the frontier (certification-frontier.ts), again whenever it moves
 * ```
 *
 * All batches come from the store's list of own batches, past and new ones alike. So there is no seam between the two,
 * and a reader that is slow keeps nothing in memory but its place and what was read ahead.
 */
import { BatchesDeletedError, NarvalError } from '../../shared/errors.js'
import { Deque } from '../lib/deque.js'
import type { ProcessorClient } from '../thread-host/processor-client.js'
import type { CertificationFrontier } from './certification-frontier.js'
import type { CertifiedBatch } from './certified-stream.js'

export interface CertifiedReaderOptions {
  /** Batches with a higher sequence are wanted. */
  readonly after: bigint
  /** Go on past batches that were deleted before this reader came to them. */
  readonly skipDeleted: boolean
  readonly signal: AbortSignal | undefined
  /** Our public key. */
  readonly author: Uint8Array
}

export interface CertifiedReaderDependencies {
  readonly processor: Pick<ProcessorClient, 'ask'>
  readonly frontier: Pick<CertificationFrontier, 'value' | 'isCertified'>
  /** The reader needs no `wake` any more. */
  readonly onOver: (reader: CertifiedReader) => void
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

export class CertifiedReader implements AsyncIterableIterator<CertifiedBatch> {
  private readonly options: CertifiedReaderOptions
  private readonly dependencies: CertifiedReaderDependencies
  /** What is stored below this sequence was read. */
  private from: bigint
  /** Read, and not handed out; at most WALK_CHUNK. */
  private ahead = new Deque<CertifiedBatch>()
  /** The last call of `next`: calls are served one after the other. */
  private last: Promise<unknown> = Promise.resolve()
  private isOver = false
  /** Why it ended, until somebody was told. */
  private failure: { readonly error: unknown } | undefined
  private onWake: (() => void) | undefined

  constructor(options: CertifiedReaderOptions, dependencies: CertifiedReaderDependencies) {
    this.options = options
    this.dependencies = dependencies
    this.from = options.after + 1n
    const { signal } = options
    if (signal?.aborted) this.onAbort()
    else signal?.addEventListener('abort', this.onAbort, { once: true })
  }

  /** More batches may be certified. */
  wake(): void {
    this.onWake?.()
  }

  /** Nothing more comes; what was read ahead is still handed out. */
  end(): void {
    if (this.isOver) return
    this.isOver = true
    this.options.signal?.removeEventListener('abort', this.onAbort)
    this.dependencies.onOver(this)
    this.wake()
  }

  /** Nothing more is handed out: the next call of `next` rejects with this. */
  fail(error: unknown): void {
    if (this.isOver) return
    this.ahead = new Deque()
    this.failure = { error }
    this.end()
  }

  next(): Promise<IteratorResult<CertifiedBatch, undefined>> {
    const result = this.last.then(() => this.take())
    this.last = result.catch(() => {})
    return result
  }

  async return(): Promise<IteratorResult<CertifiedBatch, undefined>> {
    this.ahead = new Deque()
    this.end()
    return DONE
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  private readonly onAbort = (): void => this.fail(this.options.signal!.reason)

  private async take(): Promise<IteratorResult<CertifiedBatch, undefined>> {
    for (;;) {
      const batch = this.ahead.popFront()
      if (batch !== undefined) return { done: false, value: batch }
      if (this.failure !== undefined) {
        const { error } = this.failure
        this.failure = undefined
        throw error
      }
      if (this.isOver) return DONE
      const before = this.dependencies.frontier.value
      if (this.from < before) await this.readAhead(before)
      else await new Promise<void>((resolve) => (this.onWake = resolve))
      this.onWake = undefined
    }
  }

  private async readAhead(before: bigint): Promise<void> {
    const { author, skipDeleted } = this.options
    const { frontier, processor } = this.dependencies
    try {
      const { deleted, found, next } = await processor.ask({ type: 'own', from: this.from, before })
      if (this.isOver) return
      if (deleted >= this.from && !skipDeleted) {
        this.fail(new BatchesDeletedError(this.from - 1n, deleted))
        return
      }
      this.from = next
      for (const batch of found) {
        if (frontier.isCertified(batch.sequence)) this.ahead.pushBack({ ...batch, author: new Uint8Array(author) })
      }
    } catch (error) {
      // The worker is closing: the reader that comes after the next start goes on from where this one is.
      if (error instanceof NarvalError && error.code === 'ERR_CLOSED') this.end()
      else this.fail(error)
    }
  }
}
