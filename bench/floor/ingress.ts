/**
 * A client's bytes into slots: one copy, from the buffer that the socket reads into. A slot is sealed when it is full, or
 * BATCH_DELAY_MS after its first byte. Without a free slot the socket is paused, and TCP tells the client.
 */
import { connect, type Socket } from 'node:net'
import { BATCH_BYTES, BATCH_DELAY_MS } from './options.js'
import { Slots } from './slots.js'

/** Slots for own batches: those that are being filled, hashed, and written to the disk and to the slowest peer. */
const OWN_SLOTS = 8
/** What Node reads at once. */
export const READ_BYTES = 64 * 1024

export class Ingress {
  private readonly slots = new Slots(OWN_SLOTS)
  private readonly onSealed: (bytes: Uint8Array, beganMs: number) => void
  private slot: Uint8Array | undefined
  private length = 0
  private beganMs = 0
  private rest: Uint8Array | undefined
  private timer: NodeJS.Timeout | undefined
  private socket: Socket | undefined

  constructor(onSealed: (bytes: Uint8Array, beganMs: number) => void) {
    this.onSealed = onSealed
  }

  /** Only the side that dials may choose the memory that is read into: so it is the node that dials its client. */
  connect(port: number): Promise<void> {
    return new Promise((resolve) => {
      this.socket = connect({
        port,
        host: '127.0.0.1',
        noDelay: true,
        onread: {
          buffer: Buffer.alloc(READ_BYTES),
          callback: (length, buffer) => this.take(buffer.subarray(0, length)),
        },
      })
      this.socket.once('connect', resolve)
    })
  }

  /** A sealed slot is not needed any more. */
  release(bytes: Uint8Array): void {
    this.slots.release(bytes)
    const { rest } = this
    if (rest === undefined) return
    this.rest = undefined
    if (this.take(rest)) this.socket!.resume()
  }

  /** Returns whether the socket may read on. */
  private take(chunk: Uint8Array): boolean {
    let at = 0
    while (at < chunk.length) {
      if (this.slot === undefined && !this.beginBatch()) {
        // Nothing is read into the chunk's memory while the socket is paused.
        this.rest = chunk.subarray(at)
        return false
      }
      const end = Math.min(at + BATCH_BYTES - this.length, chunk.length)
      this.slot!.set(chunk.subarray(at, end), this.length)
      this.length += end - at
      at = end
      if (this.length === BATCH_BYTES) this.seal()
    }
    return true
  }

  private beginBatch(): boolean {
    this.slot = this.slots.take()
    if (this.slot === undefined) return false
    this.beganMs = performance.now()
    this.timer = setTimeout(() => this.seal(), BATCH_DELAY_MS)
    return true
  }

  private seal(): void {
    clearTimeout(this.timer)
    const bytes = this.slot!.subarray(0, this.length)
    this.slot = undefined
    this.length = 0
    this.onSealed(bytes, this.beganMs)
  }
}
