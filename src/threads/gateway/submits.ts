/**
 * Transactions on their way to main: those of all requests of a turn of the event loop go in one message. What is under way
 * is bounded; beyond that clients are told to come again.
 */
import { NarvalError } from '../../shared/errors.js'
import { SUBMIT_BYTES_MAX } from './limits.js'
import type { MainClient } from './main-client.js'

interface Waiting {
  readonly transactions: readonly Uint8Array[]
  readonly resolve: (refusals: (NarvalError | undefined)[]) => void
  readonly reject: (error: Error) => void
}

export class Submits {
  private readonly main: Pick<MainClient, 'ask'>
  private readonly bytesMax: number
  private waiting: Waiting[] = []
  private bytes = 0

  constructor(main: Pick<MainClient, 'ask'>, bytesMax = SUBMIT_BYTES_MAX) {
    this.main = main
    this.bytesMax = bytesMax
  }

  /** Resolves when each is in line for a batch or refused, with why. Rejects with ERR_BUSY: none was handed over, or main does not answer. */
  async submit(transactions: readonly Uint8Array[]): Promise<(NarvalError | undefined)[]> {
    const bytes = transactions.reduce((sum, { length }) => sum + length, 0)
    if (this.bytes + bytes > this.bytesMax) {
      throw new NarvalError('ERR_BUSY', `${this.bytes} bytes of transactions wait, at most ${this.bytesMax}: try again`)
    }
    this.bytes += bytes
    try {
      return await new Promise((resolve, reject) => {
        this.waiting.push({ transactions, resolve, reject })
        if (this.waiting.length === 1) setImmediate(() => void this.post())
      })
    } finally {
      this.bytes -= bytes
    }
  }

  private async post(): Promise<void> {
    const { waiting } = this
    this.waiting = []
    try {
      const transactions = waiting.flatMap((one) => one.transactions.map((bytes) => new Uint8Array(bytes)))
      const refusals = await this.main.ask({ type: 'submit', transactions })
      let at = 0
      for (const { resolve, transactions: own } of waiting) {
        const end = at + own.length
        resolve(refusals.slice(at, end).map((refused) => refused && new NarvalError(refused.code, refused.message)))
        at = end
      }
    } catch (error) {
      for (const { reject } of waiting) reject(error as Error)
    }
  }
}
