/**
 * The last batches that were stored, in memory. What is ordered soon after is read from here: without the disk, a second
 * digest, and a turn of the processor's.
 *
 * ```
 *  0                                                       RECENT_BYTES
 *  ├ newer ┼ newest ┼ free ┼ oldest ┼ older ┼ … ┼ too short ─┤
 *                   └ the next one goes here, and in the place of the oldest
 * ```
 *
 * It is one piece of memory for good, and a reader gets a copy when its turn comes. So what V8 collects dies young:
 * batches that waited for a reader grew old, and were freed by a full collection each second.
 *
 * There is no such memory before somebody looks for a batch, nor when so many bytes have passed without a look.
 */
import { assert } from '../../shared/assert.js'
import { copyBytes } from '../../shared/memory/copy-bytes.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import type { GcRelief } from '../lib/gc-relief.js'
import { RECENT_BYTES } from './limits.js'

interface Place {
  readonly start: number
  readonly end: number
}

export class RecentBatches {
  private readonly gcRelief: Pick<GcRelief, 'allocated'> | undefined
  private readonly capacity: number
  private memory: Buffer | undefined
  /** By digest, the oldest first. */
  private readonly places = new Map<string, Place>()
  /** Where the next one goes. */
  private next = 0
  private bytesSinceLook = 0

  /** @param capacity bytes */
  constructor(gcRelief?: Pick<GcRelief, 'allocated'>, capacity = RECENT_BYTES) {
    this.gcRelief = gcRelief
    this.capacity = capacity
  }

  /** A batch that was stored just now. `bytes` are whoever's they were before: they are copied, if anybody wants them. */
  stored(digest: Uint8Array, bytes: Uint8Array): void {
    if (this.memory === undefined) return
    this.bytesSinceLook += bytes.length
    if (this.bytesSinceLook > this.capacity) {
      this.forgetAll()
      return
    }
    const start = this.reserve(bytes.length)
    copyBytes(bytes, this.memory, start)
    this.next = start + bytes.length
    const key = digestKey(digest)
    // Its place is of now, not of before.
    this.places.delete(key)
    this.places.set(key, { start, end: this.next })
  }

  /** Whether a batch is here. Whoever asks wants more of them: from now on they are kept. */
  has(digest: Uint8Array): boolean {
    this.bytesSinceLook = 0
    this.memory ??= Buffer.allocUnsafeSlow(this.capacity)
    return this.places.has(digestKey(digest))
  }

  /** A copy of a batch, if it is here. */
  read(digest: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
    const place = this.places.get(digestKey(digest))
    if (place === undefined) return undefined
    const { end, start } = place
    const { buffer } = Buffer.allocUnsafeSlow(end - start)
    const bytes = new Uint8Array(buffer)
    this.memory!.copy(bytes, 0, start, end)
    this.gcRelief?.allocated(bytes.length)
    return bytes
  }

  /** Where so many bytes go; what lies there is forgotten. */
  private reserve(byteLength: number): number {
    assert(byteLength <= this.capacity, 'one batch has room')
    let start = this.next
    if (start + byteLength > this.capacity) {
      this.forgetFrom(start, this.capacity)
      start = 0
    }
    this.forgetFrom(start, start + byteLength)
    return start
  }

  /** Forgets the oldest ones, as far as they begin there: those that were written before this turn around. */
  private forgetFrom(start: number, end: number): void {
    for (const [key, place] of this.places) {
      if (place.start < start || place.start >= end) return
      this.places.delete(key)
    }
  }

  private forgetAll(): void {
    this.memory = undefined
    this.places.clear()
    this.next = 0
    this.bytesSinceLook = 0
  }
}
