/** What no libp2p node does by itself: frames of yamux and messages of noise by hand, on a real connection. */
import type { Connection } from '@libp2p/interface'

export const TYPES = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
export const FLAGS = { none: 0, syn: 1, ack: 2, fin: 4, rst: 8 } as const

/** The header of a frame; `length` is whatever it says. */
export function header(type: number, flag: number, streamId: number, length: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes[1] = type
  bytes.writeUInt16BE(flag, 2)
  bytes.writeUInt32BE(streamId, 4)
  bytes.writeUInt32BE(length, 8)
  return bytes
}

/** So many frames, one after the other. */
export function frames(count: number, of: (index: number) => Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => of(index)))
}

/** A proposal of multistream's: its length, the name, a line feed. */
export function proposal(name: string): Buffer {
  return Buffer.from(`${String.fromCharCode(name.length + 1)}${name}\n`)
}

interface Layers {
  readonly muxer: { readonly maConn: Secured; handlePingResponse: () => void }
  readonly maConn: Socketed
}
interface Secured {
  readonly writeBufferLength: number
  send(data: Uint8Array): boolean
  readonly status: string
  readonly handshake: { encrypt(data: Uint8Array): Uint8Array }
}
interface Socketed {
  readonly writeBufferLength: number
  readonly socket: { readonly writableLength: number }
  readonly status: string
  send(data: Uint8Array): boolean
  pause(): void
}

/** Sends these bytes as the muxer would, in noise messages as large as may be. */
export function sendToMuxer(connection: Connection, bytes: Uint8Array): void {
  const { muxer } = connection as unknown as Layers
  // It would close the connection at the answer to a ping that it knows nothing of.
  muxer.handlePingResponse = () => {}
  if (muxer.maConn.status === 'open') muxer.maConn.send(bytes)
}

/** Sends each of these as a noise message of its own, however short. */
export function sendMessages(connection: Connection, messages: readonly Uint8Array[]): void {
  const { muxer, maConn } = connection as unknown as Layers
  muxer.handlePingResponse = () => {}
  for (const message of messages) {
    const ciphertext = muxer.maConn.handshake.encrypt(message)
    if (maConn.status === 'open') maConn.send(Buffer.concat([uint16(ciphertext.length), ciphertext]))
  }
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

/** Reads nothing any more, below all that libp2p does. */
export function stopReading(connection: Connection): void {
  ;(connection as unknown as Layers).maConn.pause()
}

/** Whether the connection is still there, as this side sees it. */
export function isOpen(connection: Connection): boolean {
  return (connection as unknown as Layers).maConn.status === 'open'
}

/** Bytes that this side has for the socket and the kernel has not taken, as they are or as ciphertext. */
export function queuedBytes(connection: Connection): number {
  const { muxer, maConn } = connection as unknown as Layers
  return muxer.maConn.writeBufferLength + maConn.writeBufferLength + maConn.socket.writableLength
}
