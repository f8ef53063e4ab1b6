/**
 * A ring of transactions between two threads, one producer and one consumer, in the clients' own framing: this is how
 * `submit()` reaches the batch-maker without a message per transaction.
 *
 * ```
 *  0        128      256                                        256 + capacity
 *  ├─ head ─┼─ tail ─┼ (u32 BE length, bytes)* ┄ free ┄ frames ─┤
 *   consumer producer
 * ```
 *
 * Head and tail are byte positions in the data, and may stand at any byte. They are equal when the ring is empty; one
 * byte always stays free, so that a full ring does not look empty. A frame never wraps: where the rest of the data is
 * too short for it, the producer writes the length `0xffffffff` (or nothing, if not even four bytes are left) and goes
 * on at the start.
 */

import assert from 'node:assert'
import { TRANSACTION_PREFIX_BYTES } from '../constants.js'
import { readUint32Be, writeUint32Be } from '../wire/uint32.js'
import { copyBytes } from './copy-bytes.js'
import { HEAD, HEADER_BYTES, TAIL } from './ring-header.js'

const SKIP = 0xffffffff

export interface ByteRingRegion {
  readonly buffer: SharedArrayBuffer
  readonly byteOffset: number
  /** Bytes of data. */
  readonly capacity: number
}

export function byteRingBytes(capacity: number): number {
  return HEADER_BYTES + capacity
}

class ByteRingSide {
  protected readonly words: Int32Array
  protected readonly data: Uint8Array

  constructor(region: ByteRingRegion) {
    assert(region.byteOffset % 128 === 0)
    this.words = new Int32Array(region.buffer, region.byteOffset, HEADER_BYTES / 4)
    this.data = new Uint8Array(region.buffer, region.byteOffset + HEADER_BYTES, region.capacity)
  }
}

export class ByteRingProducer extends ByteRingSide {
  /** Writes one transaction as a frame; false if there is no room for it now. */
  push(transaction: Uint8Array): boolean {
    const bytes = TRANSACTION_PREFIX_BYTES + transaction.length
    assert(2 * bytes < this.data.length, 'the ring holds at least two of the largest transactions')
    const head = Atomics.load(this.words, HEAD)
    let tail = Atomics.load(this.words, TAIL)
    if (tail >= head) {
      const rest = this.data.length - tail
      // The tail may reach the end of the data only if the head is not at 0: equal means empty.
      if (bytes > rest || (bytes === rest && head === 0)) {
        if (bytes >= head) return false
        if (rest >= TRANSACTION_PREFIX_BYTES) writeUint32Be(this.data, tail, SKIP)
        tail = 0
      }
    } else if (bytes >= head - tail) return false
    writeUint32Be(this.data, tail, transaction.length)
    copyBytes(transaction, this.data, tail + TRANSACTION_PREFIX_BYTES)
    tail += bytes
    Atomics.store(this.words, TAIL, tail === this.data.length ? 0 : tail)
    return true
  }
}

export class ByteRingConsumer extends ByteRingSide {
  get isEmpty(): boolean {
    return Atomics.load(this.words, HEAD) === Atomics.load(this.words, TAIL)
  }

  /**
   * Shows the frames that stand in one piece to `consume`, which says how many of the bytes it took (whole frames).
   * Returns the bytes taken; 0 if the ring is empty or nothing was taken.
   */
  drain(consume: (bytes: Uint8Array, start: number, end: number) => number): number {
    let head = Atomics.load(this.words, HEAD)
    const tail = Atomics.load(this.words, TAIL)
    if (head === tail) return 0
    if (tail < head && this.isSkip(head)) head = 0
    if (head === tail) {
      Atomics.store(this.words, HEAD, head)
      return 0
    }
    const end = tail > head ? tail : this.endOfFrames(head)
    const taken = consume(this.data, head, end)
    assert(taken <= end - head)
    head += taken
    if (head === this.data.length || (tail < head && this.isSkip(head))) head = 0
    Atomics.store(this.words, HEAD, head)
    return taken
  }

  private isSkip(at: number): boolean {
    return this.data.length - at < TRANSACTION_PREFIX_BYTES || readUint32Be(this.data, at) === SKIP
  }

  /** Where the frames from `at` to the end of the data end: at the end itself, or at a skip mark. */
  private endOfFrames(at: number): number {
    let end = at
    while (!this.isSkip(end)) {
      end += TRANSACTION_PREFIX_BYTES + readUint32Be(this.data, end)
    }
    return end
  }
}
