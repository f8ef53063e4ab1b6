/** A queue with two ends in a growing ring: each operation is O(1), amortised where it grows. */
const CAPACITY_MIN = 16

export class Deque<T> {
  /** A power of two long. */
  private items: (T | undefined)[] = new Array(CAPACITY_MIN)
  private head = 0
  private length = 0

  get size(): number {
    return this.length
  }

  peekFront(): T | undefined {
    return this.items[this.head]
  }

  pushBack(item: T): void {
    this.reserve()
    this.items[(this.head + this.length) & (this.items.length - 1)] = item
    this.length += 1
  }

  pushFront(item: T): void {
    this.reserve()
    this.head = (this.head - 1) & (this.items.length - 1)
    this.items[this.head] = item
    this.length += 1
  }

  popFront(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head = (this.head + 1) & (this.items.length - 1)
    this.length -= 1
    return item
  }

  popBack(): T | undefined {
    if (this.length === 0) return undefined
    this.length -= 1
    const at = (this.head + this.length) & (this.items.length - 1)
    const item = this.items[at]
    this.items[at] = undefined
    return item
  }

  /** From the front. The queue is not to be changed meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let index = 0; index < this.length; index += 1)
      yield this.items[(this.head + index) & (this.items.length - 1)]!
  }

  private reserve(): void {
    const capacity = this.items.length
    if (this.length < capacity) return
    const grown: (T | undefined)[] = new Array(2 * capacity)
    for (let index = 0; index < capacity; index += 1) grown[index] = this.items[(this.head + index) & (capacity - 1)]
    this.items = grown
    this.head = 0
  }
}
