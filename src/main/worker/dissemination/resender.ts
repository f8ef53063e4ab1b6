/**
 * Resender: stored batches of ours that go out once more, under their old sequence, from slots of main's own.
 *
 * - At boot, those that the primary was not told of: disseminated, certified and reported, as fast as their reports have
 *   room: sealing pauses without it, and so does this.
 * - Those that another authority lacks, one at a time (Healer).
 * - Those whose ACKs have become too old before the primary was told, one at a time (Renewer).
 */
import { copyBytes } from '../../../shared/memory/copy-bytes.js'
import type { Arena } from '../../../shared/memory/slots.js'
import { checkBatch } from '../../../shared/wire/batch.js'
import { sleep } from '../../lib/sleep.js'
import type { SlotPool } from '../../lib/slot-pool.js'
import type { ProcessorClient } from '../../thread-host/processor-client.js'
import { REPORT_ROOM_POLL_MS } from '../limits.js'
import type { Dissemination } from './dissemination.js'

export interface ResenderDependencies {
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

export interface Wanted {
  readonly digest: Uint8Array
  /** Tell the primary when it is certified. */
  readonly report: boolean
  /** It was certified, counted and shown before. */
  readonly again: boolean
  /** Who alone is to be sent it; all if not given. */
  readonly peer?: number | undefined
}

export interface RecoveryHandlers {
  /** A batch of this sequence is about to be sent again; undefined: all were. */
  readonly onRecovering: (sequence: bigint | undefined) => void
  /** It cannot be sent again. */
  readonly onLost: (sequence: bigint) => void
}

export class Resender {
  private readonly dependencies: ResenderDependencies
  /** Resolves once all that an earlier run left is on its way. */
  readonly recovered: Promise<void>
  private settleRecovered!: () => void
  /** Who waits for a slot, in order: recovery, the Healer and the Renewer, one each. */
  private readonly waiting: (() => void)[] = []
  private closed = false

  constructor(dependencies: ResenderDependencies) {
    this.dependencies = dependencies
    this.recovered = new Promise((resolve) => {
      this.settleRecovered = resolve
    })
  }

  /**
   * Sends every batch again that the primary was not told of, in the order of their sequences: those of earlier runs,
   * which are below `before`. Returns how many that were.
   */
  async recover(before: bigint, handlers: RecoveryHandlers): Promise<number> {
    const { mayReport, processor } = this.dependencies
    let count = 0
    for (let from = 0n; ; ) {
      const found = await processor.ask({ type: 'unreported', from, before })
      for (const { digest, sequence } of found) {
        handlers.onRecovering(sequence)
        while (!mayReport() && !this.closed) await sleep(REPORT_ROOM_POLL_MS)
        const bytes = await this.resend({ digest, report: true, again: false })
        if (this.closed) return count
        if (bytes === 0) handlers.onLost(sequence)
        else count += 1
        from = sequence + 1n
      }
      if (found.length === 0) break
    }
    handlers.onRecovering(undefined)
    this.settleRecovered()
    return count
  }

  onSlotFree(slot: number): void {
    this.dependencies.slots.give(slot)
    this.waiting.shift()?.()
  }

  close(): void {
    this.closed = true
    for (const resolve of this.waiting.splice(0)) resolve()
  }

  /**
   * Sends a stored batch of ours to all peers, or to one of them, once more. Returns its bytes: 0 if it is not stored, or none of ours; 'held'
   * if it is on its way already.
   */
  async resend({ digest, report, again, peer }: Wanted): Promise<number | 'held'> {
    const { arena, dissemination, ownKey, processor, slots, workerId } = this.dependencies
    const stored = await processor.ask({ type: 'get', digest })
    if (stored === undefined || Buffer.compare(stored.author, ownKey) !== 0) return 0
    if (stored.bytes.length > arena.batchBytesMax) return 0
    const check = checkBatch(stored.bytes, { batchBytesMax: arena.batchBytesMax, workerId })
    if (!check.ok) return 0
    if (dissemination.has(check.sequence)) return 'held'
    let slot = slots.take()
    while (slot === undefined) {
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve)
      })
      if (this.closed) return 0
      slot = slots.take()
    }
    if (dissemination.has(check.sequence)) {
      this.onSlotFree(slot)
      return 'held'
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
      again,
      peer,
    })
    return stored.bytes.length
  }
}
