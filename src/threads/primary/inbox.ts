/**
 * What main has handed over and the primary has not handled: a queue for each authority, one of each in turn, so that no
 * peer waits for what another one sends. In the place of our own authority stands what our workers say.
 *
 * A peer's queue is bounded by its credits, which main keeps (PRIMARY_INBOUND_MESSAGES_MAX); that of our workers by the
 * calls that each of them may have under way.
 */
import { assert } from '../../shared/assert.js'
import { PRIMARY_INBOUND_BYTES_MAX, PRIMARY_INBOUND_MESSAGES_MAX } from '../../shared/constants.js'
import type { PrimaryInput } from '../../shared/memory/dialogue/primary.js'
import { RECORD_BYTES_MAX } from '../../shared/wire/primary/limits.js'
import type { AuthorityIndex } from './consensus/types.js'
import { BACKLOG_RECORDS } from './limits.js'
import type { VerificationBudget } from './verification-budget.js'

interface Queue {
  readonly inputs: PrimaryInput[]
  /** Of its messages. */
  messages: number
  bytes: number
}

export class Inbox {
  private readonly authority: AuthorityIndex
  private readonly budget: VerificationBudget
  private readonly queues: Queue[]
  /** Whose turn it is. */
  private next = 0
  /** Peers with a backlog: from BACKLOG_RECORDS on, until half of these are handled. */
  private late: readonly AuthorityIndex[] = []
  private waiting = 0

  constructor(authority: AuthorityIndex, authorities: number, budget: VerificationBudget) {
    this.authority = authority
    this.budget = budget
    this.queues = Array.from({ length: authorities }, () => ({ inputs: [], messages: 0, bytes: 0 }))
  }

  get size(): number {
    return this.waiting
  }

  /** Peers of which so much waits that it must be of rounds long past: another array whenever that has changed. */
  get backlog(): readonly AuthorityIndex[] {
    const isLate = ({ messages }: Queue, index: AuthorityIndex): boolean =>
      messages >= (this.late.includes(index) ? BACKLOG_RECORDS / 2 : BACKLOG_RECORDS)
    if (this.queues.some((queue, index) => isLate(queue, index) !== this.late.includes(index))) {
      this.late = this.queues.flatMap((queue, index) => (isLate(queue, index) ? [index] : []))
    }
    return this.late
  }

  push(input: PrimaryInput): void {
    const queue = this.queues[this.queueOf(input)]!
    queue.inputs.push(input)
    this.waiting += 1
    if (input.type !== 'message') return
    assert(queue.messages < PRIMARY_INBOUND_MESSAGES_MAX, 'a peer has credits for its messages')
    assert(queue.bytes < PRIMARY_INBOUND_BYTES_MAX, 'a peer has credits for its bytes')
    assert(input.bytes.length <= RECORD_BYTES_MAX, 'no record is larger')
    queue.messages += 1
    queue.bytes += input.bytes.length
  }

  /** The next one, of an authority that need not wait; `undefined` if there is none. */
  take(nowMs: number): PrimaryInput | undefined {
    const { length } = this.queues
    for (let step = 0; this.waiting > 0 && step < length; step += 1) {
      const index = (this.next + step) % length
      const queue = this.queues[index]!
      if (queue.inputs.length === 0 || this.budget.waitMs(index, nowMs) > 0) continue
      this.next = index + 1
      this.waiting -= 1
      const input = queue.inputs.shift()!
      if (input.type === 'message') {
        queue.messages -= 1
        queue.bytes -= input.bytes.length
      }
      return input
    }
    return undefined
  }

  /** How long it is until `take` has one, in ms: Infinity if nothing waits. */
  waitMs(nowMs: number): number {
    if (this.waiting === 0) return Number.POSITIVE_INFINITY
    const waits = this.queues.map(({ inputs }, index) =>
      inputs.length === 0 ? Number.POSITIVE_INFINITY : this.budget.waitMs(index, nowMs),
    )
    return Math.min(...waits)
  }

  private queueOf(input: PrimaryInput): AuthorityIndex {
    switch (input.type) {
      case 'message':
        return input.from
      case 'peer-connected':
      case 'peer-disconnected':
        return input.peer
      case 'own-batch':
      case 'others-batch':
      case 'worker-store':
        return this.authority
    }
  }
}
