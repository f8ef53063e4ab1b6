/**
 * The primary's end of the link to one of its workers in another process, from the worker's `open` to the end of the
 * connection. To the primary it is a worker like one in this process (`OrderedWorker`).
 *
 * ```
 *  open ──▶ attached to the WorkerLink ──▶ opened ── … ──▶ the connection ends ──▶ detached
 *
 *  report     ──▶ WorkerLink.onMessage ──in the primary's store──▶ taken
 *  committed  ◀── the log               applied ──▶ the log is read on
 *  read       ◀── a reader of commits   found   ──▶ its bytes
 * ```
 */
import type { Committee } from '../../shared/config/committee.js'
import { LINK_DIGESTS_MAX } from '../../shared/wire/link/limits.js'
import {
  encodeFromPrimary,
  type FromPrimary,
  type FromWorker,
  LINK_VERSION,
  type LinkOpen,
  type LinkReport,
} from '../../shared/wire/link/messages.js'
import { Deque } from '../lib/deque.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { CommitPlace, OrderedWorker, OrderingLink } from '../worker/primary-link/ordering-primary.js'
import { LINK_COMMITTED_HELD, LINK_READS_MAX, LINK_REPORTS_MAX } from './limits.js'
import type { LinkChannel, LinkProblem } from './link-channel.js'
import type { LinkState } from './link-state.js'
import { type ReadBatch, type ReadFor, ReadsWaiting, type WaitingRead } from './reads-waiting.js'

/** A `WorkerLink` is one. */
export interface AttachingLink {
  attach(worker: OrderedWorker): OrderingLink
  readonly onMessage: (report: {
    readonly type: 'OurBatch' | 'OthersBatch'
    readonly digest: Uint8Array
    readonly workerId: number
    readonly author: Uint8Array
    readonly sequence: bigint
    readonly isDelivered: boolean
  }) => Promise<void>
}

export interface WorkerSessionDependencies {
  readonly committee: Committee
  readonly channel: Pick<LinkChannel, 'isClosed' | 'queuedBytes' | 'send'>
  readonly link: AttachingLink
  readonly supervisor: Supervisor
}

export class WorkerSession implements OrderedWorker {
  readonly workerId: number
  readonly storeId: Uint8Array
  readonly applied: number
  readonly isSettled: boolean
  readonly supervisor: Supervisor
  private readonly dependencies: WorkerSessionDependencies
  private ordering: OrderingLink | undefined
  private isOver = false
  private saidFull = false
  /** What is to be said once `opened` is: a write of commits, and what the primary asks in the few ms until then. */
  private held: FromPrimary[] | undefined = []
  /** Reports that are not in the primary's store yet. */
  private underWay = 0
  /** Reports that are, and of which the worker was not told yet. */
  private taken = 0
  private isTakenScheduled = false
  /** `committed` messages that the worker's store does not have yet, in order. */
  private readonly committing = new Deque<() => void>()
  /** Reads that were asked, by their numbers; and those that wait for their turn. */
  private readonly reads = new Map<number, WaitingRead['answer']>()
  private readonly readsWaiting = new ReadsWaiting()
  private nextRead = 0
  private kept = 0
  private readonly sinceMs = Date.now()

  constructor({ applied, isSettled, storeId, workerId }: LinkOpen, dependencies: WorkerSessionDependencies) {
    this.workerId = workerId
    this.storeId = storeId
    this.applied = applied
    this.isSettled = isSettled
    this.supervisor = dependencies.supervisor
    this.dependencies = dependencies
  }

  /** From now on the worker is the primary's. No other one is attached to the link. */
  attach(): void {
    const { link, supervisor } = this.dependencies
    const ordering = link.attach(this)
    this.ordering = ordering
    supervisor.watch('the link to a worker', this.open(ordering))
    supervisor.watch(
      'the link to a worker',
      ordering.replayed.then(() => this.say({ type: 'replayed' })),
    )
  }

  /** What the primary and its log say meanwhile comes behind `opened`. */
  private async open({ isFull, sequencesAfter }: OrderingLink): Promise<void> {
    const opened = { type: 'opened', version: LINK_VERSION, isFull, sequencesAfter: await sequencesAfter } as const
    this.saidFull = isFull
    const { held } = this
    this.held = undefined
    for (const message of [opened, ...(held ?? [])]) this.say(message)
  }

  /** The connection is gone. Resolves when another session may be attached. */
  async end(): Promise<void> {
    this.isOver = true
    // Before what waits is let go: what is not in the worker's store must not count as if it were.
    const closed = this.ordering?.close()
    for (let done = this.committing.popFront(); done !== undefined; done = this.committing.popFront()) done()
    for (const answer of this.reads.values()) answer(undefined)
    this.reads.clear()
    for (let one = this.readsWaiting.next(); one !== undefined; one = this.readsWaiting.next()) one.answer(undefined)
    await closed
  }

  take(message: FromWorker): LinkProblem | undefined {
    switch (message.type) {
      case 'open':
        return unexpected('a second open')
      case 'ping':
        return undefined
      case 'report':
        return this.takeReport(message)
      case 'applied':
        return this.takeApplied(message.count)
      case 'found': {
        const author = this.dependencies.committee.authority(message.author).publicKey
        return this.answer(message.id, { author, bytes: message.bytes })
      }
      case 'absent':
        this.kept = Math.max(this.kept, message.firstKept)
        return this.answer(message.id, undefined)
    }
  }

  /** Now and then: whether the worker is to seal no more, or may again. */
  tick(): void {
    const isFull = this.ordering?.isFull ?? false
    if (isFull === this.saidFull) return
    this.saidFull = isFull
    this.say({ type: 'room', isFull })
  }

  /**
   * A stored batch; undefined if the worker does not have it, or the link ends before it is here. Rejects with `ERR_BUSY` if
   * as many reads wait as may.
   */
  async read(digest: Uint8Array, by: ReadFor, signal?: AbortSignal): Promise<ReadBatch | undefined> {
    if (this.isOver) return undefined
    return new Promise((answer) => {
      this.readsWaiting.add({ digest, by, signal, answer })
      this.readNext()
    })
  }

  /** The first commit whose batches are kept, as far as the worker has said: it does where it lacks a batch. */
  get firstKept(): number {
    return this.kept
  }

  get state(): LinkState {
    const { queuedBytes } = this.dependencies.channel
    return { isConnected: true, sinceMs: this.sinceMs, reports: this.underWay, queuedBytes }
  }

  async committed(digests: readonly Uint8Array[], place?: CommitPlace): Promise<void> {
    // What is told of a commit fits in one (limits.ts); of what was answered there may be more.
    for (let from = 0; from === 0 || from < digests.length; from += LINK_DIGESTS_MAX) {
      if (this.isOver) return
      const applied = new Promise<void>((resolve) => this.committing.pushBack(resolve))
      this.say({ type: 'committed', digests: digests.slice(from, from + LINK_DIGESTS_MAX), place })
      await applied
    }
  }

  named(digests: readonly Uint8Array[], isAnew: boolean): void {
    for (let from = 0; from === 0 || from < digests.length; from += LINK_DIGESTS_MAX) {
      this.say({ type: 'named', isAnew: isAnew && from === 0, digests: digests.slice(from, from + LINK_DIGESTS_MAX) })
    }
  }

  unnamed(digests: readonly Uint8Array[]): void {
    for (let from = 0; from < digests.length; from += LINK_DIGESTS_MAX) {
      this.say({ type: 'unnamed', digests: digests.slice(from, from + LINK_DIGESTS_MAX) })
    }
  }

  onCommits(): void {
    this.say({ type: 'commits' })
  }

  onGap(): void {
    this.say({ type: 'gap' })
  }

  synchronize(digests: readonly Uint8Array[], author: number): void {
    for (let from = 0; from < digests.length; from += LINK_DIGESTS_MAX) {
      this.say({ type: 'synchronize', author, digests: digests.slice(from, from + LINK_DIGESTS_MAX) })
    }
  }

  private say(message: FromPrimary): void {
    if (this.held !== undefined) this.held.push(message)
    else if (!this.isOver) this.dependencies.channel.send(encodeFromPrimary(message))
  }

  private takeReport({ author, digest, isDelivered, isOwn, sequence }: LinkReport): LinkProblem | undefined {
    if (this.underWay + this.taken >= LINK_REPORTS_MAX) {
      return unexpected(`more than ${LINK_REPORTS_MAX} reports at a time`)
    }
    const { committee, link, supervisor } = this.dependencies
    this.underWay += 1
    const delivered = link.onMessage({
      type: isOwn ? 'OurBatch' : 'OthersBatch',
      digest,
      workerId: this.workerId,
      author: committee.authority(author).publicKey,
      sequence,
      isDelivered,
    })
    supervisor.watch(
      'a report of a worker',
      delivered.then(() => this.onDelivered()),
    )
    return undefined
  }

  private onDelivered(): void {
    this.underWay -= 1
    this.taken += 1
    this.sayTakenLater()
  }

  /** All of a turn of the event loop at once; and not while the worker's store lags behind. */
  private sayTakenLater(): void {
    if (this.isTakenScheduled || this.taken === 0 || this.committing.size > LINK_COMMITTED_HELD) return
    this.isTakenScheduled = true
    const say = this.supervisor.guard('the link to a worker', () => {
      this.isTakenScheduled = false
      const count = this.taken
      this.taken = 0
      if (count > 0) this.say({ type: 'taken', count })
    })
    setImmediate(say)
  }

  private takeApplied(count: number): LinkProblem | undefined {
    if (count > this.committing.size) {
      return unexpected(`${count} applied, of ${this.committing.size} that were committed`)
    }
    for (let left = count; left > 0; left -= 1) this.committing.popFront()!()
    this.sayTakenLater()
    return undefined
  }

  private readNext(): void {
    while (this.reads.size < LINK_READS_MAX) {
      const next = this.readsWaiting.next()
      if (next === undefined) return
      const id = this.nextRead
      this.nextRead = (id + 1) % 2 ** 32
      this.reads.set(id, next.answer)
      this.say({ type: 'read', id, digest: next.digest })
    }
  }

  private answer(id: number, batch: ReadBatch | undefined): LinkProblem | undefined {
    const answer = this.reads.get(id)
    if (answer === undefined) return unexpected(`an answer to a question ${id} that was not asked`)
    this.reads.delete(id)
    answer(batch)
    this.readNext()
    return undefined
  }
}

export function unexpected(detail: string): LinkProblem {
  return { reason: 'link-unexpected', detail }
}

/** A session whose worker is none of ours, or of another committee. */
export function refusalOf(
  open: LinkOpen,
  expected: { readonly workerId: number; readonly committeeDigest: Uint8Array },
): LinkProblem | undefined {
  if (open.workerId !== expected.workerId) {
    return {
      reason: 'link-wrong-worker',
      detail: `it says it is worker ${open.workerId}, and has the key of worker ${expected.workerId}`,
    }
  }
  if (Buffer.compare(open.committeeDigest, expected.committeeDigest) === 0) return undefined
  return {
    reason: 'link-wrong-committee',
    detail: 'the worker has another committee file than its primary: compare them',
  }
}
