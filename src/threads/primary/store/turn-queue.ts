/**
 * Turns on their way to the disk. Those that come while a transaction is written and flushed go together in the next one,
 * so a turn waits for at most two flushes, and a slow disk makes transactions larger, not more.
 */

export interface Turn<W> {
  readonly writes: readonly W[]
  /** Called when all of its writes are on the disk, in the order of the turns. */
  readonly onDurable: () => void
}

export class TurnQueue<W> {
  /** Puts the writes of these turns into one transaction; resolves when it is on the disk, and never if that fails. */
  private readonly commit: (turns: readonly Turn<W>[]) => Promise<void>
  private waiting: Turn<W>[] = []
  private committing = 0
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
    this.running ??= this.run()
  }

  /** Resolves when everything is on the disk that was pushed until then, and what came meanwhile. */
  async drained(): Promise<void> {
    await this.running
  }

  private async run(): Promise<void> {
    // What the same callback pushes after this goes with it.
    await undefined
    while (this.waiting.length > 0) {
      const turns = this.waiting
      this.waiting = []
      this.committing = turns.length
      await this.commit(turns)
      this.committing = 0
      for (const { onDurable } of turns) onDurable()
    }
    this.running = undefined
  }
}
