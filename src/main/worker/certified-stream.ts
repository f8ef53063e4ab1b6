/** The certified batches of this worker as an async iterable, for each reader from the moment it begins to read. */

import { NarvalError } from '../../shared/errors.js'
import { Deque } from '../lib/deque.js'
import { CERTIFIED_UNREAD_MAX } from './limits.js'

/** A batch of ours that a quorum of the committee has stored. */
export interface CertifiedBatch {
  /** Its author, ours: the public key that `verifyTransaction` wants beside the digest. 32 bytes. */
  readonly author: Uint8Array
  /** 32 bytes. */
  readonly digest: Uint8Array
  /** Rises with each batch; batches are certified out of order. */
  readonly sequence: bigint
  readonly transactions: number
  /** Bytes of the transactions. */
  readonly transactionBytes: number
}

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
      this.failure = new NarvalError(
        'ERR_BUSY',
        `${this.unread.size} certified batches were not read, at most ${CERTIFIED_UNREAD_MAX}`,
      )
      this.end()
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

export class CertifiedStream implements AsyncIterable<CertifiedBatch> {
  private readonly readers = new Set<Reader>()
  private closed = false
  private readonly author: Uint8Array

  /** @param author the public key of our authority */
  constructor(author: Uint8Array) {
    this.author = author
  }

  push(batch: Omit<CertifiedBatch, 'author'>): void {
    // Each reader has bytes of its own: what one does with them is its affair.
    for (const reader of this.readers) {
      reader.push({ ...batch, author: new Uint8Array(this.author), digest: new Uint8Array(batch.digest) })
    }
  }

  close(): void {
    this.closed = true
    for (const reader of this.readers) reader.end()
  }

  [Symbol.asyncIterator](): AsyncIterator<CertifiedBatch> {
    const reader = new Reader((gone) => this.readers.delete(gone))
    if (this.closed) reader.end()
    else this.readers.add(reader)
    return reader
  }
}
