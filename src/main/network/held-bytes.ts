/**
 * Bytes of a stream that have to wait, in order. A peer chooses in which pieces they come, so small pieces are copied
 * together: what is kept is as many bytes as came, and little more, in few blocks. A large piece stays where it is.
 *
 * At most two windows of a stream are in here (frame-stream.ts).
 */
import { Deque } from '../lib/deque.js'
import { HELD_BLOCK_BYTES, HELD_COPY_BYTES } from './limits.js'

export class HeldBytes {
  private readonly pieces = new Deque<Uint8Array>()
  /** The block that small pieces are copied to, and how much of it is in use. It is the last of the pieces. */
  private block: Uint8Array | undefined
  private used = 0

  get blocks(): number {
    return this.pieces.size + (this.used === 0 ? 0 : 1)
  }

  /** Behind all that wait. */
  push(bytes: Uint8Array): void {
    if (bytes.length >= HELD_COPY_BYTES) {
      this.endBlock()
      this.pieces.pushBack(bytes)
      return
    }
    if (this.block !== undefined && this.used + bytes.length > this.block.length) this.endBlock()
    this.block ??= new Uint8Array(HELD_BLOCK_BYTES)
    this.block.set(bytes, this.used)
    this.used += bytes.length
  }

  /** Takes the first ones. */
  shift(): Uint8Array | undefined {
    if (this.pieces.size === 0) this.endBlock()
    return this.pieces.popFront()
  }

  /** Before all that wait: what was taken, and could not be used. */
  unshift(bytes: Uint8Array): void {
    this.pieces.pushFront(bytes)
  }

  clear(): void {
    while (this.shift() !== undefined);
    this.block = undefined
  }

  /** A block that is less than half full is used again: what lies in it is copied to memory of its own size. */
  private endBlock(): void {
    const { block, used } = this
    if (block === undefined || used === 0) return
    const isKept = used < block.length / 2
    this.pieces.pushBack(isKept ? block.slice(0, used) : block.subarray(0, used))
    if (!isKept) this.block = undefined
    this.used = 0
  }
}
