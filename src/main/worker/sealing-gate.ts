/**
 * The gate between free slots and the batch-maker. What is kept back here the batch-maker runs out of, and TCP tells the
 * clients. It is closed
 *
 * - while anything behind the sealing of batches is full: the store, the primary's queue of own batches;
 * - while as many batches as are useful are being filled or not certified yet. More would only queue: each adds its own
 *   time to the latency of all that come after it, and none to the throughput;
 * - for a pause after each slot, while our share of the others' stores is filling up.
 */
export interface SealingGateDependencies {
  /** False while something behind is full. */
  readonly isOpen: () => boolean
  /** Batches that may be uncertified at once, those included that are being filled. */
  readonly aheadMax: () => number
  /** How long after a slot the next one may be handed out, in ms. It is looked at again with each recheck. */
  readonly pauseMs: () => number
  readonly nowMs: () => number
  /** Hands a slot to the batch-maker. */
  readonly give: (slot: number) => void
}

export class SealingGate {
  private readonly dependencies: SealingGateDependencies
  private readonly withheld: number[] = []
  /** Slots with the batch-maker, and of batches that are not certified. */
  private ahead = 0
  private givenAtMs = Number.NEGATIVE_INFINITY

  constructor(dependencies: SealingGateDependencies) {
    this.dependencies = dependencies
  }

  /** A slot is free. */
  pass(slot: number): void {
    this.withheld.push(slot)
    this.recheck()
  }

  /** A batch in one of these slots was certified. */
  onCertified(): void {
    this.ahead -= 1
    this.recheck()
  }

  /** What kept slots back may have gone. */
  recheck(): void {
    const { aheadMax, give, isOpen, nowMs } = this.dependencies
    while (this.withheld.length > 0 && this.ahead < aheadMax() && isOpen() && !this.isPausing) {
      this.ahead += 1
      this.givenAtMs = nowMs()
      give(this.withheld.pop()!)
    }
  }

  private get isPausing(): boolean {
    const { nowMs, pauseMs } = this.dependencies
    const pause = pauseMs()
    return pause > 0 && nowMs() < this.givenAtMs + pause
  }
}
