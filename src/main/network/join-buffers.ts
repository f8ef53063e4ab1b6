/**
 * Memory in which the pieces of a slice are joined for one write to a socket. It is used again once the write is over:
 * a fresh buffer for each would be paid for with page faults and garbage collections.
 */
import { JOIN_BUFFERS_KEPT, SLICE_WIRE_BYTES } from '../../shared/constants.js'

export class JoinBuffers {
  private readonly free: ArrayBuffer[] = []

  /** The pieces, one behind the other. To be released when the write is over. */
  join(pieces: Iterable<Uint8Array> & { readonly byteLength: number }): Uint8Array<ArrayBuffer> {
    const { byteLength } = pieces
    const memory =
      byteLength > SLICE_WIRE_BYTES
        ? new ArrayBuffer(byteLength)
        : (this.free.pop() ?? new ArrayBuffer(SLICE_WIRE_BYTES))
    const joined = new Uint8Array(memory, 0, byteLength)
    let at = 0
    for (const piece of pieces) {
      joined.set(piece, at)
      at += piece.byteLength
    }
    return joined
  }

  /** Nobody reads it any more. */
  release(joined: Uint8Array<ArrayBuffer>): void {
    if (joined.buffer.byteLength === SLICE_WIRE_BYTES && this.free.length < JOIN_BUFFERS_KEPT) {
      this.free.push(joined.buffer)
    }
  }
}
