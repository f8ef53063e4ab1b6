/**
 * A ring of messages between exactly two threads: one producer, one consumer, in shared memory.
 *
 * ```
 *  0            128          256                                             256 + capacity · 64
 *  ├─ head ─────┼─ tail ─────┼─ descriptor 0 ─┼─ descriptor 1 ─┼ … ┼─ capacity−1 ─┤
 *     consumer     producer     64 bytes each
 * ```
 *
 * Head and tail count messages for ever and wrap at 2³²; they stand on cache lines (and prefetch pairs) of their own,
 * so that neither side's writes evict the other's. The producer fills a descriptor with plain stores and publishes it
 * with one `Atomics.store` of the tail; the consumer's `Atomics.load` of the tail makes those stores visible to it.
 *
 * No ring is ever found full: its capacity is at least the number of credits that can be in it at once (layout.ts has
 * the sums), so a full ring is our own bug and stops the thread.
 */

import assert from 'node:assert'
import { HEAD, HEADER_BYTES, TAIL } from './ring-header.js'

export const DESCRIPTOR_BYTES = 64

/** How a message of one direction is laid out in a descriptor. `read` returns a copy: the descriptor is reused. */
export interface Codec<M> {
  write(view: DataView, offset: number, message: M): void
  read(view: DataView, offset: number): M
}

/** Where a ring lies. Plain data: it travels to a thread in its task. */
export interface RingRegion {
  readonly buffer: SharedArrayBuffer
  readonly byteOffset: number
  /** Messages; a power of two. */
  readonly capacity: number
}

export function ringBytes(capacity: number): number {
  return HEADER_BYTES + capacity * DESCRIPTOR_BYTES
}

/** The least power of two that holds `credits` messages. */
export function capacityFor(credits: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(credits, 2)))
}

class RingSide {
  protected readonly words: Int32Array
  protected readonly view: DataView
  protected readonly mask: number

  constructor(region: RingRegion) {
    assert((region.capacity & (region.capacity - 1)) === 0, 'capacity is a power of two')
    assert(region.byteOffset % 128 === 0, 'a ring starts on a cache line pair')
    this.words = new Int32Array(region.buffer, region.byteOffset, HEADER_BYTES / 4)
    this.view = new DataView(region.buffer, region.byteOffset + HEADER_BYTES, region.capacity * DESCRIPTOR_BYTES)
    this.mask = region.capacity - 1
  }

  /**
   * Messages in the ring now. The other side may be moving its end meanwhile, so the number may be out of date at once.
   */
  get depth(): number {
    return (Atomics.load(this.words, TAIL) - Atomics.load(this.words, HEAD)) | 0
  }
}

export class RingProducer<M> extends RingSide {
  private readonly codec: Codec<M>
  private tail: number

  constructor(region: RingRegion, codec: Codec<M>) {
    super(region)
    this.codec = codec
    this.tail = Atomics.load(this.words, TAIL)
  }

  /** Publishes one message. The caller rings the consumer's doorbell afterwards, once for any number of them. */
  push(message: M): void {
    const used = (this.tail - Atomics.load(this.words, HEAD)) | 0
    assert(used <= this.mask, 'a ring is never found full: more messages are in it than credits exist')
    this.codec.write(this.view, (this.tail & this.mask) * DESCRIPTOR_BYTES, message)
    this.tail = (this.tail + 1) | 0
    Atomics.store(this.words, TAIL, this.tail)
  }
}

export class RingConsumer<M> extends RingSide {
  private readonly codec: Codec<M>
  private head: number

  constructor(region: RingRegion, codec: Codec<M>) {
    super(region)
    this.codec = codec
    this.head = Atomics.load(this.words, HEAD)
  }

  get isEmpty(): boolean {
    return Atomics.load(this.words, TAIL) === this.head
  }

  /**
   * Hands at most `limit` messages to `handler` and says how many. The head moves before each call: a message is a
   * copy, and its handler may return the credit that lets the producer publish another one at once.
   */
  drain(handler: (message: M) => void, limit: number): number {
    let drained = 0
    const tail = Atomics.load(this.words, TAIL)
    while (this.head !== tail && drained < limit) {
      const message = this.codec.read(this.view, (this.head & this.mask) * DESCRIPTOR_BYTES)
      this.head = (this.head + 1) | 0
      Atomics.store(this.words, HEAD, this.head)
      drained += 1
      handler(message)
    }
    return drained
  }
}
