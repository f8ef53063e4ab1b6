/**
 * Transactions of this process on their way to the batch-maker. They wait here, in order, only while the submit ring
 * is full; at most SUBMIT_WAITING_MAX of them and SUBMIT_WAITING_BYTES_MAX bytes, so that a caller that does not wait finds
 * out. Those that wait are copies: the caller's memory is his own again when `submit` has returned.
 */
import { isBytes, wrongType } from '../../shared/arguments.js'
import { NarvalError } from '../../shared/errors.js'
import { SUBMIT_WAITING_BYTES_MAX, SUBMIT_WAITING_MAX } from './limits.js'

interface Waiting {
  readonly transaction: Uint8Array
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class SubmitQueue {
  private readonly transactionBytesMax: number
  private readonly push: (transaction: Uint8Array) => boolean
  private waiting: Waiting[] = []
  private waitingBytes = 0
  private closed = false

  constructor(transactionBytesMax: number, push: (transaction: Uint8Array) => boolean) {
    this.transactionBytesMax = transactionBytesMax
    this.push = push
  }

  get waitingCount(): number {
    return this.waiting.length
  }

  submit(transaction: Uint8Array): Promise<void> {
    if (!isBytes(transaction)) return Promise.reject(wrongType('transaction', 'a Uint8Array', transaction))
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
    if (this.waitingBytes + length > SUBMIT_WAITING_BYTES_MAX) {
      const message = `${this.waitingBytes} bytes wait, at most ${SUBMIT_WAITING_BYTES_MAX}: await submit()`
      return Promise.reject(new NarvalError('ERR_BUSY', message))
    }
    this.waitingBytes += length
    const copy = new Uint8Array(transaction)
    return new Promise((resolve, reject) => this.waiting.push({ transaction: copy, resolve, reject }))
  }

  /** The ring may have room. */
  proceed(): void {
    let done = 0
    for (const { transaction, resolve } of this.waiting) {
      if (!this.push(transaction)) break
      this.waitingBytes -= transaction.length
      resolve()
      done += 1
    }
    if (done > 0) this.waiting = this.waiting.slice(done)
  }

  close(): void {
    this.closed = true
    for (const { reject } of this.waiting) reject(new NarvalError('ERR_CLOSED', 'the worker is closed'))
    this.waiting = []
    this.waitingBytes = 0
  }
}
