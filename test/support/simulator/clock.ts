/** A virtual clock: what is scheduled happens in order of time, and of being scheduled when the time is the same. */

interface Entry {
  readonly atMs: number
  readonly order: number
  readonly act: () => void
}

export class VirtualClock {
  private now = 0
  private scheduled = 0
  private readonly heap: Entry[] = []

  get ms(): number {
    return this.now
  }

  at(atMs: number, act: () => void): void {
    const { heap } = this
    heap.push({ atMs: Math.max(atMs, this.now), order: this.scheduled, act })
    this.scheduled += 1
    let at = heap.length - 1
    while (at > 0 && this.isBefore(at, (at - 1) >> 1)) at = this.swap(at, (at - 1) >> 1)
  }

  after(delayMs: number, act: () => void): void {
    this.at(this.now + delayMs, act)
  }

  /** Does what comes next. Returns whether there was anything. */
  step(): boolean {
    const { heap } = this
    const first = heap[0]
    if (first === undefined) return false
    const last = heap.pop()!
    if (heap.length > 0) {
      heap[0] = last
      this.sink()
    }
    this.now = first.atMs
    first.act()
    return true
  }

  private sink(): void {
    let at = 0
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.heap.length && this.isBefore(child, least)) least = child
      }
      if (least === at) return
      at = this.swap(at, least)
    }
  }

  private isBefore(a: number, b: number): boolean {
    const [x, y] = [this.heap[a]!, this.heap[b]!]
    return x.atMs < y.atMs || (x.atMs === y.atMs && x.order < y.order)
  }

  private swap(a: number, b: number): number {
    const { heap } = this
    ;[heap[a], heap[b]] = [heap[b]!, heap[a]!]
    return b
  }
}
