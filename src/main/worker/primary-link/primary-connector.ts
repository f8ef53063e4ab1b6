/**
 * PrimaryConnector: reports batches to the primary, over TCP, in the reference's messages.
 *
 * In: `report` from main. Out: `OurBatch` and `OthersBatch` frames to the committee's `worker_to_primary`.
 *
 * The primary is dialled for ever; while it is away, reports wait. One write is outstanding at a time, of all that waits
 * up to PRIMARY_IN_FLIGHT_MAX reports; its callback says that the kernel took the bytes. What was not taken when the
 * connection is lost, and what was taken just before (`ResendWindow`), goes back to the front: each own batch arrives at
 * least once, and first arrivals are in order. The primary never answers (reference rule: no Ack on this socket), so what
 * it sends is read and thrown away. One that does not read fills the kernel's buffers, then the queue.
 *
 * Source: asonnino/narwhal worker/src/primary_connector.rs, which sends once and never again.
 */
import { connect, type Socket } from 'node:net'
import { formatTcpAddress, type TcpAddress } from '../../../shared/config/address.js'
import {
  PRIMARY_CLOSE_GRACE_MS,
  PRIMARY_CONNECT_TIMEOUT_MS,
  PRIMARY_IN_FLIGHT_MAX,
  PRIMARY_QUEUE_MAX,
  PRIMARY_RETRY_MS,
} from '../../../shared/constants.js'
import { LogLimiter } from '../../../shared/runtime/thread-control.js'
import { encodeWorkerPrimaryMessage } from '../../../shared/wire/primary-messages.js'
import { encodeFrame } from '../../../shared/wire/reference-frame.js'
import type { Logger } from '../../lib/log.js'
import type { PrimaryLink, PrimaryLinkHandlers, PrimaryReport } from './primary-link.js'
import { type QueuedReport, ReportQueue } from './report-queue.js'
import { ResendWindow } from './resend-window.js'

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
  /** A clock that does not go back; `performance.now` if not given. */
  readonly nowMs?: () => number
}

export class PrimaryConnector implements PrimaryLink {
  private readonly options: PrimaryConnectorOptions
  private readonly logger: Logger
  private readonly nowMs: () => number
  private readonly handlers: PrimaryLinkHandlers
  private readonly queue: ReportQueue
  private readonly recent = new ResendWindow()
  private readonly limiter = new LogLimiter()
  /** Every report below this number was handed to `onReported`, if it is of an own batch. */
  private reportedBelow = 0
  private inFlight: readonly QueuedReport[] = []
  private wasFull = false
  private socket: Socket | undefined
  private connected = false
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
    this.nowMs = dependencies.nowMs ?? (() => performance.now())
    this.handlers = handlers
    this.queue = new ReportQueue(options.queueMax ?? PRIMARY_QUEUE_MAX)
  }

  get isFull(): boolean {
    return this.queue.isFull
  }

  get queued(): number {
    return this.queue.size
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
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => socket.destroy(), PRIMARY_CLOSE_GRACE_MS)
      socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      if (!this.connected) socket.destroy()
      else if (this.queue.size === 0) this.end(socket)
    })
  }

  private end(socket: Socket): void {
    socket.end(() => socket.destroy())
  }

  private dial(): void {
    const { host, port } = this.options.address
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
    let reason = 'it closed the connection'
    this.socket = socket
    socket.setTimeout(PRIMARY_CONNECT_TIMEOUT_MS, () => {
      reason = `no connection after ${PRIMARY_CONNECT_TIMEOUT_MS} ms`
      socket.destroy()
    })
    socket.on('connect', () => {
      socket.setTimeout(0)
      this.onConnected()
    })
    // Nobody answers here, but what is not read would fill our kernel's buffer.
    socket.resume()
    // A primary never closes one direction alone: waiting for our writes to end could take for ever.
    socket.on('end', () => socket.destroy())
    socket.on('error', (error) => {
      reason = error.message
    })
    socket.on('close', () => this.onLost(reason))
  }

  private onConnected(): void {
    this.connected = true
    this.outage = false
    this.log('info', 'connected', `connected to the primary at ${this.where()}, ${this.queue.size} reports waited`)
    this.flush()
  }

  private onLost(reason: string): void {
    this.socket = undefined
    this.connected = false
    this.queue.settle(this.inFlight)
    // An end that we made ourselves loses nothing that the socket took.
    const recent = this.closed ? [] : this.recent.takeAll(this.nowMs())
    this.queue.restore([...recent, ...this.inFlight])
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
    this.retryTimer = setTimeout(() => this.dial(), PRIMARY_RETRY_MS)
  }

  /** Writes what waits, if the socket took what it was handed before. */
  private flush(): void {
    const { socket } = this
    if (socket === undefined || !this.connected || this.inFlight.length > 0) return
    const reports = this.queue.take(PRIMARY_IN_FLIGHT_MAX)
    if (reports.length === 0) return
    this.inFlight = reports
    const { workerId } = this.options
    const frames = reports.map(({ type, digest }) =>
      encodeFrame(encodeWorkerPrimaryMessage({ type, digest, workerId })),
    )
    socket.write(Buffer.concat(frames), (error) => {
      // A write that failed is a lost connection: `close` follows and puts the reports back.
      if (!error && this.inFlight === reports) this.onTaken(reports)
    })
  }

  private onTaken(reports: readonly QueuedReport[]): void {
    const nowMs = this.nowMs()
    this.inFlight = []
    this.queue.settle(reports)
    const digests: Uint8Array[] = []
    for (const report of reports) {
      if (report.type !== 'OurBatch') continue
      this.recent.add(report, nowMs)
      if (report.number >= this.reportedBelow) digests.push(report.digest)
    }
    this.reportedBelow = Math.max(this.reportedBelow, reports.at(-1)!.number + 1)
    this.flush()
    if (digests.length > 0) this.handlers.onReported(digests)
    if (this.wasFull && !this.queue.isFull) {
      this.wasFull = false
      this.handlers.onRoom()
    }
    if (this.closed && this.queue.size === 0 && this.socket !== undefined) this.end(this.socket)
  }

  private where(): string {
    return formatTcpAddress(this.options.address)
  }

  /** A primary that comes and goes many times a second must not fill the log. */
  private log(level: 'warn' | 'info', key: string, text: string): void {
    const suppressed = this.limiter.admit(key, Date.now())
    if (suppressed !== null) this.logger[level](suppressed === 0 ? text : `${text} (${suppressed} more such lines)`)
  }
}
