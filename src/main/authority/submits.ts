/** Which worker takes a transaction: the one that has the fewest waiting; among equals they take turns. */
export interface Submitter {
  /** Transactions that wait for room. */
  readonly submitsWaiting: number
  submit(transaction: Uint8Array): Promise<void>
}

export class Submits {
  private readonly workers: readonly Submitter[]
  private turn = 0

  constructor(workers: readonly Submitter[]) {
    this.workers = workers
  }

  submit(transaction: Uint8Array): Promise<void> {
    const { workers } = this
    let chosen = this.turn
    for (let step = 1; step < workers.length; step += 1) {
      const at = (this.turn + step) % workers.length
      if (workers[at]!.submitsWaiting < workers[chosen]!.submitsWaiting) chosen = at
    }
    this.turn = (chosen + 1) % workers.length
    return workers[chosen]!.submit(transaction)
  }
}
