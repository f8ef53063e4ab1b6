/**
 * Keeps one connection within its budget of work, and what waits for its socket within bounds:
 *
 * ```
 *  socket ──read──▶ noise: messages ──▶ yamux: frames ──▶ streams
 *     ▲     paid         paid               paid             │ answers of the negotiation: counted
 *     └────────────── what waits to be written: bounded ◀────┘
 * ```
 *
 * Before the hello, a connection that spent its sum is closed. After it, nothing more is taken from it for a while: its
 * socket is paused, and what was already read waits where it is, at most what one read brought.
 */
import type { MultiaddrConnection } from '@libp2p/interface'
import { StreamMessageEvent } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { PeerRefusal } from '../../shared/refusals.js'
import type { TokenBucket } from '../../shared/token-bucket.js'
import type { Supervisor } from '../lib/supervisor.js'
import { NEGOTIATION_MS, QUEUED_FRAME_BYTES, SOCKET_QUEUE_BYTES_MAX, WORK_PAUSE_MS } from './limits.js'
import { type StrangerSum, WorkBudget } from './work-budget.js'

export interface ConnectionGuardHandlers {
  /** `from` is the address before the hello, and the authority's name after it. */
  readonly onRefused: (reason: PeerRefusal, from: string, detail: string) => void
  /** A connection is about to be closed for what it did, and that has been counted. */
  readonly onClosing?: (connection: MultiaddrConnection) => void
}

/** What we know of @libp2p/tcp's connection beside its interface. */
interface SocketConnection {
  onData?: (data: Uint8Array) => void
  readonly socket?: { readonly writableLength: number }
  readonly readStatus?: string
}

/** What we know of a stream of the muxer's. */
export interface OpenedStream {
  /** Empty until it is negotiated. */
  readonly protocol: string
  addEventListener(type: 'close', listener: () => void): void
}

/** What lies on the connection: noise's stream, which yamux reads. */
export interface SecuredStream {
  readonly writableNeedsDrain: boolean
  readonly writeBufferLength: number
  dispatchEvent(event: Event): boolean
}

export class ConnectionGuard {
  private readonly connection: MultiaddrConnection
  private readonly handlers: ConnectionGuardHandlers
  private readonly nowMs: () => number
  private readonly supervisor: Supervisor
  private readonly budget: WorkBudget
  private from: string
  private secured: SecuredStream | undefined
  private refused = false
  private timer: NodeJS.Timeout | undefined
  private resuming = false
  /** Frames that were queued since the socket was last ready for more. */
  private queuedFrames = 0

  constructor(
    connection: MultiaddrConnection,
    handlers: ConnectionGuardHandlers,
    nowMs: () => number,
    supervisor: Supervisor,
    sum?: StrangerSum,
  ) {
    this.supervisor = supervisor
    this.budget = new WorkBudget(sum)
    this.connection = connection
    this.handlers = handlers
    this.nowMs = nowMs
    this.from = connection.remoteAddr.toString()
    // libp2p calls these from within. What they throw it would take for a fault of the connection, or leave to the process.
    const { guard } = supervisor
    this.spend = guard('the guard of a connection', this.spend.bind(this))
    this.receive = guard('the guard of a connection', this.receive.bind(this))
    this.refuse = guard('the guard of a connection', this.refuse.bind(this))
    this.report = guard('the guard of a connection', this.report.bind(this))
    this.onGoAway = guard('the guard of a connection', this.onGoAway.bind(this))
    this.watchReads()
    this.watchWrites()
    const onClose = supervisor.guard('the guard of a connection', () => this.close())
    connection.addEventListener('close', onClose)
  }

  /** Whether more may be taken of what has come. */
  get isOpen(): boolean {
    return this.timer === undefined && !this.refused
  }

  /** Noise's handshake is over: this is what yamux reads. */
  secure(secured: SecuredStream): void {
    this.secured = secured
  }

  /** The hello is over. */
  verified(name: string, bucket: TokenBucket): void {
    this.from = name
    this.budget.verified(bucket)
    // Answers are paid for with what they answer; what else we write is our own.
    delete (this.connection as Partial<MultiaddrConnection>).send
  }

  /** Work that was done, or is about to be. Look at `isOpen` before the next. */
  spend(work: number): void {
    if (!this.refused) this.after(this.budget.spend(work, this.nowMs))
  }

  /** A frame is to be sent: whether it may still wait for the socket. */
  mayQueue(bytes: number): boolean {
    try {
      return this.isRoomFor(bytes)
    } catch (error) {
      this.supervisor.fail('the guard of a connection', error)
      return false
    }
  }

  /** Counts it, and closes the connection as soon as what runs now is over. */
  refuse(reason: PeerRefusal, detail: string): void {
    if (this.refused) return
    this.refused = true
    this.handlers.onRefused(reason, this.from, detail)
    this.handlers.onClosing?.(this.connection)
    const abort = this.supervisor.guard('the guard of a connection', () =>
      this.connection.abort(new Error(`${reason}: ${detail}`)),
    )
    queueMicrotask(abort)
  }

  /** Counts it; the connection stays. */
  report(reason: PeerRefusal, detail: string): void {
    this.handlers.onRefused(reason, this.from, detail)
  }

  /** The peer has opened a stream. libp2p resets one for which no protocol is agreed in time, and tells nobody. */
  onStream(stream: OpenedStream): void {
    const openedMs = this.nowMs()
    const onClose = this.supervisor.guard('the guard of a connection', () => {
      const heldMs = this.nowMs() - openedMs
      // With its connection it ends for another reason.
      if (this.refused || stream.protocol !== '' || heldMs < NEGOTIATION_MS / 2) return
      this.report('negotiation-late', `a stream without a protocol for ${Math.round(heldMs)} ms`)
    })
    stream.addEventListener('close', onClose)
  }

  /** The peer has said that it opens and takes no more streams, so the connection is of no more use. */
  onGoAway(): void {
    const closed = this.connection.close({ signal: AbortSignal.timeout(WORK_PAUSE_MS) })
    this.supervisor.watch(
      'the guard of a connection',
      closed.catch((error: Error) => this.connection.abort(error)),
    )
  }

  private isRoomFor(bytes: number): boolean {
    const { secured } = this
    if (this.refused || secured === undefined) return !this.refused
    if (!secured.writableNeedsDrain) {
      this.queuedFrames = 0
      return true
    }
    this.queuedFrames += 1
    const { socket } = this.connection as SocketConnection
    const queued = secured.writeBufferLength + this.connection.writeBufferLength + (socket?.writableLength ?? 0)
    if (queued + bytes + this.queuedFrames * QUEUED_FRAME_BYTES <= SOCKET_QUEUE_BYTES_MAX) return true
    this.refuse('socket-unread', `${queued} bytes in ${this.queuedFrames} frames wait for it to read`)
    return false
  }

  private get readStatus(): string | undefined {
    return (this.connection as SocketConnection).readStatus
  }

  private watchReads(): void {
    const connection = this.connection as SocketConnection
    const onData = connection.onData?.bind(connection)
    if (onData === undefined) return
    connection.onData = (data) => {
      if (this.refused) return
      this.receive(data.byteLength)
      if (!this.refused) onData(data)
    }
  }

  private receive(bytes: number): void {
    this.after(this.budget.receive(bytes, this.nowMs))
  }

  /** Before the hello, all that we write is an answer. */
  private watchWrites(): void {
    const { connection } = this
    const send = connection.send.bind(connection)
    connection.send = (data) => {
      this.spend(1)
      return this.refused ? false : send(data)
    }
  }

  private after(waitMs: number): void {
    if (waitMs === 0) return
    if (this.budget.isVerified) this.pause(waitMs)
    else this.refuse('too-much-before-hello', 'more frames, answers or bytes than a hello takes')
  }

  private pause(ms: number): void {
    if (this.timer !== undefined) return
    this.report('frame-flood', 'it sends more small frames than we serve in a second: it is read more slowly')
    if (!this.resuming) this.pauseSocket()
    const goOn = this.supervisor.guard('the guard of a connection', () => this.goOn())
    this.timer = setTimeout(goOn, Math.max(ms, WORK_PAUSE_MS))
  }

  /**
   * Takes what has waited, the oldest first: the frames of what was deciphered, then the messages, then the socket
   * again.
   */
  private goOn(): void {
    this.timer = undefined
    this.secured?.dispatchEvent(new StreamMessageEvent(new Uint8ArrayList()))
    if (this.isOpen) this.connection.dispatchEvent(new StreamMessageEvent(new Uint8ArrayList()))
    if (this.isOpen) this.resumeSocket()
  }

  private pauseSocket(): void {
    if (this.readStatus === 'readable') this.connection.pause()
  }

  /**
   * `resume` hands over what came meanwhile. If a handler paused the socket then, the end of `resume` would undo the
   * pause: so the pause waits until `resume` is over.
   */
  private resumeSocket(): void {
    if (this.readStatus !== 'paused') return
    this.resuming = true
    this.connection.resume()
    this.resuming = false
    if (this.timer !== undefined) this.pauseSocket()
  }

  private close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.refused = true
  }
}
