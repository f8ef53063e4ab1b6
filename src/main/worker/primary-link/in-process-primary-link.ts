/**
 * A primary in this process: the messages of the TCP link, as objects.
 *
 * ```
 *  report ──▶ queue ──▶ being taken: calls in order, at most IN_PROCESS_CALLS_MAX ──resolved──▶ onReported
 * ```
 *
 * A report is delivered when the promise of its call resolves; only then may the store forget that the primary has to be
 * told. What was not delivered when the worker closes, or dies, is told again after the next start: at least once. A report
 * whose certificate has become stale when its turn comes is not handed over (`onStale`). A call that fails ends the worker,
 * since what the primary has missed cannot be known.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Committee } from '../../../shared/config/committee.js'
import { NarvalError } from '../../../shared/errors.js'
import type { BatchReport, PrimaryWorkerMessage } from '../../../shared/wire/primary-messages.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import { IN_PROCESS_CALLS_MAX, PRIMARY_CLOSE_GRACE_MS, PRIMARY_QUEUE_MAX } from './limits.js'
import { type PrimaryHandlers, PrimaryInbox } from './primary-inbox.js'
import type { PrimaryLink, PrimaryLinkHandlers, PrimaryReport } from './primary-link.js'
import { type QueuedReport, ReportQueue } from './report-queue.js'

export interface InProcessPrimaryOptions {
  /** Takes a worker's report. It counts as delivered when this returns, or when the promise that it returns resolves. */
  readonly onMessage: (message: BatchReport) => void | Promise<void>
  /** Takes what is thrown beside the primary's own code. */
  readonly supervisor?: Supervisor
  /** Reports that wait at most; PRIMARY_QUEUE_MAX if not given. */
  readonly queueMax?: number
  /** Calls that may be under way at a time; IN_PROCESS_CALLS_MAX if not given. */
  readonly callsMax?: number
}

/** The worker at the other end. */
export interface InProcessWorker {
  readonly committee: Committee
  /** Our authority's index. */
  readonly ownIndex: number
  readonly workerId: number
}

/** One for each worker of the authority. */
export class InProcessPrimaryLink implements PrimaryLink {
  private readonly options: InProcessPrimaryOptions
  private readonly queue: ReportQueue
  /** Calls that have not resolved yet, in the order in which they began. */
  private readonly calls = new Set<Promise<void>>()
  private end: { worker: InProcessWorker; inbox: PrimaryInbox; handlers: PrimaryLinkHandlers } | undefined
  private isScheduled = false
  private wasFull = false

  constructor(options: InProcessPrimaryOptions) {
    this.options = options
    this.queue = new ReportQueue(options.queueMax ?? PRIMARY_QUEUE_MAX, {
      isStale: (since) => this.end?.handlers.isStale(since) ?? false,
      onStale: (digests, wereDelivered) => this.end?.handlers.onStale(digests, wereDelivered),
    })
  }

  /** Connects the worker; called as it starts. Errors: `ERR_USAGE` if this serves a worker already. */
  async open(worker: InProcessWorker, handlers: PrimaryLinkHandlers & PrimaryHandlers): Promise<PrimaryLink> {
    if (this.end !== undefined) {
      throw new NarvalError(
        'ERR_USAGE',
        `this InProcessPrimaryLink serves worker ${this.end.worker.workerId}: make another one for worker ${worker.workerId}`,
      )
    }
    this.end = { worker, inbox: new PrimaryInbox(worker, {}, handlers), handlers }
    return this
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
    return this.end !== undefined
  }

  report(report: PrimaryReport): void {
    if (this.end === undefined) return
    this.queue.push(report)
    this.wasFull ||= this.queue.isFull
    this.schedule()
  }

  /** The primary's message to the worker; it goes nowhere while there is none, as over TCP. */
  send(message: PrimaryWorkerMessage): void {
    this.end?.inbox.takeMessage(message)
  }

  /** Begins no more calls, and waits a moment for those that have begun. */
  async close(): Promise<void> {
    const { end } = this
    if (end === undefined) return
    // What waits is handed over as far as the primary takes it within the grace period, as over TCP.
    const graceOver = new AbortController()
    const grace = sleep(PRIMARY_CLOSE_GRACE_MS, 'over' as const, { signal: graceOver.signal }).catch(
      () => 'over' as const,
    )
    while (this.end !== undefined && this.queue.size > 0) {
      this.pump()
      if (this.calls.size === 0) break
      if ((await Promise.race([grace, ...this.calls])) === 'over') break
    }
    graceOver.abort()
    this.end = undefined
  }

  /** The primary's code runs in a turn of its own, never within the stage that reports. */
  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    const { supervisor = unsupervised } = this.options
    const begin = supervisor.guard('reports to the primary', () => {
      this.isScheduled = false
      this.pump()
    })
    queueMicrotask(begin)
  }

  private pump(): void {
    const { callsMax = IN_PROCESS_CALLS_MAX } = this.options
    while (this.end !== undefined && this.calls.size < callsMax) {
      const [report] = this.queue.take(1)
      this.sayRoom()
      if (report === undefined) return
      const call = this.deliver(report).finally(() => {
        this.calls.delete(call)
        this.schedule()
      })
      const { supervisor = unsupervised } = this.options
      supervisor.watch('reports to the primary', call)
      this.calls.add(call)
    }
  }

  private async deliver(report: QueuedReport): Promise<void> {
    const { committee, workerId } = this.end!.worker
    const { isDelivered = false, sequence, type } = report
    const author = committee.authority(report.author).publicKey
    try {
      const digest = new Uint8Array(report.digest)
      await this.options.onMessage({ type, digest, workerId, author, sequence, isDelivered })
    } catch (error) {
      this.fail(report, error)
      return
    }
    this.queue.settle([report])
    const { end } = this
    // After the end the store is closing: the report is made again after the next start.
    if (end === undefined) return
    if (type === 'OurBatch') end.handlers.onReported([report.digest])
    this.sayRoom()
  }

  private sayRoom(): void {
    if (!this.wasFull || this.queue.isFull) return
    this.wasFull = false
    this.end?.handlers.onRoom()
  }

  private fail(report: QueuedReport, cause: unknown): void {
    const { end } = this
    this.end = undefined
    const reason = cause instanceof Error ? cause.message : String(cause)
    end?.handlers.onFailed(
      new NarvalError('ERR_PRIMARY_FAILED', `the primary in this process failed to take an ${report.type}: ${reason}`, {
        cause,
      }),
    )
  }
}
