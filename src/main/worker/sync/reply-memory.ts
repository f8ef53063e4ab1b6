/**
 * ReplyMemory: how many batches are in memory for replies to peers, over all peers, and whose turn is next.
 *
 * A reply takes a credit before it reads a batch and gives it back when nothing holds the batch any more. When there is
 * no credit, the peer that holds the fewest is next, and among those the reply that has waited longest. While somebody
 * waits, a reply that has held its batch for too long gives way: the peer reads too slowly, and asks again.
 *
 * Pure: the clock is handed in, and replies are names.
 */
import assert from 'node:assert'

export interface ReplyMemoryOptions {
  readonly batchesMax: number
  /** See REPLY_HELD_MS. */
  readonly heldMs: number
}

interface Holder {
  readonly peer: number
  readonly sinceMs: number
}

export class ReplyMemory<R> {
  private readonly options: ReplyMemoryOptions
  /** In the order in which they got their credit. */
  private readonly holders = new Map<R, Holder>()
  private readonly heldBy = new Map<number, number>()
  /** In the order in which they came; of each peer at most its open requests. */
  private readonly waiting = new Map<R, number>()
  private readonly onGranted: (reply: R) => void

  /** @param onGranted the reply that had to wait has its credit now */
  constructor(options: ReplyMemoryOptions, onGranted: (reply: R) => void) {
    assert(options.batchesMax >= 1)
    this.options = options
    this.onGranted = onGranted
  }

  /** Batches that are held now. */
  get held(): number {
    return this.holders.size
  }

  get waits(): number {
    return this.waiting.size
  }

  /** The reply to `peer` needs a credit: true if it has it, false if it gets it later. */
  take(reply: R, peer: number, nowMs: number): boolean {
    assert(!this.holders.has(reply) && !this.waiting.has(reply), 'a reply holds one batch')
    if (this.holders.size < this.options.batchesMax) {
      this.hold(reply, peer, nowMs)
      return true
    }
    this.waiting.set(reply, peer)
    return false
  }

  /** The reply holds no batch any more, or does not wait any more. */
  give(reply: R, nowMs: number): void {
    this.waiting.delete(reply)
    const holder = this.holders.get(reply)
    if (holder === undefined) return
    this.holders.delete(reply)
    const left = this.heldBy.get(holder.peer)! - 1
    if (left === 0) this.heldBy.delete(holder.peer)
    else this.heldBy.set(holder.peer, left)
    const next = this.next()
    if (next === undefined) return
    const [granted, peer] = next
    this.waiting.delete(granted)
    this.hold(granted, peer, nowMs)
    this.onGranted(granted)
  }

  /** The reply that has to give way to those that wait, if there is one. */
  overdue(nowMs: number): R | undefined {
    if (this.waiting.size === 0) return undefined
    for (const [reply, { sinceMs }] of this.holders) {
      return nowMs - sinceMs >= this.options.heldMs ? reply : undefined
    }
    return undefined
  }

  private hold(reply: R, peer: number, nowMs: number): void {
    this.holders.set(reply, { peer, sinceMs: nowMs })
    this.heldBy.set(peer, (this.heldBy.get(peer) ?? 0) + 1)
  }

  private next(): [R, number] | undefined {
    let next: [R, number] | undefined
    for (const entry of this.waiting) {
      if (next === undefined || (this.heldBy.get(entry[1]) ?? 0) < (this.heldBy.get(next[1]) ?? 0)) next = entry
    }
    return next
  }
}
