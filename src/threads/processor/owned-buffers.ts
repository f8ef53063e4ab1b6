/**
 * Memory for what LMDB is given: it keeps a reference until the write is committed, and reads garbage from shared
 * memory on Node 20, so the bytes of a small batch are copied here first. The buffers are used again, so that none of them
 * is garbage; there are never more than slots, since each stands for one.
 */
import { copyBytes } from '../../shared/memory/copy-bytes.js'

export class OwnedBuffers {
  private readonly bufferBytes: number
  private readonly free: ArrayBuffer[] = []

  constructor(bufferBytes: number) {
    this.bufferBytes = bufferBytes
  }

  copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const owned = new Uint8Array(this.free.pop() ?? new ArrayBuffer(this.bufferBytes), 0, bytes.length)
    copyBytes(bytes, owned, 0)
    return owned
  }

  release(owned: Uint8Array<ArrayBuffer>): void {
    this.free.push(owned.buffer)
  }
}
