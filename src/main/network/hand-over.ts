/**
 * Handing bytes to a stream no faster than its peer takes them.
 *
 * `send()` returning false and a `drain` event after it are not enough: yamux dispatches `drain`, and forgets that the
 * muxer is full, at each window update while bytes wait in the stream. A peer that opens its window by a few bytes at a
 * time would have a whole reply pile up there, one slice for each update. What can be believed is both at once: the
 * stream holds nothing back, and nothing below it is full. Then an update dispatches nothing, and `drain` is the
 * muxer's own.
 *
 * A trap: `send()` dispatches `idle` before it is over. What is handed over within that event stays in the stream until the
 * next `send()`, and nobody says that there is room. So whoever listens for it hands over in a microtask.
 */
import type { Stream } from '@libp2p/interface'

/** Whether all that was handed over before has left the stream, and there is room below it. */
export function takesMore(stream: Stream): boolean {
  return stream.writeBufferLength === 0 && !stream.writableNeedsDrain
}

/** The peer has not taken what it was sent. */
export class PeerStalledError extends Error {}

/** The stream, or its connection, is gone. */
export class StreamGoneError extends Error {}

/**
 * Hands bytes over; says whether the stream was there to take them. It may be gone below, although it does not say so
 * yet: libp2p aborts it then, and throws. Of ours nothing runs in there but what answers for itself (connection-guard.ts).
 */
export function sendOn(stream: Stream, bytes: Uint8Array): boolean {
  if (stream.status !== 'open' || stream.writeStatus !== 'writable') return false
  try {
    stream.send(bytes)
    return true
  } catch {
    return false
  }
}

/**
 * Hands bytes over, and waits until the stream takes more: no more than these wait in the stream at any time. They are
 * not to be changed afterwards. Rejects with `PeerStalledError` if the peer has not taken them after `stallMs`, and with
 * `StreamGoneError` if the stream is gone.
 */
export async function handOver(stream: Stream, bytes: Uint8Array, stallMs: number): Promise<void> {
  if (!sendOn(stream, bytes)) throw new StreamGoneError(`the stream is ${stream.status}`)
  if (takesMore(stream)) return
  await new Promise<void>((resolve, reject) => {
    const settle = (end: () => void): void => {
      clearTimeout(timer)
      for (const event of EVENTS) stream.removeEventListener(event, onChange)
      end()
    }
    const onChange = (): void => {
      // What is thrown here is the failure of whoever waits.
      try {
        look()
      } catch (error) {
        settle(() => reject(error))
      }
    }
    const look = (): void => {
      if (stream.status === 'open' && stream.writeStatus === 'writable') {
        if (takesMore(stream)) settle(resolve)
      } else settle(() => reject(new StreamGoneError(`the stream is ${stream.status}`)))
    }
    const timer = setTimeout(() => {
      settle(() => reject(new PeerStalledError(`${bytes.length} bytes were not taken within ${stallMs} ms`)))
    }, stallMs)
    for (const event of EVENTS) stream.addEventListener(event, onChange)
  })
}

/** What changes whether a stream takes more: its buffer is empty, there is room below it, it is gone. */
const EVENTS = ['idle', 'drain', 'close'] as const
