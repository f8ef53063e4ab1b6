/**
 * One of narval's libp2p streams, spoken by hand: any bytes out, frames in by a parser of its own (the product's is
 * under test).
 */
import type { Stream } from '@libp2p/interface'
import { ACK_BYTES } from '../../src/shared/constants.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { until } from './until.js'

export interface RawFrame {
  readonly type: number
  readonly payload: Uint8Array
}

export interface RawAck {
  readonly sequence: bigint
  readonly digest: Uint8Array
  readonly level: number
  readonly status: number
}

const HEADER_BYTES = 8

/** A frame: `{length u32 LE, type u8, 3 zeros}`, then the payload. `length` and `reserved` may lie. */
export function frame(
  type: number,
  payload: Uint8Array,
  lies: { length?: number; reserved?: [number, number, number] } = {},
): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length)
  bytes.writeUInt32LE(lies.length ?? payload.length, 0)
  bytes[4] = type
  bytes.set(lies.reserved ?? [0, 0, 0], 5)
  bytes.set(payload, HEADER_BYTES)
  return bytes
}

/** An ACK record with any level, status and reserved bytes. */
export function ackRecord(ack: RawAck, reserved = 0): Uint8Array {
  const bytes = Buffer.alloc(ACK_BYTES)
  bytes.writeBigUInt64LE(ack.sequence, 0)
  bytes.set(ack.digest, 8)
  bytes[40] = ack.level
  bytes[41] = ack.status
  bytes[47] = reserved
  return bytes
}

export class RawStream {
  readonly stream: Stream
  readonly frames: RawFrame[] = []
  private pending: Buffer = Buffer.alloc(0)

  constructor(stream: Stream) {
    this.stream = stream
    stream.addEventListener('message', ({ data }) => {
      const bytes = data instanceof Uint8Array ? data : data.subarray()
      this.pending = this.pending.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.pending, bytes])
      this.cut()
    })
  }

  get isOpen(): boolean {
    return this.stream.status === 'open'
  }

  /** Sends the bytes as they are. Large ones wait for the window. */
  async send(...pieces: Uint8Array[]): Promise<void> {
    for (const bytes of pieces) {
      if (!this.stream.send(bytes)) await this.stream.onDrain({ signal: AbortSignal.timeout(30_000) })
    }
  }

  sendFrame(type: number, payload: Uint8Array): Promise<void> {
    return this.send(frame(type, payload))
  }

  async sendAck(ack: RawAck, reserved = 0): Promise<void> {
    await this.sendFrame(FRAME_TYPES.ack, ackRecord(ack, reserved))
  }

  get acks(): (RawAck & { readonly used: number })[] {
    return this.frames
      .filter(({ type }) => type === FRAME_TYPES.ack)
      .map(({ payload }) => {
        const view = Buffer.from(payload)
        return {
          sequence: view.readBigUInt64LE(0),
          digest: payload.slice(8, 40),
          level: payload[40]!,
          status: payload[41]!,
          used: view.readUInt16LE(42),
        }
      })
  }

  /** Waits until so many frames have come in all. */
  async framesCame(count: number): Promise<readonly RawFrame[]> {
    await until(
      () => `${count} frames (${this.frames.length} came, stream ${this.stream.status})`,
      () => this.frames.length >= count,
    )
    return this.frames
  }

  /** Waits until the other side has reset the stream, or closed it with its connection. */
  async gone(): Promise<void> {
    await until(
      () => `the stream is gone (it is ${this.stream.status})`,
      () => this.stream.status !== 'open' && this.stream.status !== 'closing',
    )
  }

  abort(): void {
    this.stream.abort(new Error('the test aborts'))
  }

  private cut(): void {
    while (this.pending.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.pending.readUInt32LE(0)
      if (this.pending.length < end) return
      this.frames.push({ type: this.pending[4]!, payload: new Uint8Array(this.pending.subarray(HEADER_BYTES, end)) })
      this.pending = this.pending.subarray(end)
    }
  }
}
