/**
 * PrimaryConnector: reports batches to the primary, over TCP, in the reference's messages.
 *
 * In: `report` from main. Out: `OurBatch` and `OthersBatch` frames to the committee's `worker_to_primary`.
 *
 * ```
 *  report ──▶ queue ──▶ being written ──▶ taken by our kernel ──▶ acknowledged: onReported
 *               ▲            │                    │                    │
 *               └────────────┴── connection lost ─┴────────────────────┘ of the last minute
 * ```
 *
 * The primary is dialled for ever; while it is away, reports wait. One write is outstanding at a time, of all that waits
 * up to PRIMARY_IN_FLIGHT_MAX reports; its callback says that our kernel took the bytes. The primary never answers
 * (reference rule: no Ack on this socket), so the kernel is asked what the primary's side has acknowledged
 * (`unread-bytes.ts`); where it does not say, a report counts as delivered when its connection has stood for a minute
 * more. What is not acknowledged when the connection is lost goes back to the front, with what was acknowledged lately
 * (`sent-reports.ts`): each report arrives at least once, and first arrivals are in order. An own report whose certificate
 * has become stale when its turn comes is not written (`onStale`): it is made again once the batch is certified anew.
 *
 * What the primary sends is read and thrown away. A primary that does not read fills the kernel's buffers, then the
 * queue. A link on which nothing is answered any more is closed and dialled again.
 *
 * Source: asonnino/narwhal worker/src/primary_connector.rs, which sends once and never again.
 */
import { connect, type LookupFunction, type Socket } from 'node:net'
import { formatTcpAddress, type TcpAddress } from '../../../shared/config/address.js'
import { LogLimiter } from '../../../shared/runtime/thread-control.js'
import { encodeWorkerPrimaryMessage } from '../../../shared/wire/primary-messages.js'
import { encodeFrame } from '../../../shared/wire/reference-frame.js'
import type { Logger } from '../../lib/log.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import {
  PRIMARY_ACK_POLL_CLOSING_MS,
  PRIMARY_ACK_POLL_MS,
  PRIMARY_ACK_POLL_MS_MAX,
  PRIMARY_ACK_POLL_SHARE,
  PRIMARY_ADDRESS_TIMEOUT_MS,
  PRIMARY_CLOSE_GRACE_MS,
  PRIMARY_CONNECT_TIMEOUT_MS,
  PRIMARY_IN_FLIGHT_MAX,
  PRIMARY_QUEUE_MAX,
  PRIMARY_RETRANSMITS_MIN,
  PRIMARY_SILENCE_MS,
  PRIMARY_UNREAD_MAX,
} from './limits.js'
import type { PrimaryLink, PrimaryLinkHandlers, PrimaryReport } from './primary-link.js'
import { type QueuedReport, ReportQueue } from './report-queue.js'
import { RetryPause } from './retry-pause.js'
import { SentReports } from './sent-reports.js'
import { type Unread, type UnreadProbe, unreadOf } from './unread-bytes.js'

const KEEP_ALIVE_MS = 30_000

export interface PrimaryConnectorOptions {
  /** The committee's `worker_to_primary` of our authority. */
  readonly address: TcpAddress
  readonly workerId: number
  /** Reports that wait at most; PRIMARY_QUEUE_MAX if not given. */
  readonly queueMax?: number
}

export interface PrimaryConnectorDependencies {
  readonly logger: Logger
  /** Finds the addresses of a name, anew at each attempt; the system's resolver if not given. */
  readonly lookup?: LookupFunction
  /** A clock that does not go back; `performance.now` if not given. */
  readonly nowMs?: () => number
  /** Takes what the sockets' and timers' handlers throw. */
  readonly supervisor?: Supervisor
  /** What the primary has not read of a connection; the kernel is asked if not given. */
  readonly unreadOf?: UnreadProbe
}

export class PrimaryConnector implements PrimaryLink {
  private readonly options: PrimaryConnectorOptions
  private readonly logger: Logger
  private readonly lookup: LookupFunction | undefined
  private readonly nowMs: () => number
  private readonly handlers: PrimaryLinkHandlers
  private readonly queue: ReportQueue
  private readonly sent = new SentReports()
  private readonly unreadOf: UnreadProbe
  private readonly limiter = new LogLimiter()
  private readonly supervisor: Supervisor
  /** Every report below this number was handed to `onReported`, if it is of an own batch. */
  private reportedBelow = 0
  private inFlight: readonly QueuedReport[] = []
  private wasFull = false
  private socket: Socket | undefined
  private connected = false
  /** When the present connection, or the last one, was there. */
  private connectedMs = 0
  private readonly retryPause = new RetryPause()
  /** Whether the kernel says what is acknowledged of this connection; undefined before it was asked. */
  private isAckKnown: boolean | undefined
  private pollTimer: NodeJS.Timeout | undefined
  /** Before this time it does not look again, in ms of the monotonic clock. */
  private nextPollMs = 0
  private isPolling = false
  /** Since when the primary's side has answered nothing although something is due. */
  private silentSinceMs: number | undefined
  /** The outage was logged. */
  private outage = false
  private retryTimer: NodeJS.Timeout | undefined
  private closed = false

  /** Nothing is dialled before `start`. */
  constructor(
    options: PrimaryConnectorOptions,
    dependencies: PrimaryConnectorDependencies,
    handlers: PrimaryLinkHandlers,
  ) {
    this.options = options
    this.logger = dependencies.logger
    this.lookup = dependencies.lookup
    this.nowMs = dependencies.nowMs ?? (() => performance.now())
    this.unreadOf = dependencies.unreadOf ?? unreadOf
    this.supervisor = dependencies.supervisor ?? unsupervised
    this.handlers = handlers
    this.queue = new ReportQueue(options.queueMax ?? PRIMARY_QUEUE_MAX, handlers)
  }

  get isFull(): boolean {
    return this.queue.isFull
  }

  get queued(): number {
    return this.queue.size + (this.isAckKnown === false ? 0 : this.sent.unacknowledgedCount)
  }

  get dropped(): number {
    return this.queue.dropped
  }

  get isConnected(): boolean {
    return this.connected
  }

  start(): void {
    if (this.socket === undefined && !this.closed) this.dial()
  }

  report(report: PrimaryReport): void {
    if (this.closed) return
    const { dropped } = this.queue
    this.queue.push(report)
    this.wasFull ||= this.queue.isFull
    if (this.queue.dropped > dropped) {
      this.log('warn', 'dropped', `${this.queue.size} reports wait for the primary: the oldest of others are dropped`)
    }
    this.flush()
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    clearTimeout(this.retryTimer)
    const { socket } = this
    if (socket === undefined) return
    const { guard } = this.supervisor
    await new Promise<void>((resolve) => {
      const onGraceOver = guard('the end of the link to the primary', () => socket.destroy())
      const timer = setTimeout(onGraceOver, PRIMARY_CLOSE_GRACE_MS)
      const onClosed = guard('the end of the link to the primary', () => {
        clearTimeout(timer)
        resolve()
      })
      socket.once('close', onClosed)
      if (!this.connected) socket.destroy()
      else this.poll()
    })
  }

  private end(socket: Socket): void {
    socket.end(this.supervisor.guard('the end of the link to the primary', () => socket.destroy()))
  }

  private dial(): void {
    const { host, port } = this.options.address
    const guard = <A extends unknown[]>(handler: (...values: A) => void) =>
      this.supervisor.guard('the connection to the primary', handler)
    const socket = connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      autoSelectFamilyAttemptTimeout: PRIMARY_ADDRESS_TIMEOUT_MS,
      ...(this.lookup && { lookup: this.lookup }),
    })
    let reason = 'it closed the connection'
    this.socket = socket
    this.isAckKnown = undefined
    this.silentSinceMs = undefined
    const onLate = guard(() => {
      reason = `no connection after ${PRIMARY_CONNECT_TIMEOUT_MS} ms`
      socket.destroy()
    })
    const onConnect = guard(() => {
      socket.setTimeout(0)
      this.onConnected()
    })
    const onError = guard((error: Error) => {
      reason = error.message
    })
    socket.setTimeout(PRIMARY_CONNECT_TIMEOUT_MS, onLate)
    socket.on('connect', onConnect)
    // Nobody answers here, but what is not read would fill our kernel's buffer.
    socket.resume()
    // A primary never closes one direction alone: waiting for our writes to end could take for ever.
    const onEnd = guard(() => socket.destroy())
    socket.on('end', onEnd)
    socket.on('error', onError)
    const onClose = guard(() => this.onLost(reason))
    socket.on('close', onClose)
  }

  private onConnected(): void {
    this.connected = true
    this.connectedMs = this.nowMs()
    this.outage = false
    this.handlers.onConnection()
    this.log('info', 'connected', `connected to the primary at ${this.where()}, ${this.queue.size} reports waited`)
    this.flush()
  }

  private onLost(reason: string): void {
    this.socket = undefined
    const lastedMs = this.connected ? this.nowMs() - this.connectedMs : undefined
    this.connected = false
    this.handlers.onConnection()
    clearTimeout(this.pollTimer)
    this.pollTimer = undefined
    this.queue.settle(this.inFlight)
    // We close the connection only when the primary's side has acknowledged all, or when its grace is over: then
    // nothing is sent again.
    const sent = this.closed ? [] : this.sent.takeAll(this.nowMs())
    this.queue.restore([...sent, ...this.inFlight])
    this.inFlight = []
    this.wasFull ||= this.queue.isFull
    if (this.closed) return
    if (!this.outage) {
      this.log(
        'warn',
        'lost',
        `no connection to the primary at ${this.where()} (${reason}): reports wait until it is back`,
      )
    }
    this.outage = true
    const redial = this.supervisor.guard('dialling the primary', () => this.dial())
    this.retryTimer = setTimeout(redial, this.retryPause.after(lastedMs))
  }

  /** Writes what waits, if the socket took what it was handed before. */
  private flush(): void {
    const { socket } = this
    if (socket === undefined || !this.connected || this.inFlight.length > 0) return
    const room = this.isAckKnown === false ? PRIMARY_IN_FLIGHT_MAX : PRIMARY_UNREAD_MAX - this.sent.unacknowledgedCount
    const reports = this.queue.take(Math.min(PRIMARY_IN_FLIGHT_MAX, room))
    // Stale reports have left the queue.
    this.sayRoom()
    if (reports.length === 0) return
    this.inFlight = reports
    const { workerId } = this.options
    const frames = reports.map(({ type, digest }) =>
      encodeFrame(encodeWorkerPrimaryMessage({ type, digest, workerId })),
    )
    const onWritten = this.supervisor.guard('reports to the primary', (error?: Error | null) => {
      // A write that failed is a lost connection: `close` follows and puts the reports back.
      if (!error && this.inFlight === reports) this.onTaken(reports, frames[0]!.length)
    })
    socket.write(Buffer.concat(frames), onWritten)
  }

  private onTaken(reports: readonly QueuedReport[], frameBytes: number): void {
    this.inFlight = []
    this.queue.settle(reports)
    this.sent.add(reports, frameBytes, this.nowMs())
    this.flush()
    // Before nothing may be written any more, it looks at once.
    if (this.sent.unacknowledgedCount > PRIMARY_UNREAD_MAX / 2) this.poll()
    else this.schedulePoll()
    this.sayRoom()
  }

  private sayRoom(): void {
    if (!this.wasFull || this.queue.isFull) return
    this.wasFull = false
    this.handlers.onRoom()
  }

  /** Looks again after a while, and not before the last look's cost is a small share of the time since then. */
  private schedulePoll(): void {
    const waitMs = Math.max(PRIMARY_ACK_POLL_MS, this.nextPollMs - performance.now())
    const poll = this.supervisor.guard('asking what the primary has', () => this.poll())
    this.pollTimer ??= setTimeout(poll, this.closed ? PRIMARY_ACK_POLL_CLOSING_MS : waitMs)
  }

  /** Asks what the primary's side has acknowledged, and asks again while something is not. */
  private poll(): void {
    clearTimeout(this.pollTimer)
    this.pollTimer = undefined
    const { socket } = this
    if (socket === undefined || !this.connected || this.isPolling) return
    this.isPolling = true
    // The kernel may have taken a part of what is being written now. That part is in its count of unread bytes and not
    // in ours of bytes sent, so at worst we take too little for acknowledged.
    const taken = this.sent.bytesTaken
    const startMs = performance.now()
    const asked = this.unreadOf(socket).then((unread) => {
      this.isPolling = false
      const endMs = performance.now()
      this.nextPollMs = endMs + Math.min((endMs - startMs) / PRIMARY_ACK_POLL_SHARE, PRIMARY_ACK_POLL_MS_MAX)
      if (this.socket === socket && this.connected) this.onUnread(socket, taken, unread)
      if (this.socket === undefined || !this.connected || this.sent.unacknowledgedCount === 0) return
      this.schedulePoll()
    })
    this.supervisor.watch('asking what the primary has', asked)
  }

  private onUnread(socket: Socket, taken: number, unread: Unread | undefined): void {
    const nowMs = this.nowMs()
    // If the kernel has told it before and does not tell it now, the connection is lost, and its `close` event is on
    // its way.
    this.isAckKnown ??= unread !== undefined
    if (unread !== undefined) this.onAcknowledged(this.sent.acknowledge(taken - unread.bytes, nowMs))
    else if (!this.isAckKnown) this.onAcknowledged(this.sent.acknowledgeOld(nowMs))
    if (this.isSilent(unread, nowMs)) {
      socket.destroy(new Error(`nothing was acknowledged for ${Math.round(nowMs - this.silentSinceMs!)} ms`))
      return
    }
    this.flush()
    const isOver = this.sent.unacknowledgedCount === 0 || !this.isAckKnown
    if (this.closed && this.queue.size === 0 && isOver) this.end(socket)
  }

  private onAcknowledged(reports: readonly QueuedReport[]): void {
    const digests: Uint8Array[] = []
    for (const { digest, number, type } of reports) {
      if (type === 'OurBatch' && number >= this.reportedBelow) digests.push(digest)
    }
    if (reports.length > 0) this.reportedBelow = Math.max(this.reportedBelow, reports.at(-1)!.number + 1)
    if (digests.length > 0) this.handlers.onReported(digests)
  }

  private isSilent(unread: Unread | undefined, nowMs: number): boolean {
    if (unread === undefined || unread.bytes === 0 || unread.unanswered < PRIMARY_RETRANSMITS_MIN) {
      this.silentSinceMs = undefined
      return false
    }
    this.silentSinceMs ??= nowMs
    return nowMs - this.silentSinceMs >= PRIMARY_SILENCE_MS
  }

  private where(): string {
    return formatTcpAddress(this.options.address)
  }

  /** A primary that comes and goes many times a second must not fill the log. */
  private log(level: 'warn' | 'info', key: string, text: string): void {
    const suppressed = this.limiter.admit(key, performance.now())
    if (suppressed !== null) this.logger[level](suppressed === 0 ? text : `${text} (${suppressed} more such lines)`)
  }
}
