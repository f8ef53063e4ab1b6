/**
 * The reports that wait for the primary, first in, first out. Pure.
 *
 * ```
 *  push ─▶ own     ─┐ by number         take              settle
 *  push ─▶ others  ─┴──────────▶ waiting ──▶ in flight ──▶ gone
 *            │                      ▲  │                    │
 *            ▼ oldest, when full    │  ▼ stale              │
 *                                   └─────── restore ───────┘
 * ```
 *
 * A report of an own batch that has waited so long that its certificate is stale is not taken: it is handed to `onStale`.
 *
 * Own and others' reports wait in a deque each, so that the oldest report of others is found at once. Each report gets
 * a number at `push`, by which the two are merged. `size` may exceed `max` only by what cannot be refused: own reports,
 * bounded by the own slots, and restored ones, bounded by PRIMARY_IN_FLIGHT_MAX and PRIMARY_RESEND_MAX.
 *
 * Own reports are never dropped, so the queue is full when `max` of them are here. Others' reports fill the room that
 * is left, and the oldest are dropped when an own one needs it: others must not be able to stop us from sealing.
 */
import assert from 'node:assert'
import { Deque } from '../../lib/deque.js'
import type { PrimaryLinkHandlers, PrimaryReport } from './primary-link.js'

/** What becomes of reports that have waited too long; without it none is stale. */
export type Staleness = Pick<PrimaryLinkHandlers, 'isStale' | 'onStale'>

export interface QueuedReport extends PrimaryReport {
  /** Its place among all reports. */
  readonly number: number
  /** It was delivered once, shortly before a connection was lost. */
  readonly delivered?: boolean
}

export class ReportQueue {
  private readonly max: number
  private readonly staleness: Staleness | undefined
  private readonly own = new Deque<QueuedReport>()
  private readonly others = new Deque<QueuedReport>()
  private nextNumber = 0
  private inFlight = 0
  private ownInFlight = 0
  private droppedCount = 0

  constructor(max: number, staleness?: Staleness) {
    this.max = max
    this.staleness = staleness
  }

  get waiting(): number {
    return this.own.size + this.others.size
  }

  /** Waiting and in flight. */
  get size(): number {
    return this.waiting + this.inFlight
  }

  /** There are as many own reports as there may be: sealing should pause. */
  get isFull(): boolean {
    return this.own.size + this.ownInFlight >= this.max
  }

  get dropped(): number {
    return this.droppedCount
  }

  push(report: PrimaryReport): void {
    const { type, digest } = report
    if (this.size >= this.max) {
      const oldest = this.others.popFront()
      if (oldest !== undefined) this.droppedCount += 1
      else if (type === 'OthersBatch') {
        this.droppedCount += 1
        return
      }
    }
    this.dequeOf(type).pushBack({ ...report, digest: new Uint8Array(digest), number: this.nextNumber })
    this.nextNumber += 1
  }

  /** The oldest `count` reports that are not stale, or all; they are in flight until settled. */
  take(count: number): QueuedReport[] {
    const taken: QueuedReport[] = []
    const stale: Uint8Array[] = []
    const deliveredAndStale: Uint8Array[] = []
    while (taken.length < count) {
      const report = this.oldest()?.popFront()
      if (report === undefined) break
      const isStale = report.since !== undefined && this.staleness?.isStale(report.since)
      if (!isStale) taken.push(report)
      else if (report.delivered) deliveredAndStale.push(report.digest)
      else stale.push(report.digest)
    }
    if (stale.length > 0) this.staleness?.onStale(stale, false)
    if (deliveredAndStale.length > 0) this.staleness?.onStale(deliveredAndStale, true)
    this.inFlight += taken.length
    this.ownInFlight += countOwn(taken)
    return taken
  }

  /** These reports, which were taken, are not in flight any more. */
  settle(reports: readonly QueuedReport[]): void {
    this.inFlight -= reports.length
    this.ownInFlight -= countOwn(reports)
    assert(this.inFlight >= this.ownInFlight && this.ownInFlight >= 0)
  }

  /** Puts reports that were taken and settled back to the front: in their order, all older than what waits. */
  restore(reports: readonly QueuedReport[]): void {
    for (let index = reports.length - 1; index >= 0; index -= 1) {
      const report = reports[index]!
      this.dequeOf(report.type).pushFront(report)
    }
  }

  private dequeOf(type: PrimaryReport['type']): Deque<QueuedReport> {
    return type === 'OurBatch' ? this.own : this.others
  }

  /** The deque with the oldest report in front. */
  private oldest(): Deque<QueuedReport> | undefined {
    const own = this.own.peekFront()
    const other = this.others.peekFront()
    if (own === undefined) return other === undefined ? undefined : this.others
    return other === undefined || own.number < other.number ? this.own : this.others
  }
}

function countOwn(reports: readonly QueuedReport[]): number {
  let count = 0
  for (const { type } of reports) count += Number(type === 'OurBatch')
  return count
}
