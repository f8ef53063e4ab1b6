/**
 * The TCP port for the primary's messages, the committee's `primary_to_worker`.
 *
 * In: Synchronize and Cleanup frames; nothing is ever answered. Out: `PrimaryHandlers`.
 *
 * Anybody can connect. Our own primary, known by its address, has a share of connections of its own, so that strangers
 * cannot keep it out, and theirs hold small frames only.
 *
 * Source: asonnino/narwhal worker/src/worker.rs (`handle_primary_messages`, `PrimaryReceiverHandler`).
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { TcpAddress } from '../../../shared/config/address.js'
import {
  FOREIGN_PRIMARY_FRAME_BYTES_MAX,
  FOREIGN_PRIMARY_IDLE_MS,
  FRAME_STALL_MS,
  PRIMARY_CONNECTIONS_MAX,
  REFERENCE_FRAME_BYTES_MAX,
} from '../../../shared/constants.js'
import { listenError, NarvalError } from '../../../shared/errors.js'
import { FrameReader } from '../../../shared/wire/reference-frame.js'
import {
  type PrimaryHandlers,
  PrimaryInbox,
  type PrimaryInboxDependencies,
  type PrimaryInboxOptions,
  type PrimarySender,
} from './primary-inbox.js'
import { normalHost, primaryHosts } from './primary-trust.js'

const KEEP_ALIVE_MS = 30_000

export interface PrimaryListenerOptions extends PrimaryInboxOptions {
  /** Where to listen; port 0 takes a free one. */
  readonly address: TcpAddress
  /** A frame that has begun and does not go on for this long ends its connection; FRAME_STALL_MS if not given. */
  readonly frameStallMs?: number
}

export class PrimaryListener {
  private readonly options: PrimaryListenerOptions
  private readonly inbox: PrimaryInbox
  private readonly server: Server
  private readonly ownHosts: ReadonlySet<string>
  /** Apart, each of at most PRIMARY_CONNECTIONS_MAX. */
  private readonly ofOwnPrimary = new Set<Socket>()
  private readonly ofOthers = new Set<Socket>()
  private closed = false

  constructor(options: PrimaryListenerOptions, dependencies: PrimaryInboxDependencies, handlers: PrimaryHandlers) {
    this.options = options
    this.inbox = new PrimaryInbox(options, dependencies, handlers)
    this.ownHosts = primaryHosts(options.committee, options.ownIndex)
    this.server = createServer({ keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, (socket) =>
      this.accept(socket),
    )
  }

  /** Errors: `ERR_ADDRESS_IN_USE`, `ERR_ADDRESS_UNAVAILABLE`. */
  listen(): Promise<void> {
    const { address } = this.options
    return new Promise((resolve, reject) => {
      // Stays for good: a connection that could not be accepted (no descriptor is left) is not the listener's end.
      this.server.on('error', (error) => reject(listenError(error, "the primary's messages", address)))
      this.server.listen({ host: address.host, port: address.port }, resolve)
    })
  }

  /** The port that it listens on, 0 if it does not. */
  get port(): number {
    const address = this.server.address()
    return address !== null && typeof address === 'object' ? address.port : 0
  }

  get connectionCount(): number {
    return this.ofOwnPrimary.size + this.ofOthers.size
  }

  /** Ends every connection; nothing is handed on after this is called. */
  async close(): Promise<void> {
    this.closed = true
    for (const socket of [...this.ofOwnPrimary, ...this.ofOthers]) socket.destroy()
    if (!this.server.listening) return
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
  }

  private accept(socket: Socket): void {
    // A reset is the sender's own business; `close` follows.
    socket.on('error', () => {})
    const { remoteAddress } = socket
    // Already gone again.
    if (remoteAddress === undefined || this.closed) {
      socket.destroy()
      return
    }
    const isOwnPrimary = this.ownHosts.has(normalHost(remoteAddress))
    const sender = { from: `${normalHost(remoteAddress)}:${socket.remotePort}`, isOwnPrimary }
    const share = isOwnPrimary ? this.ofOwnPrimary : this.ofOthers
    if (share.size >= PRIMARY_CONNECTIONS_MAX) {
      socket.destroy()
      const whose = isOwnPrimary ? "our primary's address" : 'other addresses'
      this.inbox.refuse('too-many-connections', sender, `${share.size} from ${whose} are open, the most allowed`)
      return
    }
    share.add(socket)
    socket.on('close', () => share.delete(socket))
    this.read(socket, sender)
  }

  private read(socket: Socket, sender: PrimarySender): void {
    const reader = new FrameReader(sender.isOwnPrimary ? REFERENCE_FRAME_BYTES_MAX : FOREIGN_PRIMARY_FRAME_BYTES_MAX)
    const stallMs = this.options.frameStallMs ?? FRAME_STALL_MS
    let over = false
    const end = (): void => {
      over = true
      socket.destroy()
    }
    const onFrame = (payload: Uint8Array): void => {
      if (over || this.closed) return
      if (this.inbox.takeFrame(payload, sender) === 'close') end()
    }
    socket.on('data', (chunk) => {
      if (over || this.closed) return
      try {
        reader.push(chunk, onFrame)
      } catch (error) {
        if (!(error instanceof NarvalError) || error.code !== 'ERR_FRAME_TOO_LARGE') throw error
        end()
        this.inbox.refuse('frame-too-large', sender, error.message)
      }
      if (!over)
        socket.setTimeout(reader.partialBytes > 0 ? stallMs : sender.isOwnPrimary ? 0 : FOREIGN_PRIMARY_IDLE_MS)
    })
    socket.setTimeout(sender.isOwnPrimary ? 0 : FOREIGN_PRIMARY_IDLE_MS)
    socket.on('timeout', () => {
      if (reader.partialBytes > 0 && !over) {
        this.inbox.refuse('frame-truncated', sender, `no byte for ${stallMs} ms in the middle of a frame`)
      }
      end()
    })
    socket.on('close', () => {
      if (over || this.closed || reader.partialBytes === 0) return
      this.inbox.refuse('frame-truncated', sender, `the connection ended ${reader.partialBytes} bytes into a frame`)
    })
  }
}
