/**
 * Frames between workers, and between primaries: 8 bytes, then the payload. The same on all of narval's libp2p streams.
 *
 * ```
 *  0                4      5           8
 *  ├ payload length ┼ type ┼ 0 ┼ 0 ┼ 0 ┤ payload
 *    u32 LE           u8
 * ```
 */
import { BATCH_FRAME_HEADER_BYTES } from '../constants.js'

export const FRAME_TYPES = {
  /** `/narval/batch/1`, from its opener: an encoded batch of the opener's authority. */
  batch: 1,
  /** `/narval/batch/1`, to its opener: an ACK record (ack.ts). */
  ack: 2,
  /** `/narval/sync/1`, from its opener: digests wanted, MessagePack. */
  request: 3,
  /** `/narval/sync/1`, to its opener: the digest, the author's public key, then the encoded batch. */
  found: 4,
  /** `/narval/sync/1`, to its opener, last: digests that it does not have, MessagePack. */
  missing: 5,
  /** `/narval/hello/1`: a signed record (hello.ts). */
  hello: 6,
  /** `/narval/hello/1`: yours is good. Empty. */
  helloOk: 7,
  /** `/narval/hello/1`: yours is not, and why; UTF-8. */
  helloRefused: 8,
  /** `/narval/primary/1`, from its opener: one record of primaries (primary/record.ts), which says its kind. */
  record: 9,
  /** `/narval/link/1`, both ways: one message of a worker or of its own primary (link/messages.ts). */
  link: 10,
} as const
export type FrameName = keyof typeof FRAME_TYPES

const NAMES = new Map(Object.entries(FRAME_TYPES).map(([name, type]) => [type as number, name as FrameName]))

export function frameName(type: number): FrameName | undefined {
  return NAMES.get(type)
}

export function writeFrameHeader(out: Uint8Array, offset: number, type: number, payloadBytes: number): void {
  out[offset] = payloadBytes
  out[offset + 1] = payloadBytes >>> 8
  out[offset + 2] = payloadBytes >>> 16
  out[offset + 3] = payloadBytes >>> 24
  out[offset + 4] = type
  out[offset + 5] = 0
  out[offset + 6] = 0
  out[offset + 7] = 0
}

/** A whole frame of its own memory, for the small ones. */
export function encodeFrameOf(name: FrameName, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(BATCH_FRAME_HEADER_BYTES + payload.length)
  writeFrameHeader(frame, 0, FRAME_TYPES[name], payload.length)
  frame.set(payload, BATCH_FRAME_HEADER_BYTES)
  return frame
}
