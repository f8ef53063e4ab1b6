/** What libp2p's streams do not offer, and yamux's can: a window opened by hand, and a muxer that is full. */
import type { Stream } from '@libp2p/interface'

/** Of yamux's stream (`@chainsafe/libp2p-yamux`, stream.ts and frame.ts). */
interface YamuxStream {
  readonly streamId: number
  sendFrame: (header: { type: number; flag: number; streamID: number; length: number }, body?: unknown) => boolean
  recvWindowCapacity: number
  maxReadBufferLength: number
  onMuxerNeedsDrain: () => void
  onMuxerDrain: () => void
}

const WINDOW_UPDATE = 1

/** Lets the other end send so many bytes more, whether any were read or not. 13 is the least that yamux takes note of. */
export function openWindow(stream: Stream, bytes: number): void {
  const yamux = stream as unknown as YamuxStream
  yamux.recvWindowCapacity += bytes
  yamux.maxReadBufferLength += bytes
  yamux.sendFrame({ type: WINDOW_UPDATE, flag: 0, streamID: yamux.streamId, length: bytes })
}

/** As if the connection's buffer were full and stayed so: what the stream sends is taken, and no `drain` comes. */
export function fillMuxer(stream: Stream): void {
  const yamux = stream as unknown as YamuxStream
  const { sendFrame } = yamux
  yamux.sendFrame = (...frame) => {
    sendFrame(...frame)
    return false
  }
  yamux.onMuxerDrain = () => {}
  yamux.onMuxerNeedsDrain()
}
