/**
 * Frames on the reference's sockets (tokio-util `LengthDelimitedCodec`, its defaults): the payload's length as a u32,
 * big-endian, then the payload, of at most `REFERENCE_FRAME_BYTES_MAX` bytes. An empty frame is legal.
 */
import { REFERENCE_FRAME_BYTES_MAX } from '../constants.js'
import { NarvalError } from '../errors.js'

const PREFIX_BYTES = 4
/** The first allocation for a frame that spans chunks; it doubles from there as bytes arrive. */
const ASSEMBLY_BYTES_MIN = 4096

/** A length in what is read is over the limit. What is thrown for a frame of our own is none. */
export class FrameTooLargeError extends NarvalError {
  constructor(length: number, lengthMax: number) {
    super('ERR_FRAME_TOO_LARGE', tooLarge(length, lengthMax))
  }
}

/** Errors: `ERR_FRAME_TOO_LARGE`. */
export function encodeFrame(payload: Uint8Array): Uint8Array {
  if (payload.length > REFERENCE_FRAME_BYTES_MAX) {
    throw new NarvalError('ERR_FRAME_TOO_LARGE', tooLarge(payload.length, REFERENCE_FRAME_BYTES_MAX))
  }
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + payload.length)
  frame.writeUInt32BE(payload.length, 0)
  frame.set(payload, PREFIX_BYTES)
  return frame
}

/**
 * Cuts a byte stream into frames. It holds the bytes of at most one unfinished frame, in a buffer at most twice as large
 * as what arrived of it: an announced length allocates nothing. Each byte is copied O(1) times, whatever the chunks.
 */
export class FrameReader {
  private readonly payloadBytesMax: number
  private prefixRead = 0
  private payloadLength = 0
  /** Bytes of the unfinished payload, the first `assembled` of them valid. */
  private assembly: Uint8Array | undefined
  private assembled = 0
  private failure: { readonly error: unknown } | undefined

  constructor(payloadBytesMax = REFERENCE_FRAME_BYTES_MAX) {
    this.payloadBytesMax = payloadBytesMax
  }

  /** Bytes held of a frame that is not complete, its length included: 0 between frames. */
  get partialBytes(): number {
    return this.prefixRead + this.assembled
  }

  /**
   * Calls `onFrame` with each payload that `chunk` completes, in order. The payload is a view, of the chunk where it can
   * be: valid until `onFrame` returns, to be copied if kept.
   *
   * A length over the limit throws `FrameTooLargeError`, after the frames before it were handed over. That, or an
   * error of `onFrame`, ends the reader: the position in the stream is lost, and every later push throws it again.
   */
  push(chunk: Uint8Array, onFrame: (payload: Uint8Array) => void): void {
    if (this.failure !== undefined) throw this.failure.error
    try {
      let offset = 0
      while (offset < chunk.length) offset = this.step(chunk, offset, onFrame)
    } catch (error) {
      this.failure = { error }
      this.assembly = undefined
      throw error
    }
  }

  /** Takes one byte of a prefix, or as much of a payload as there is; returns the offset after it. */
  private step(chunk: Uint8Array, offset: number, onFrame: (payload: Uint8Array) => void): number {
    if (this.prefixRead < PREFIX_BYTES) {
      this.payloadLength = this.payloadLength * 256 + (chunk[offset] as number)
      this.prefixRead += 1
      if (this.prefixRead < PREFIX_BYTES) return offset + 1
      if (this.payloadLength > this.payloadBytesMax) {
        throw new FrameTooLargeError(this.payloadLength, this.payloadBytesMax)
      }
      if (this.payloadLength === 0) this.finish(chunk.subarray(0, 0), onFrame)
      return offset + 1
    }
    const end = Math.min(chunk.length, offset + this.payloadLength - this.assembled)
    const piece = chunk.subarray(offset, end)
    if (piece.length === this.payloadLength) this.finish(piece, onFrame)
    else this.assemble(piece, onFrame)
    return end
  }

  private assemble(piece: Uint8Array, onFrame: (payload: Uint8Array) => void): void {
    const assembled = this.assembled + piece.length
    let assembly = this.assembly
    if (assembly === undefined || assembly.length < assembled) {
      const capacity = Math.min(this.payloadLength, Math.max(2 * assembled, ASSEMBLY_BYTES_MIN))
      const grown = new Uint8Array(capacity)
      if (assembly !== undefined) grown.set(assembly.subarray(0, this.assembled))
      assembly = grown
    }
    assembly.set(piece, this.assembled)
    this.assembly = assembly
    this.assembled = assembled
    if (assembled === this.payloadLength) this.finish(assembly.subarray(0, assembled), onFrame)
  }

  private finish(payload: Uint8Array, onFrame: (payload: Uint8Array) => void): void {
    this.prefixRead = 0
    this.payloadLength = 0
    this.assembly = undefined
    this.assembled = 0
    onFrame(payload)
  }
}

function tooLarge(length: number, lengthMax: number): string {
  return `frame of ${length} bytes, at most ${lengthMax}`
}
