/**
 * Turns on their way to the disk. Those that come while a transaction is written and flushed go together in the next one,
 * so an urgent turn waits for at most two flushes, and a slow disk makes transactions larger, not more.
 *
 * A flush costs a millisecond of a core, and three quarters of all turns have nobody who waits for them: certificates that
 * came, batches that our worker has. These go with the next urgent turn, or by themselves after TURNS_HELD_MS, or
 * as soon as they are TURNS_HELD_MAX.
 */
import { TURNS_HELD_MAX, TURNS_HELD_MS } from './limits.js'

export interface Turn<W> {
  readonly writes: readonly W[]
  /** Whether somebody waits for it: what it says is to be sent, or read. */
  readonly isUrgent: boolean
  /** Called when all of its writes are on the disk, in the order of the turns. */
  readonly onDurable: () => void
}

export class TurnQueue<W> {
  /** Puts the writes of these turns into one transaction; resolves when it is on the disk, and never if that fails. */
  private readonly commit: (turns: readonly Turn<W>[]) => Promise<void>
  private waiting: Turn<W>[] = []
  private committing = 0
  private isUrgent = false
  private timer: NodeJS.Timeout | undefined
  private running: Promise<void> | undefined

  constructor(commit: (turns: readonly Turn<W>[]) => Promise<void>) {
    this.commit = commit
  }

  /** Turns that are not on the disk. */
  get size(): number {
    return this.waiting.length + this.committing
  }

  push(turn: Turn<W>): void {
    this.waiting.push(turn)
    if (turn.isUrgent || this.waiting.length >= TURNS_HELD_MAX) this.start()
    else this.timer ??= setTimeout(() => this.start(), TURNS_HELD_MS)
  }

  /** Resolves when everything is on the disk that was pushed until then, and what came meanwhile. */
  async drained(): Promise<void> {
    while (this.waiting.length > 0 || this.running !== undefined) {
      this.start()
      await this.running
    }
  }

  private start(): void {
    this.isUrgent = true
    this.running ??= this.run()
  }

  private async run(): Promise<void> {
    // What the same callback pushes after this goes with it.
    await undefined
    while (this.isUrgent) {
      const turns = this.waiting
      this.waiting = []
      this.isUrgent = false
      clearTimeout(this.timer)
      this.timer = undefined
      this.committing = turns.length
      if (turns.length > 0) await this.commit(turns)
      this.committing = 0
      for (const { onDurable } of turns) onDurable()
    }
    this.running = undefined
  }
}
