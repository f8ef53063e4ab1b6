/**
 * Own reports that the primary's socket took a short while ago. That a kernel took bytes does not say that the primary
 * read them, and the primary never answers: when its connection is lost, these are reported again. (A write that waits
 * for room when the connection is reset has been seen to end without an error.) What a primary left unread for longer
 * is lost with it: the reference's protocol has no way to tell. Pure.
 */
import { PRIMARY_RESEND_MAX, PRIMARY_RESEND_MS } from '../../../shared/constants.js'
import { Deque } from '../../lib/deque.js'
import type { QueuedReport } from './report-queue.js'

export class ResendWindow {
  private readonly entries = new Deque<{ readonly report: QueuedReport; readonly takenMs: number }>()

  add(report: QueuedReport, nowMs: number): void {
    this.forgetOld(nowMs)
    if (this.entries.size === PRIMARY_RESEND_MAX) this.entries.popFront()
    this.entries.pushBack({ report, takenMs: nowMs })
  }

  /** What is to be reported again now that the connection is lost, in order. The window is empty then. */
  takeAll(nowMs: number): QueuedReport[] {
    this.forgetOld(nowMs)
    const reports: QueuedReport[] = []
    for (let entry = this.entries.popFront(); entry !== undefined; entry = this.entries.popFront()) {
      reports.push(entry.report)
    }
    return reports
  }

  private forgetOld(nowMs: number): void {
    for (let entry = this.entries.peekFront(); entry !== undefined; entry = this.entries.peekFront()) {
      if (nowMs - entry.takenMs <= PRIMARY_RESEND_MS) return
      this.entries.popFront()
    }
  }
}
