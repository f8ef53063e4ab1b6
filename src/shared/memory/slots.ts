/**
 * An arena of slots. A slot holds one batch exactly as it goes on the wire and into the store, so that the batch is
 * written once and never serialized again.
 *
 * ```
 *  0        4,088          4,096                       4,096 + batchBytesMax
 *  ├ unused ┼ frame header ┼ batch: header, frames … ──┼ padding to a page ─┤
 *                          └ what is hashed, decoded; with the padding, what is written to a segment
 *           └ what is sent: the frame header stands in front of the batch, so that both are one piece
 * ```
 *
 * A batch begins at a page, and has whole pages to itself: the disk takes it from there without a copy. The padding is
 * the processor's while it stores the batch, and nobody's else.
 *
 * A buffer of an arena holds as many slots as fit; an arena that is longer than one buffer can be has several.
 *
 * Who may hold an own slot: the batch-maker (free, or being filled), then main (sealed), then at once the processor
 * (until its commit) and every peer the batch is queued for or being sent to (until its ACK, or until its stream is
 * gone). When it is certified and nobody holds it, it is free and goes back to the batch-maker.
 *
 * Who may hold an inbound slot: main (free, or being filled from one stream), then the processor (until its commit).
 */
import assert from 'node:assert'
import { BATCH_FRAME_HEADER_BYTES } from '../constants.js'
import { PAGE_BYTES, PAGE_MEMORY_BYTES_MAX, pageMemory, wholePages } from './page-memory.js'

const PREFIX_BYTES = PAGE_BYTES

export interface ArenaRegion {
  /** Each but the last has as many slots as fit. */
  readonly buffers: readonly SharedArrayBuffer[]
  readonly slots: number
  readonly batchBytesMax: number
}

export function slotStride(batchBytesMax: number): number {
  return PREFIX_BYTES + wholePages(batchBytesMax)
}

/** Allocates an arena. */
export function createArena(slots: number, batchBytesMax: number): ArenaRegion {
  const stride = slotStride(batchBytesMax)
  const perBuffer = Math.floor(PAGE_MEMORY_BYTES_MAX / stride)
  const buffers: SharedArrayBuffer[] = []
  for (let left = slots; left > 0; left -= perBuffer) buffers.push(pageMemory(Math.min(left, perBuffer) * stride))
  return { buffers, slots, batchBytesMax }
}

export function arenaBytes({ buffers }: ArenaRegion): number {
  return buffers.reduce((sum, { byteLength }) => sum + byteLength, 0)
}

export class Arena {
  readonly slots: number
  readonly batchBytesMax: number
  private readonly buffers: readonly Uint8Array[]
  private readonly stride: number
  private readonly perBuffer: number

  constructor(region: ArenaRegion) {
    this.slots = region.slots
    this.batchBytesMax = region.batchBytesMax
    this.stride = slotStride(region.batchBytesMax)
    this.buffers = region.buffers.map((buffer) => new Uint8Array(buffer))
    const [first = new Uint8Array(0), last = first] = [this.buffers[0], this.buffers.at(-1)]
    this.perBuffer = Math.max(1, Math.floor(first.length / this.stride))
    const inLast = this.slots - (this.buffers.length - 1) * this.perBuffer
    assert(this.slots === 0 || inLast * this.stride <= last.length, 'the arena is as long as its slots')
  }

  /** The first `byteLength` bytes of the batch in a slot. */
  batch(slot: number, byteLength = this.batchBytesMax): Uint8Array {
    assert(byteLength <= this.batchBytesMax)
    return this.at(slot, PREFIX_BYTES, byteLength)
  }

  /** The frame header and the batch behind it, as one piece of memory. */
  framed(slot: number, byteLength: number): Uint8Array {
    assert(byteLength <= this.batchBytesMax)
    return this.at(slot, PREFIX_BYTES - BATCH_FRAME_HEADER_BYTES, BATCH_FRAME_HEADER_BYTES + byteLength)
  }

  /** Tests fill freed slots, so that a slot that is used after it was freed is seen. */
  poison(slot: number): void {
    this.at(slot, 0, this.stride).fill(0xdb)
  }

  private at(slot: number, offset: number, byteLength: number): Uint8Array {
    assert(slot < this.slots)
    const start = (slot % this.perBuffer) * this.stride + offset
    return this.buffers[Math.floor(slot / this.perBuffer)]!.subarray(start, start + byteLength)
  }
}
