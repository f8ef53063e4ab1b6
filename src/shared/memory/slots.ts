/**
 * An arena of slots. A slot holds one batch exactly as it goes on the wire and into the store, so that the batch is
 * written once and never serialized again.
 *
 * ```
 *  0        56             64                          64 + batchBytesMax
 *  ├ unused ┼ frame header ┼ batch: header, frames … ──┤ padding to a cache line
 *                          └ what is hashed, stored, decoded
 *           └ what is sent: the frame header stands in front of the batch, so that both are one piece
 * ```
 *
 * Who may hold an own slot: the batch-maker (free, or being filled), then main (sealed), then at once the processor
 * (until its commit) and every peer the batch is queued for or being sent to (until its ACK, or until its stream is
 * gone). When it is certified and nobody holds it, it is free and goes back to the batch-maker.
 *
 * Who may hold an inbound slot: main (free, or being filled from one stream), then the processor (until its commit).
 */
import assert from 'node:assert'
import { BATCH_FRAME_HEADER_BYTES } from '../constants.js'

const PREFIX_BYTES = 64
const LINE_BYTES = 64

export interface ArenaRegion {
  readonly buffer: SharedArrayBuffer
  readonly slots: number
  readonly batchBytesMax: number
}

export function slotStride(batchBytesMax: number): number {
  return PREFIX_BYTES + Math.ceil(batchBytesMax / LINE_BYTES) * LINE_BYTES
}

export class Arena {
  readonly slots: number
  readonly batchBytesMax: number
  private readonly bytes: Uint8Array
  private readonly stride: number

  constructor(region: ArenaRegion) {
    this.slots = region.slots
    this.batchBytesMax = region.batchBytesMax
    this.stride = slotStride(region.batchBytesMax)
    this.bytes = new Uint8Array(region.buffer)
    assert(this.bytes.length === this.stride * this.slots, 'the arena is as long as its slots')
  }

  /** The first `byteLength` bytes of the batch in a slot. */
  batch(slot: number, byteLength = this.batchBytesMax): Uint8Array {
    assert(slot < this.slots && byteLength <= this.batchBytesMax)
    const start = slot * this.stride + PREFIX_BYTES
    return this.bytes.subarray(start, start + byteLength)
  }

  /** The frame header and the batch behind it, as one piece of memory. */
  framed(slot: number, byteLength: number): Uint8Array {
    assert(slot < this.slots && byteLength <= this.batchBytesMax)
    const start = slot * this.stride + PREFIX_BYTES
    return this.bytes.subarray(start - BATCH_FRAME_HEADER_BYTES, start + byteLength)
  }

  /** Tests fill freed slots, so that a slot that is used after it was freed is seen. */
  poison(slot: number): void {
    const start = slot * this.stride
    this.bytes.fill(0xdb, start, start + this.stride)
  }
}
