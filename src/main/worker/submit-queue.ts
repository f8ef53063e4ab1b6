/**
 * Transactions of this process on their way to the batch-maker. They wait here, in order, only while the submit ring
 * is full; at most SUBMIT_WAITING_MAX of them, so that a caller that does not wait finds out.
 */
import { SUBMIT_WAITING_MAX } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'

interface Waiting {
  readonly transaction: Uint8Array
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class SubmitQueue {
  private readonly transactionBytesMax: number
  private readonly push: (transaction: Uint8Array) => boolean
  private waiting: Waiting[] = []
  private closed = false

  constructor(transactionBytesMax: number, push: (transaction: Uint8Array) => boolean) {
    this.transactionBytesMax = transactionBytesMax
    this.push = push
  }

  submit(transaction: Uint8Array): Promise<void> {
    const { length } = transaction
    if (this.closed) return Promise.reject(new NarvalError('ERR_CLOSED', 'the worker is closed'))
    if (length === 0) {
      return Promise.reject(new NarvalError('ERR_TRANSACTION_EMPTY', 'a transaction of 0 bytes, at least 1'))
    }
    if (length > this.transactionBytesMax) {
      const message = `${length} bytes, at most ${this.transactionBytesMax}`
      return Promise.reject(new NarvalError('ERR_TRANSACTION_TOO_LARGE', message))
    }
    if (this.waiting.length === 0 && this.push(transaction)) return Promise.resolve()
    if (this.waiting.length >= SUBMIT_WAITING_MAX) {
      const message = `${this.waiting.length} transactions wait, at most ${SUBMIT_WAITING_MAX}: await submit()`
      return Promise.reject(new NarvalError('ERR_BUSY', message))
    }
    return new Promise((resolve, reject) => this.waiting.push({ transaction, resolve, reject }))
  }

  /** The ring may have room. */
  proceed(): void {
    let done = 0
    for (const { transaction, resolve } of this.waiting) {
      if (!this.push(transaction)) break
      resolve()
      done += 1
    }
    if (done > 0) this.waiting = this.waiting.slice(done)
  }

  close(): void {
    this.closed = true
    for (const { reject } of this.waiting) reject(new NarvalError('ERR_CLOSED', 'the worker is closed'))
    this.waiting = []
  }
}
