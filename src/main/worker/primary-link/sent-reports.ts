/**
 * The reports that the primary's socket took, until it is certain enough that the primary has them. Pure.
 *
 * ```
 *             oldest                                                        newest
 *  forget ◀── acknowledged: told the store, kept for a while ┊ unacknowledged ◀── add
 *             └───────────────────── takeAll: the connection is lost ─────────┘
 * ```
 *
 * `acknowledge` says how many bytes of the connection have been acknowledged. Only then may the store forget that the
 * primary has to be told. An acknowledged report stays here for PRIMARY_RESEND_MS: the kernel that acknowledged it may
 * have lost it with the primary. When the connection is lost, all that is here is reported again; double reports are
 * harmless.
 */
import { Deque } from '../../lib/deque.js'
import { PRIMARY_RESEND_MAX, PRIMARY_RESEND_MS } from './limits.js'
import type { QueuedReport } from './report-queue.js'

interface Entry {
  readonly report: QueuedReport
  /** Bytes of the connection up to the end of this report. */
  readonly end: number
  /** When the socket took it, and then when it was acknowledged. */
  atMs: number
}

export class SentReports {
  private readonly unacknowledged = new Deque<Entry>()
  private readonly acknowledged = new Deque<Entry>()
  private bytes = 0

  /** Reports that are not acknowledged. */
  get unacknowledgedCount(): number {
    return this.unacknowledged.size
  }

  /** Bytes of the connection that the socket took. */
  get bytesTaken(): number {
    return this.bytes
  }

  /** The socket took these reports, each as a frame of so many bytes. */
  add(reports: readonly QueuedReport[], frameBytes: number, nowMs: number): void {
    for (const report of reports) {
      this.bytes += frameBytes
      this.unacknowledged.pushBack({ report, end: this.bytes, atMs: nowMs })
    }
    this.forget(nowMs)
  }

  /** So many bytes of the connection are acknowledged. Returns the reports that are so only now, in order. */
  acknowledge(bytes: number, nowMs: number): QueuedReport[] {
    return this.acknowledgeWhile(({ end }) => end <= bytes, nowMs)
  }

  /**
   * The same where nothing says what was acknowledged: what was taken PRIMARY_RESEND_MS ago, on a connection that stands;
   * and the oldest of more than PRIMARY_RESEND_MAX.
   */
  acknowledgeOld(nowMs: number): QueuedReport[] {
    return this.acknowledgeWhile(
      ({ atMs }) => nowMs - atMs >= PRIMARY_RESEND_MS || this.unacknowledged.size > PRIMARY_RESEND_MAX,
      nowMs,
    )
  }

  /**
   * The connection is lost. Returns what is to be reported again, in order: first what was acknowledged lately, then what
   * was not acknowledged; the first are marked as `delivered`. The next connection begins at byte 0.
   */
  takeAll(nowMs: number): QueuedReport[] {
    this.forget(nowMs)
    this.bytes = 0
    const acknowledged = drain(this.acknowledged).map((report) => ({ ...report, delivered: true }))
    return [...acknowledged, ...drain(this.unacknowledged)]
  }

  private acknowledgeWhile(isAcknowledged: (entry: Entry) => boolean, nowMs: number): QueuedReport[] {
    const reports: QueuedReport[] = []
    for (let entry = this.unacknowledged.peekFront(); entry !== undefined; entry = this.unacknowledged.peekFront()) {
      if (!isAcknowledged(entry)) break
      this.unacknowledged.popFront()
      entry.atMs = nowMs
      this.acknowledged.pushBack(entry)
      reports.push(entry.report)
    }
    this.forget(nowMs)
    return reports
  }

  private forget(nowMs: number): void {
    for (let entry = this.acknowledged.peekFront(); entry !== undefined; entry = this.acknowledged.peekFront()) {
      if (this.acknowledged.size <= PRIMARY_RESEND_MAX && nowMs - entry.atMs <= PRIMARY_RESEND_MS) return
      this.acknowledged.popFront()
    }
  }
}

function drain(entries: Deque<Entry>): QueuedReport[] {
  const reports: QueuedReport[] = []
  for (let entry = entries.popFront(); entry !== undefined; entry = entries.popFront()) reports.push(entry.report)
  return reports
}
