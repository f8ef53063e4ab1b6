/**
 * The TCP port for the primary's messages, the committee's `primary_to_worker`.
 *
 * In: Synchronize and Cleanup frames; nothing is ever answered. Out: `PrimaryHandlers`.
 *
 * Anybody can connect. Places are divided by who somebody is and where it comes from (`primary-places.ts`), so that nobody
 * can keep our primary out, nor another's; and frames of others than our primary are small. Who somebody is is decided
 * when its connection comes. When the names of the committee file stand for other addresses later, connections of which
 * something else is true now are closed: whoever is still there dials again.
 *
 * Source: asonnino/narwhal worker/src/worker.rs (`handle_primary_messages`, `PrimaryReceiverHandler`).
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { TcpAddress } from '../../../shared/config/address.js'
import { FRAME_STALL_MS, REFERENCE_FRAME_BYTES_MAX } from '../../../shared/constants.js'
import { listenError } from '../../../shared/errors.js'
import type { PrimaryRefusal } from '../../../shared/refusals.js'
import { FrameReader, FrameTooLargeError } from '../../../shared/wire/reference-frame.js'
import { sourceOf } from '../../../shared/wire/source-address.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import { HostNames } from '../../names/host-names.js'
import { FOREIGN_PRIMARY_FRAME_BYTES_MAX, FOREIGN_PRIMARY_IDLE_MS } from './limits.js'
import { PrimaryHosts } from './primary-hosts.js'
import {
  type PrimaryHandlers,
  PrimaryInbox,
  type PrimaryInboxDependencies,
  type PrimaryInboxOptions,
  type PrimarySender,
} from './primary-inbox.js'
import { PrimaryPlaces } from './primary-places.js'
import { normalHost } from './primary-trust.js'

const KEEP_ALIVE_MS = 30_000

export interface PrimaryListenerOptions extends PrimaryInboxOptions {
  /** Where to listen; port 0 takes a free one. */
  readonly address: TcpAddress
  /** A frame that has begun and does not go on for this long ends its connection; FRAME_STALL_MS if not given. */
  readonly frameStallMs?: number
}

export interface PrimaryListenerDependencies extends PrimaryInboxDependencies {
  /** What the names of the committee file stand for. */
  readonly names?: HostNames
  /** Takes what the sockets' handlers throw. */
  readonly supervisor?: Supervisor
}

export class PrimaryListener {
  private readonly options: PrimaryListenerOptions
  private readonly handlers: PrimaryHandlers
  private readonly inbox: PrimaryInbox
  private readonly server: Server
  private readonly hosts: PrimaryHosts
  private readonly supervisor: Supervisor
  private readonly places = new PrimaryPlaces<Socket>()
  private readonly senders = new Map<Socket, PrimarySender>()
  /** Those that are not read yet, since the names are being asked about: who they are is decided after that. */
  private readonly undecided = new Set<Socket>()
  /** Closed by us for others' sake: that one of them ends inside a frame is not its fault. */
  private readonly expelled = new WeakSet<Socket>()
  private closed = false

  constructor(options: PrimaryListenerOptions, dependencies: PrimaryListenerDependencies, handlers: PrimaryHandlers) {
    this.options = options
    this.handlers = handlers
    this.inbox = new PrimaryInbox(options, dependencies, handlers)
    const { names = new HostNames() } = dependencies
    this.hosts = new PrimaryHosts(options.committee, options.ownIndex, names, () => this.onHostsChanged())
    this.supervisor = dependencies.supervisor ?? unsupervised
    const onConnection = this.supervisor.guard('a connection of a primary', (socket: Socket) => {
      try {
        this.accept(socket)
      } catch (error) {
        // The port is closed once all its connections are: none may be left that nobody knows.
        socket.destroy()
        throw error
      }
    })
    this.server = createServer({ keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, onConnection)
  }

  /** Errors: `ERR_ADDRESS_IN_USE`, `ERR_ADDRESS_UNAVAILABLE`. */
  listen(): Promise<void> {
    const { address } = this.options
    return new Promise((resolve, reject) => {
      const onError = this.supervisor.guard('the port for the primary', (error: Error) => {
        // Once it listens, a connection could not be accepted, since no descriptor is left: that is not its end.
        if (this.server.listening) this.handlers.onRefused('not-accepted', 'unknown', error.message)
        else reject(listenError(error, "the primary's messages", address))
      })
      this.server.on('error', onError)
      this.server.listen({ host: address.host, port: address.port }, resolve)
    })
  }

  /** The port that it listens on, 0 if it does not. */
  get port(): number {
    const address = this.server.address()
    return address !== null && typeof address === 'object' ? address.port : 0
  }

  get connectionCount(): number {
    return this.senders.size
  }

  /** Ends every connection; nothing is handed on after this is called. */
  async close(): Promise<void> {
    this.closed = true
    for (const socket of this.senders.keys()) socket.destroy()
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
    const onClose = this.supervisor.guard('the end of a connection of a primary', () => {
      this.places.leave(socket)
      this.senders.delete(socket)
      this.undecided.delete(socket)
    })
    socket.on('close', onClose)
    const sender = this.place(socket, remoteAddress)
    if (!this.hosts.mayBeOwn(normalHost(remoteAddress))) this.read(socket, sender)
    else {
      this.undecided.add(socket)
      this.supervisor.watch('a connection of a primary', this.readWhenKnown(socket, remoteAddress))
    }
  }

  /** It is not read before the names that it may belong to were asked about, which takes NAME_WAIT_MS at most. */
  private async readWhenKnown(socket: Socket, remoteAddress: string): Promise<void> {
    await this.hosts.askAgain()
    this.undecided.delete(socket)
    if (socket.destroyed || !this.senders.has(socket)) return
    this.places.leave(socket)
    this.read(socket, this.place(socket, remoteAddress))
  }

  /** Gives it a place by who it is as far as we know now. */
  private place(socket: Socket, remoteAddress: string): PrimarySender {
    const sender = this.senderOf(remoteAddress, socket.remotePort)
    const { isOwnPrimary, isStranger, source } = sender
    const sourceClass = isOwnPrimary ? 'own-primary' : isStranger ? 'stranger' : 'primary'
    const evicted = this.places.enter(socket, source, sourceClass)
    if (evicted !== undefined) this.evict(evicted)
    this.senders.set(socket, sender)
    return sender
  }

  private senderOf(remoteAddress: string, port: number | undefined): PrimarySender {
    const host = normalHost(remoteAddress)
    const isOwnPrimary = this.hosts.isOwn(host)
    const isStranger = !isOwnPrimary && !this.hosts.isOther(host)
    // Strangers that choose among the addresses of one network are one source; a primary has the address that is its own.
    return { from: `${host}:${port}`, source: isStranger ? sourceOf(remoteAddress) : host, isOwnPrimary, isStranger }
  }

  /**
   * A name stands for other addresses: what was decided of a connection must not outlive what it was decided by. A name
   * that is gone stands for no others, and a connection of before stays what it was: some resolvers forget a name for a
   * moment, and a primary asks for a batch only once.
   */
  private onHostsChanged(): void {
    for (const [socket, was] of this.senders) {
      const { remoteAddress, remotePort } = socket
      if (remoteAddress === undefined || this.undecided.has(socket)) continue
      const host = normalHost(remoteAddress)
      if (was.isOwnPrimary ? this.hosts.wasOwn(host) : !was.isStranger && this.keepsOther(host)) continue
      const now = this.senderOf(remoteAddress, remotePort)
      if (now.isOwnPrimary === was.isOwnPrimary && now.isStranger === was.isStranger) continue
      this.expel(socket, was, 'sender-changed', 'the names of the committee file stand for other addresses now')
    }
  }

  private keepsOther(host: string): boolean {
    return this.hosts.wasOther(host) && !this.hosts.isOwn(host)
  }

  private evict(socket: Socket): void {
    const sender = this.senders.get(socket)!
    this.expel(socket, sender, 'too-many-connections', 'it has rested the longest, and another one needs its place')
  }

  private expel(socket: Socket, sender: PrimarySender, reason: PrimaryRefusal, detail: string): void {
    this.expelled.add(socket)
    socket.destroy()
    this.inbox.refuse(reason, sender, detail)
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
      const outcome = this.inbox.takeFrame(payload, sender)
      if (outcome === 'taken') this.places.spoke(socket)
      else if (outcome === 'close') end()
    }
    const { guard } = this.supervisor
    const onData = guard('what a primary sends', (chunk: Buffer) => {
      if (over || this.closed) return
      try {
        reader.push(chunk, onFrame)
      } catch (error) {
        if (!(error instanceof FrameTooLargeError)) throw error
        end()
        this.inbox.refuse('frame-too-large', sender, error.message)
      }
      if (!over)
        socket.setTimeout(reader.partialBytes > 0 ? stallMs : sender.isOwnPrimary ? 0 : FOREIGN_PRIMARY_IDLE_MS)
    })
    const onTimeout = guard('the silence of a primary', () => {
      if (reader.partialBytes > 0 && !over) {
        this.inbox.refuse('frame-truncated', sender, `no byte for ${stallMs} ms in the middle of a frame`)
      }
      end()
    })
    const onClose = guard('the end of a connection of a primary', () => {
      if (over || this.closed || this.expelled.has(socket) || reader.partialBytes === 0) return
      this.inbox.refuse('frame-truncated', sender, `the connection ended ${reader.partialBytes} bytes into a frame`)
    })
    socket.setTimeout(sender.isOwnPrimary ? 0 : FOREIGN_PRIMARY_IDLE_MS)
    socket.on('data', onData)
    socket.on('timeout', onTimeout)
    socket.on('close', onClose)
  }
}
