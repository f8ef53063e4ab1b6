/** Memory for batches, each at a page of its own, so that the disk takes it from there. */
import { pageMemory, wholePages } from '../../src/shared/memory/page-memory.js'
import { BATCH_BYTES } from './options.js'

const SLOT_BYTES = wholePages(BATCH_BYTES)

export class Slots {
  private readonly free: Uint8Array[]

  constructor(count: number) {
    const memory = pageMemory(count * SLOT_BYTES)
    this.free = Array.from({ length: count }, (_, slot) => new Uint8Array(memory, slot * SLOT_BYTES, BATCH_BYTES))
  }

  take(): Uint8Array | undefined {
    return this.free.pop()
  }

  /** @param bytes from the beginning of the slot on */
  release(bytes: Uint8Array): void {
    this.free.push(new Uint8Array(bytes.buffer, bytes.byteOffset, BATCH_BYTES))
  }
}
