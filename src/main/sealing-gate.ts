/**
 * The gate between free slots and the batch-maker: while anything behind the sealing of batches is full — the store,
 * the primary's queue of own batches — free slots are kept back here, the batch-maker runs out of them, and TCP tells the clients.
 */
export class SealingGate {
  private readonly isOpen: () => boolean
  private readonly give: (slot: number) => void
  private readonly withheld: number[] = []

  constructor(isOpen: () => boolean, give: (slot: number) => void) {
    this.isOpen = isOpen
    this.give = give
  }

  /** A slot is free. */
  pass(slot: number): void {
    if (this.isOpen()) this.give(slot)
    else this.withheld.push(slot)
  }

  /** What kept slots back may have gone. */
  recheck(): void {
    while (this.withheld.length > 0 && this.isOpen()) this.give(this.withheld.pop()!)
  }
}
