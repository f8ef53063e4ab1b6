/**
 * The transactions shortly before a place in the order, by their ids: which ones are repeats. Pure.
 *
 * ```
 *  order:  … │ commit n − D │ … │ commit n: a b a c │
 *              └──────── the window ──────────┘   a is there: a repeat
 * ```
 *
 * A repeat counts like any other transaction: whether one is dropped is a function of the order before it alone, by D
 * commits and at most so many transactions. So it can be made again from the log, from any place on.
 */
import { Deque } from '../lib/deque.js'

export interface Window {
  /** Commits before the present one. */
  readonly commits: number
  readonly transactions: number
}

/** A transaction of the window. */
interface Seen {
  readonly id: string
  readonly commit: number
}

export class RecentTransactions {
  private readonly window: Window
  /** In their order. */
  private readonly seen = new Deque<Seen>()
  /** By id: how many of `seen` have it. */
  private readonly counts = new Map<string, number>()

  constructor(window: Window) {
    this.window = window
  }

  get size(): number {
    return this.seen.size
  }

  /**
   * Takes the next transaction of the order. Returns whether it is a repeat.
   *
   * @param id its SHA-256
   */
  take(id: Uint8Array, commit: number): boolean {
    const { commits, transactions } = this.window
    for (let first = this.seen.peekFront(); first !== undefined; first = this.seen.peekFront()) {
      if (first.commit >= commit - commits && this.seen.size <= transactions) break
      this.forget(first.id)
      this.seen.popFront()
    }
    const key = Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1')
    const count = this.counts.get(key) ?? 0
    this.counts.set(key, count + 1)
    this.seen.pushBack({ id: key, commit })
    return count > 0
  }

  private forget(id: string): void {
    const count = this.counts.get(id)!
    if (count === 1) this.counts.delete(id)
    else this.counts.set(id, count - 1)
  }
}
