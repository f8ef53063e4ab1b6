/**
 * When writes go to LMDB: those of a short while together, in one transaction. What a transaction costs beside its
 * batches (pages of the index, free lists, a meta page, a flush, the writer's wake-up) is then shared by several of them.
 *
 * A node with little to do waits for nothing: a write that comes after a quiet interval begins at once, with the others
 * of its event turn.
 */
import { TRANSACTION_BYTES, TRANSACTION_INTERVAL_MS } from '../../shared/constants.js'

export class Transactions {
  private waiting: (() => void)[] = []
  private waitingBytes = 0
  private timer: NodeJS.Timeout | undefined
  private isDue = false
  private lastMs = Number.NEGATIVE_INFINITY

  /**
   * Calls `write` in the next transaction, in the order of the calls; it does its writes before it returns.
   *
   * @param bytes what it writes: a transaction begins at once when enough is waiting
   */
  join(write: () => void, bytes = 0): void {
    this.waiting.push(write)
    this.waitingBytes += bytes
    const waitMs =
      this.waitingBytes >= TRANSACTION_BYTES ? 0 : this.lastMs + TRANSACTION_INTERVAL_MS - performance.now()
    if (waitMs > 0) {
      this.timer ??= setTimeout(() => this.begin(), Math.ceil(waitMs))
      return
    }
    if (this.isDue) return
    this.isDue = true
    // What else this event turn writes belongs to it.
    queueMicrotask(() => {
      if (this.isDue) this.begin()
    })
  }

  /** Begins now what is waiting: the store is about to be closed. */
  flush(): void {
    if (this.waiting.length > 0) this.begin()
  }

  private begin(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.isDue = false
    this.lastMs = performance.now()
    const { waiting } = this
    this.waiting = []
    this.waitingBytes = 0
    for (const write of waiting) write()
  }
}
