/**
 * Runs the primary: hands it one event after another, and carries out what each turn says, in the order of `turn.ts`.
 *
 * Many events are handled in one go of the event loop, for RUN_SLICE_MS at most: the writes of their turns become one
 * transaction with one flush, and main gets one post. There is one timer, for whatever comes next. While TURNS_WAITING_MAX
 * turns wait for the disk nothing is handled.
 */
import type { Counters } from '../../shared/memory/counters.js'
import type { PrimaryInput } from '../../shared/memory/dialogue/primary.js'
import type { Ed25519Keys } from './ed25519-keys.js'
import type { Inbox } from './inbox.js'
import { LOAD_PERIOD_MS, RUN_SLICE_MS, TIMER_MS_MAX, TURNS_WAITING_MAX } from './limits.js'
import type { Outbox } from './outbox.js'
import type { Primary, PrimaryBounds } from './primary.js'
import type { PrimaryStore } from './store/primary-store.js'
import type { Write } from './store/writes.js'
import type { Now, PrimaryEvent, Turn, WorkerRequest } from './turn.js'
import type { VerificationBudget } from './verification-budget.js'

export interface RunnerDependencies {
  readonly primary: Pick<Primary, 'bounds' | 'handle' | 'reopen' | 'start' | 'status' | 'waits'>
  readonly store: Pick<PrimaryStore, 'state' | 'turnsWaiting' | 'write'>
  /** Counts what it does. */
  readonly keys: Pick<Ed25519Keys, 'verified' | 'signed' | 'verifyMs' | 'signMs'>
  readonly budget: VerificationBudget
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly counters: Counters<'primary'>
  /** The primary does nothing any more, or has a bug. Called once. */
  readonly onEnd: (error: unknown) => void
}

export class Runner {
  private readonly dependencies: RunnerDependencies
  private wakeAtMs = Number.POSITIVE_INFINITY
  private timer: NodeJS.Timeout | undefined
  private loadTimer: NodeJS.Timeout | undefined
  private loadDueMs = 0
  /** Whom the primary waits for, as it was said last. */
  private saidWaits = ''
  /** Peers with a backlog, as the primary was told last. */
  private backlog: readonly number[]
  private isScheduled = false
  /** It goes on when a turn is on the disk. */
  private waitsForDisk = false
  /** Nothing is handled until the primary has begun anew from its store. */
  private isReopening = false
  private isOver = false

  constructor(dependencies: RunnerDependencies) {
    this.dependencies = dependencies
    this.backlog = dependencies.inbox.backlog
  }

  start(): void {
    const { counters, primary } = this.dependencies
    for (const [name, value] of Object.entries(primary.bounds)) counters.set(name as keyof PrimaryBounds, value)
    this.guarded(() => this.carryOut(this.dependencies.primary.start(nowOf(performance.now()))))
    this.loadDueMs = performance.now() + LOAD_PERIOD_MS
    this.loadTimer = setInterval(() => this.guarded(() => this.sayLoad()), LOAD_PERIOD_MS)
    this.schedule()
  }

  push(inputs: readonly PrimaryInput[]): void {
    if (this.isOver) return
    this.guarded(() => {
      for (const input of inputs) this.dependencies.inbox.push(input)
    })
    this.schedule()
  }

  /** Takes no more events. */
  end(): void {
    this.isOver = true
    clearTimeout(this.timer)
    clearInterval(this.loadTimer)
  }

  private schedule(): void {
    if (this.isScheduled || this.isOver) return
    this.isScheduled = true
    setImmediate(() => this.guarded(() => this.run()))
  }

  private run(): void {
    this.isScheduled = false
    const beganMs = performance.now()
    this.sayBacklog(beganMs)
    for (let nowMs = beganMs; !this.isOver && nowMs - beganMs < RUN_SLICE_MS; nowMs = performance.now()) {
      if (this.isHeld) break
      const input = this.dependencies.inbox.take(nowMs)
      if (input !== undefined) this.take(input, nowMs)
      else if (this.wakeAtMs <= nowMs) this.handle({ type: 'timer' }, nowMs)
      else break
    }
    if (!this.isOver) this.sayBacklog(performance.now())
    this.count()
    this.wait()
  }

  /** Too many turns wait for the disk. */
  private get isHeld(): boolean {
    return this.isReopening || this.dependencies.store.turnsWaiting >= TURNS_WAITING_MAX
  }

  /** One timer for all that is to come. */
  private wait(): void {
    clearTimeout(this.timer)
    if (this.isOver) return
    if (this.isHeld) {
      this.waitsForDisk = true
      return
    }
    const nowMs = performance.now()
    const waitMs = Math.min(this.wakeAtMs - nowMs, this.dependencies.inbox.waitMs(nowMs), TIMER_MS_MAX)
    if (waitMs <= 0) this.schedule()
    // A timer may come some part of a ms early, and a second one would have to follow it.
    else this.timer = setTimeout(() => this.schedule(), Math.ceil(waitMs))
  }

  private take(input: PrimaryInput, nowMs: number): void {
    const { budget, counters, keys, outbox } = this.dependencies
    if (input.type !== 'message') {
      const isBatch = input.type === 'own-batch' || input.type === 'others-batch'
      this.handle(input, nowMs, isBatch ? () => outbox.batchStored() : undefined)
      return
    }
    const { from } = input
    const before = keys.verified
    const { refusals } = this.handle(input, nowMs)
    outbox.took(from, input.bytes.length)
    const verifications = keys.verified - before
    if (verifications === 0 || !refusals.some((refused) => refused.from === from)) return
    budget.spend(from, verifications, nowMs)
    if (budget.waitMs(from, nowMs) > 0) counters.add('throttled')
  }

  private handle(event: PrimaryEvent, nowMs: number, onDurable?: () => void): Turn {
    const turn = this.dependencies.primary.handle(event, nowOf(nowMs))
    this.dependencies.counters.add('events')
    this.carryOut(turn, onDurable)
    return turn
  }

  private carryOut(turn: Turn, onDurable?: () => void): void {
    const { outbox, store } = this.dependencies
    const { notices, refusals, sends, stopped, wakeAtMs, workerRequests, writes } = turn
    this.wakeAtMs = wakeAtMs
    if (turn.reopens) this.isReopening = true
    outbox.send(sends.filter(({ afterDurable }) => !afterDurable))
    outbox.request(workerRequests.filter(promisesNothing))
    outbox.refuse(refusals)
    outbox.notice(notices)
    const sendsAfter = sends.filter(({ afterDurable }) => afterDurable)
    const requestsAfter = workerRequests.filter((request) => !promisesNothing(request))
    // Without writes it waits for those of the turns before: what is sent again may be of one of them.
    if (writes.length + sendsAfter.length + requestsAfter.length > 0 || onDurable !== undefined) {
      const isUrgent = sendsAfter.length + requestsAfter.length > 0 || !writes.every(canWait)
      const done = (): void => {
        outbox.send(sendsAfter)
        outbox.request(requestsAfter)
        onDurable?.()
        if (turn.reopens) this.reopen()
        if (!this.waitsForDisk) return
        this.waitsForDisk = false
        this.schedule()
      }
      store.write(writes, done, isUrgent)
    }
    if (stopped !== undefined) this.fail(stopped)
  }

  /** What the last turn has written is on the disk, and so is all before it: nothing was handled since. */
  private reopen(): void {
    this.guarded(() => {
      const { primary, store } = this.dependencies
      this.isReopening = false
      this.carryOut(primary.reopen(store.state(), nowOf(performance.now())))
      this.schedule()
    })
  }

  /** How late this timer is, which is how late the event loop was at most since the last one. */
  private sayLoad(): void {
    const nowMs = performance.now()
    const lagMs = Math.max(0, nowMs - this.loadDueMs)
    this.loadDueMs = nowMs + LOAD_PERIOD_MS
    if (!this.isReopening) this.handle({ type: 'load', lagMs }, nowMs)
    this.sayWaits()
    this.count()
    this.wait()
  }

  private sayBacklog(nowMs: number): void {
    const { backlog } = this.dependencies.inbox
    if (backlog === this.backlog || this.isReopening) return
    this.backlog = backlog
    this.handle({ type: 'backlog', peers: backlog }, nowMs)
  }

  private sayWaits(): void {
    const { outbox, primary } = this.dependencies
    const { waits } = primary
    const text = JSON.stringify(waits)
    if (text === this.saidWaits) return
    this.saidWaits = text
    outbox.notice([{ type: 'waits', ...waits }])
  }

  private count(): void {
    const { counters, inbox, keys, primary } = this.dependencies
    const { missingVotes, isHistoryGone, isRecovering, isSigningHeld, ...numbers } = primary.status
    for (const [name, value] of Object.entries(numbers)) counters.set(name as keyof typeof numbers, value)
    counters.set('missingVotes', missingVotes.length)
    counters.set('isRecovering', isRecovering ? 1 : 0)
    counters.set('isSigningHeld', isSigningHeld ? 1 : 0)
    counters.set('isHistoryGone', isHistoryGone ? 1 : 0)
    counters.set('inputsWaiting', inbox.size)
    for (const name of ['verified', 'verifyMs', 'signed', 'signMs'] as const) counters.set(name, keys[name])
  }

  private guarded(act: () => void): void {
    if (this.isOver) return
    try {
      act()
    } catch (error) {
      this.fail(error)
    }
  }

  private fail(error: unknown): void {
    this.end()
    this.dependencies.onEnd(error)
  }
}

/** Whether nobody waits for it to be on the disk: what was received, which others have as well, and what is held or done. */
function canWait({ type }: Write): boolean {
  switch (type) {
    case 'certificate':
    case 'payload':
    case 'payload-done':
    case 'own-batch':
    case 'own-batch-done':
    case 'collected':
    case 'payload-complete':
      return true
    default:
      return false
  }
}

/** What may be said before the turn is on the disk. */
function promisesNothing({ type }: WorkerRequest): boolean {
  return type === 'synchronize' || type === 'named' || type === 'unnamed'
}

function nowOf(ms: number): Now {
  return { ms, unixMs: Date.now() }
}
