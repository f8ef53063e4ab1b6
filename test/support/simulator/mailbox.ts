/**
 * What a simulated node is told and has not handled: a process that is stopped takes nothing, and one that goes on again
 * takes one thing after another, each of which costs some time. It says what the runner says of a backlog.
 */
import { BACKLOG_RECORDS } from '../../../src/threads/primary/limits.js'
import type { PrimaryEvent } from '../../../src/threads/primary/turn.js'
import type { VirtualClock } from './clock.js'

/** What a record costs to handle, in ms: a round has some ten of them. */
const RECORD_MS = 0.3

export class Mailbox {
  private readonly clock: VirtualClock
  private readonly handle: (event: PrimaryEvent) => void
  private waiting: PrimaryEvent[] = []
  private late: readonly number[] = []
  private isStopped = false
  private isTaking = false

  constructor(clock: VirtualClock, handle: (event: PrimaryEvent) => void) {
    this.clock = clock
    this.handle = handle
  }

  push(event: PrimaryEvent): void {
    if (!this.isStopped && !this.isTaking) this.handle(event)
    else this.waiting.push(event)
  }

  stop(): void {
    this.isStopped = true
  }

  goOn(): void {
    this.isStopped = false
    this.isTaking = true
    this.take()
  }

  /** Another run of the process, which knows nothing of it. */
  clear(): void {
    this.waiting = []
    this.late = []
  }

  private take(): void {
    if (this.isStopped) return
    this.sayBacklog()
    const event = this.waiting.shift()
    this.isTaking = event !== undefined
    if (event === undefined) return
    this.handle(event)
    this.clock.after(RECORD_MS, () => this.take())
  }

  private sayBacklog(): void {
    const counts = new Map<number, number>()
    for (const event of this.waiting) {
      if (event.type === 'message') counts.set(event.from, (counts.get(event.from) ?? 0) + 1)
    }
    const isLate = (peer: number, count: number): boolean =>
      count >= (this.late.includes(peer) ? BACKLOG_RECORDS / 2 : BACKLOG_RECORDS)
    const late = [...counts].filter(([peer, count]) => isLate(peer, count)).map(([peer]) => peer)
    if (late.length === this.late.length && late.every((peer) => this.late.includes(peer))) return
    this.late = late
    this.handle({ type: 'backlog', peers: late })
  }
}
