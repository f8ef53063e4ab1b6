/**
 * The certified batches of this worker, for its readers: those that follow from now on, in the order in which they are
 * certified, or those after a sequence, in the order of their sequences (certified-reader.ts).
 */
import { NarvalError } from '../../shared/errors.js'
import { Deque } from '../lib/deque.js'
import { CertifiedReader, type CertifiedReaderDependencies } from './certified-reader.js'
import { CERTIFIED_READERS_MAX, CERTIFIED_UNREAD_MAX } from './limits.js'

/** A batch of ours that a quorum of the committee has stored. */
export interface CertifiedBatch {
  /** Its author, ours: the public key that `verifyTransaction` wants beside the digest. 32 bytes. */
  readonly author: Uint8Array
  /** 32 bytes. */
  readonly digest: Uint8Array
  /** Rises with each batch, with gaps; batches are certified in another order. */
  readonly sequence: bigint
  readonly transactions: number
  /** Bytes of the transactions. */
  readonly transactionBytes: number
}

/** Which certified batches a reader wants. */
export interface CertifiedOptions {
  /** Batches with a higher sequence than this: that of the last batch which was dealt with, or 0n for all. */
  readonly after: bigint
  /**
   * What to do when batches that it wants were deleted before it came to them, since they were beyond retention. By
   * default the reader fails with `ERR_BATCHES_DELETED`, and the error's `deletedThrough` says after which sequence none
   * is missing. With true it goes on with those that are left.
   */
  readonly skipDeleted?: boolean
  /** Ends the reader: what it waits for rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** Reads what follows from now on. */
class Reader implements AsyncIterator<CertifiedBatch> {
  private unread = new Deque<CertifiedBatch>()
  /** Calls of `next` that wait. */
  private waiting: (() => void)[] = []
  private ended = false
  private failure: NarvalError | undefined
  private readonly onReturn: (reader: Reader) => void

  constructor(onReturn: (reader: Reader) => void) {
    this.onReturn = onReturn
  }

  push(batch: CertifiedBatch): void {
    if (this.unread.size >= CERTIFIED_UNREAD_MAX) {
      const unread = `${this.unread.size} certified batches were not read, at most ${CERTIFIED_UNREAD_MAX}`
      this.fail(new NarvalError('ERR_BUSY', unread))
      return
    }
    this.unread.pushBack(batch)
    this.wake()
  }

  end(): void {
    this.ended = true
    this.onReturn(this)
    this.wake()
  }

  fail(failure: NarvalError): void {
    this.failure = failure
    this.end()
  }

  async next(): Promise<IteratorResult<CertifiedBatch>> {
    while (this.unread.size === 0 && !this.ended) {
      await new Promise<void>((resolve) => this.waiting.push(resolve))
    }
    const value = this.unread.popFront()
    if (value !== undefined) return { done: false, value }
    if (this.failure !== undefined) throw this.failure
    return { done: true, value: undefined }
  }

  async return(): Promise<IteratorResult<CertifiedBatch>> {
    this.end()
    this.unread = new Deque()
    return { done: true, value: undefined }
  }

  private wake(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const resolve of waiting) resolve()
  }
}

export interface CertifiedStreamDependencies extends Omit<CertifiedReaderDependencies, 'onOver'> {
  /** There are as many readers as may be. */
  readonly onRefused: (detail: string) => void
}

export class CertifiedStream implements AsyncIterable<CertifiedBatch> {
  private readonly readers = new Set<Reader>()
  private readonly pastReaders = new Set<CertifiedReader>()
  private closed = false
  private readonly author: Uint8Array
  private readonly dependencies: CertifiedStreamDependencies

  /** @param author the public key of our authority */
  constructor(author: Uint8Array, dependencies: CertifiedStreamDependencies) {
    this.author = author
    this.dependencies = dependencies
  }

  /** A reader of the batches after a sequence. */
  readAfter({ after, signal, skipDeleted = false }: CertifiedOptions): AsyncIterableIterator<CertifiedBatch> {
    const reader = new CertifiedReader(
      { after, signal, skipDeleted, author: this.author },
      { ...this.dependencies, onOver: (over) => this.pastReaders.delete(over) },
    )
    if (this.closed) reader.end()
    else if (!signal?.aborted && this.hasPlace(reader)) this.pastReaders.add(reader)
    return reader
  }

  /** The frontier may have moved. */
  wake(): void {
    for (const reader of this.pastReaders) reader.wake()
  }

  push(batch: Omit<CertifiedBatch, 'author'>): void {
    // Each reader has bytes of its own: what one does with them is its affair.
    for (const reader of this.readers) {
      reader.push({ ...batch, author: new Uint8Array(this.author), digest: new Uint8Array(batch.digest) })
    }
    this.wake()
  }

  close(): void {
    this.closed = true
    for (const reader of [...this.readers, ...this.pastReaders]) reader.end()
  }

  [Symbol.asyncIterator](): AsyncIterator<CertifiedBatch> {
    const reader = new Reader((gone) => this.readers.delete(gone))
    if (this.closed) reader.end()
    else if (this.hasPlace(reader)) this.readers.add(reader)
    return reader
  }

  /** A reader for which there is no place fails: whoever reads it is told. */
  private hasPlace(reader: { fail(error: NarvalError): void }): boolean {
    const count = this.readers.size + this.pastReaders.size
    if (count < CERTIFIED_READERS_MAX) return true
    const detail = `${count} readers of certified batches, at most ${CERTIFIED_READERS_MAX}: end those that are done`
    this.dependencies.onRefused(detail)
    reader.fail(new NarvalError('ERR_BUSY', detail))
    return false
  }
}
