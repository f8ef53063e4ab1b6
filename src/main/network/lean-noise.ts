/**
 * Noise, with less work per message. The handshake is the package's; what changes is how an established connection
 * cuts, deciphers and writes, with the same bytes on the wire:
 *
 * - As shipped, looking for the next message where there is none yet throws and catches an error with a stack trace, for
 *   every read of the socket. The `MessageCutter` says so instead.
 * - As shipped, a message that spans two reads is copied whole, into memory that node:crypto then does not use.
 * - As shipped, a slice goes to the socket in sixteen pieces: a length, a header, a ciphertext and a tag for every
 *   64 KiB, each a system call and a wake-up of the peer. Here they are one system call, without a copy.
 *
 * These are the package's internals, so they are looked at before they are touched. If they differ from those that are
 * known here, a connection stays as it was shipped, and `onAsShipped` is called. docs/performance.md has the figures.
 */
import { Socket } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import type {
  ConnectionEncrypter,
  MessageStream,
  MultiaddrConnection,
  SecureConnectionOptions,
} from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { GcRelief } from '../lib/gc-relief.js'
import type { SecuredStream } from './connection-guard.js'
import type { ConnectionGuards } from './connection-guards.js'
import { workOfPiece } from './work-budget.js'

type Bytes = Uint8Array | Uint8ArrayList

/** What we know of the package's connection after the handshake. */
interface SecuredConnection {
  decoder: { decode(data: Bytes): Iterable<Bytes>; readonly buffer: Uint8ArrayList }
  decrypt(message: Bytes): Bytes
  readonly handshake: { decrypt(message: Bytes): Bytes }
}

/** What we know of @libp2p/tcp's connection. */
interface SocketConnection {
  readonly socket: Socket
  sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean }
}

type NoiseComponents = Parameters<ReturnType<typeof noise>>[0]

const LENGTH_BYTES = 2
const TAG_BYTES = 16
/** Less than this is cheaper to join than to describe to the kernel piece by piece: ACKs, window updates. */
const SMALL_BYTES = 4096

/** Says how many messages may be taken: each costs a cipher call, however short it is. */
export interface MessageGate {
  readonly isOpen: boolean
  spend(work: number): void
}

/** Cuts a stream of bytes into noise messages: u16 BE length, ciphertext and tag. */
export class MessageCutter {
  /** What has come of the next message; at most one message and what came with its end. */
  readonly buffer = new Uint8ArrayList()
  private readonly gate: MessageGate | undefined

  constructor(gate?: MessageGate) {
    this.gate = gate
  }

  /**
   * The messages that are complete with `data`, without copies, as long as the gate is open; what remains waits for
   * the next call.
   */
  decode(data: Bytes): Uint8ArrayList[] {
    const { buffer } = this
    buffer.append(data)
    const messages: Uint8ArrayList[] = []
    while (buffer.byteLength >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + ((buffer.get(0) << 8) | buffer.get(1))
      if (buffer.byteLength < end || this.gate?.isOpen === false) break
      this.gate?.spend(workOfPiece(end))
      if (end > LENGTH_BYTES) messages.push(buffer.sublist(LENGTH_BYTES, end))
      buffer.consume(end)
    }
    return messages
  }
}

/**
 * A factory for libp2p's `connectionEncrypters`.
 *
 * @param onAsShipped the installed packages are not those that we know: a connection stays as it was shipped
 * @param guards of the connections: what comes through is paid for
 * @param gcRelief is told of what ciphers and sockets allocate
 */
export function leanNoise(
  onAsShipped: () => void,
  guards?: ConnectionGuards,
  gcRelief?: Pick<GcRelief, 'allocated'>,
): (components: NoiseComponents) => ConnectionEncrypter {
  return (components) => {
    const inner = noise()(components)
    const lean =
      (secure: ConnectionEncrypter['secureInbound']) =>
      async (stream: MessageStream, options?: SecureConnectionOptions) => {
        const isLean = gatherWrites(stream, gcRelief)
        const guard = guards?.open(stream as MultiaddrConnection)
        const secured = await secure(stream, options)
        if (!leanReads(secured.connection, guard, gcRelief) || !isLean) onAsShipped()
        if (guard !== undefined) guards?.secure(guard, secured.connection as MessageStream & SecuredStream)
        return secured
      }
    return {
      protocol: inner.protocol,
      secureInbound: lean((stream, options) => inner.secureInbound(stream, options)),
      secureOutbound: lean((stream, options) => inner.secureOutbound(stream, options)),
    }
  }
}

/** Reads without the error and the copy; says whether it could. */
export function leanReads(
  connection: MessageStream,
  gate?: MessageGate,
  gcRelief?: Pick<GcRelief, 'allocated'>,
): boolean {
  const secured = connection as unknown as Partial<SecuredConnection>
  const { decoder, handshake } = secured
  if (typeof secured.decrypt !== 'function' || typeof handshake?.decrypt !== 'function') return false
  if (typeof decoder?.decode !== 'function' || typeof decoder.buffer?.byteLength !== 'number') return false
  const cutter = new MessageCutter(gate)
  // A peer may have sent on before the end of the handshake was noticed here.
  cutter.buffer.append(decoder.buffer)
  secured.decoder = cutter
  secured.decrypt = (message) => {
    if (message.byteLength < TAG_BYTES) throw new Error('a message without its tag')
    gcRelief?.allocated(message.byteLength)
    return handshake.decrypt(message)
  }
  return true
}

/** Writes what is handed over at once with one system call; says whether it could. */
export function gatherWrites(stream: MessageStream, gcRelief?: Pick<GcRelief, 'allocated'>): boolean {
  const connection = stream as unknown as Partial<SocketConnection>
  const { socket } = connection
  if (!(socket instanceof Socket) || typeof connection.sendData !== 'function') return false
  connection.sendData = (data) => {
    const sentBytes = data.byteLength
    gcRelief?.allocated(sentBytes)
    if (sentBytes < SMALL_BYTES) return { sentBytes, canSendMore: socket.write(data.subarray()) }
    let canSendMore = true
    socket.cork()
    for (const piece of data) canSendMore = socket.write(piece)
    socket.uncork()
    return { sentBytes, canSendMore }
  }
  return true
}
