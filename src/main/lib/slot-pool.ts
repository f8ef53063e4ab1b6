/** Free slots of one owner: credits, counted by the slots themselves. */
import assert from 'node:assert'

export class SlotPool {
  private readonly free: number[]
  private readonly first: number
  private readonly count: number

  constructor(first: number, count: number) {
    this.first = first
    this.count = count
    this.free = Array.from({ length: count }, (_, index) => first + index)
  }

  get available(): number {
    return this.free.length
  }

  owns(slot: number): boolean {
    return slot >= this.first && slot < this.first + this.count
  }

  take(): number | undefined {
    return this.free.pop()
  }

  give(slot: number): void {
    assert(this.owns(slot) && !this.free.includes(slot), 'a slot is given back once, to its owner')
    this.free.push(slot)
  }
}
