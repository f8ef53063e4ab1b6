/**
 * Resender: stored batches of ours that go out once more, under their old sequence, from slots of main's own.
 *
 * - At boot, those that the primary was not told of: disseminated, certified and reported, as fast as their reports have
 *   room: sealing pauses without it, and so does this.
 * - When another authority's primary asks for them (Synchronize for our key): pushed to the other workers again, each
 *   digest at most once in PUSH_AGAIN_INTERVAL_MS. Only after the first, or a batch that is to be reported could be on
 *   its way as one that is not.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { PUSH_AGAIN_INTERVAL_MS, PUSH_AGAIN_QUEUE_MAX, REPORT_ROOM_POLL_MS } from '../../../shared/constants.js'
import { copyBytes } from '../../../shared/memory/copy-bytes.js'
import type { Arena } from '../../../shared/memory/slots.js'
import { checkBatch } from '../../../shared/wire/batch.js'
import { digestKey } from '../../../shared/wire/digest-key.js'
import type { SlotPool } from '../../lib/slot-pool.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import type { ProcessorClient } from '../../thread-host/processor-client.js'
import type { Dissemination } from './dissemination.js'

export interface ResenderDependencies {
  /** Takes the failure of what nobody waits for. */
  readonly supervisor?: Supervisor
  readonly arena: Arena
  readonly slots: SlotPool
  readonly processor: ProcessorClient
  readonly dissemination: Dissemination
  readonly workerId: number
  /** Our public key: only our own batches are sent by us. */
  readonly ownKey: Uint8Array
  readonly nowMs: () => number
  /** Whether the primary's queue takes more reports of own batches. */
  readonly mayReport: () => boolean
}

interface Wanted {
  readonly digest: Uint8Array
  readonly report: boolean
}

export class Resender {
  private readonly dependencies: ResenderDependencies
  private readonly watch: Supervisor['watch']
  /** To be pushed at others' request; at most PUSH_AGAIN_QUEUE_MAX. */
  private readonly queue: Wanted[] = []
  /** When each digest was last pushed, the oldest first; at most PUSH_AGAIN_QUEUE_MAX. */
  private readonly pushedMs = new Map<string, number>()
  private slotFree: (() => void) | undefined
  private recovered = false
  private draining = false
  private closed = false

  constructor(dependencies: ResenderDependencies) {
    this.dependencies = dependencies
    this.watch = (dependencies.supervisor ?? unsupervised).watch
  }

  /** Sends every batch again that the primary was not told of. Returns how many that were. */
  async recover(): Promise<number> {
    const { mayReport, processor } = this.dependencies
    let after: Uint8Array | undefined
    let count = 0
    do {
      const digests = await processor.ask({ type: 'unreported', after })
      for (const digest of digests) {
        while (!mayReport() && !this.closed) await sleep(REPORT_ROOM_POLL_MS)
        if (await this.resend({ digest, report: true })) count += 1
        if (this.closed) return count
      }
      after = digests.at(-1)
    } while (after !== undefined)
    this.recovered = true
    this.watch('sending again', this.drain())
    return count
  }

  /** Another authority lacks these batches of ours. */
  pushAgain(digests: readonly Uint8Array[]): void {
    const now = this.dependencies.nowMs()
    for (const digest of digests) {
      const key = digestKey(digest)
      const last = this.pushedMs.get(key)
      if (last !== undefined && now - last < PUSH_AGAIN_INTERVAL_MS) continue
      if (this.queue.length >= PUSH_AGAIN_QUEUE_MAX) return
      this.pushedMs.delete(key)
      this.pushedMs.set(key, now)
      if (this.pushedMs.size > PUSH_AGAIN_QUEUE_MAX) this.pushedMs.delete(this.pushedMs.keys().next().value!)
      this.queue.push({ digest, report: false })
    }
    this.watch('sending again', this.drain())
  }

  onSlotFree(slot: number): void {
    this.dependencies.slots.give(slot)
    const { slotFree } = this
    this.slotFree = undefined
    slotFree?.()
  }

  close(): void {
    this.closed = true
    this.queue.length = 0
    this.slotFree?.()
  }

  private async drain(): Promise<void> {
    if (this.draining || !this.recovered) return
    this.draining = true
    try {
      for (let wanted = this.queue.shift(); wanted !== undefined && !this.closed; wanted = this.queue.shift()) {
        await this.resend(wanted)
      }
    } catch (error) {
      // The store closes under us.
      if (!this.closed) throw error
    } finally {
      this.draining = false
    }
  }

  private async resend({ digest, report }: Wanted): Promise<boolean> {
    const { arena, dissemination, ownKey, processor, slots, workerId } = this.dependencies
    const stored = await processor.ask({ type: 'get', digest })
    if (stored === undefined || Buffer.compare(stored.author, ownKey) !== 0) return false
    if (stored.bytes.length > arena.batchBytesMax) return false
    const check = checkBatch(stored.bytes, { batchBytesMax: arena.batchBytesMax, workerId })
    if (!check.ok || dissemination.has(check.sequence)) return false
    let slot = slots.take()
    while (slot === undefined) {
      await new Promise<void>((resolve) => {
        this.slotFree = resolve
      })
      if (this.closed) return false
      slot = slots.take()
    }
    if (dissemination.has(check.sequence)) {
      this.onSlotFree(slot)
      return false
    }
    copyBytes(stored.bytes, arena.batch(slot, stored.bytes.length), 0)
    dissemination.resend({
      slot,
      sequence: check.sequence,
      byteLength: stored.bytes.length,
      transactions: check.count,
      transactionBytes: check.transactionBytes,
      digest,
      report,
    })
    return true
  }
}
