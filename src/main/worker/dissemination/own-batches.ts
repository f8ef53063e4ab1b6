/**
 * OwnBatches: the own batches that are under way, and the slots that they hold.
 *
 * ```
 *  add ──▶ under way ──▶ stored, certified, held by no peer: releaseIfDone ──▶ `release` to the quorum-waiter
 *                                                                                     │
 *  its slot is free ◀── remove ◀──────────────── `released` ◀─────────────────────────┘
 * ```
 *
 * The batch-maker's slots and those for sending again are counted apart.
 */
import type { MainToQuorumWaiter } from '../../../shared/memory/dialogue/quorum-waiter.js'
import { SLOTS_PLENTY_SHARE } from './limits.js'
import type { OwnBatch } from './own-batch.js'

export interface OwnBatchesOptions {
  /** Slots of the batch-maker's: those behind them are for sending again. */
  readonly ownSlots: number
  /** Both. */
  readonly slots: number
}

export interface OwnBatchesDependencies {
  readonly toQuorumWaiter: (message: MainToQuorumWaiter, isUrgent: boolean) => void
}

export class OwnBatches implements Iterable<OwnBatch> {
  private readonly options: OwnBatchesOptions
  private readonly dependencies: OwnBatchesDependencies
  /** By sequence: at most one per own slot. */
  private readonly batches = new Map<bigint, OwnBatch>()
  /** Slots that batches hold, of the batch-maker's and of those for sending again. */
  private makerSlotsHeld = 0
  /** The batch-maker's slots that are not free: those that batches hold, and those that are on their way back. */
  private makerSlotsOut = 0
  private resendSlotsHeld = 0

  constructor(options: OwnBatchesOptions, dependencies: OwnBatchesDependencies) {
    this.options = options
    this.dependencies = dependencies
  }

  /** Batches that are not certified yet. */
  get uncertified(): number {
    let count = 0
    for (const batch of this) if (!batch.certified) count += 1
    return count
  }

  /** The lowest sequence of the batches that are not certified yet, without those that were so before. */
  get lowestUncertified(): bigint | undefined {
    let lowest: bigint | undefined
    for (const { again, certified, sequence } of this) {
      if (!certified && !again && (lowest === undefined || sequence < lowest)) lowest = sequence
    }
    return lowest
  }

  /** When the oldest batch that is not certified was taken on; infinite if there is none. */
  get oldestUncertifiedMs(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const batch of this) if (!batch.certified) oldest = Math.min(oldest, batch.takenMs)
    return oldest
  }

  /** Of the batch-maker's slots, those that no batch holds. */
  get makerSlotsFree(): number {
    return this.options.ownSlots - this.makerSlotsHeld
  }

  /** Slots for sending again. */
  get resendSlots(): number {
    return this.options.slots - this.options.ownSlots
  }

  get resendSlotsFree(): number {
    return this.resendSlots - this.resendSlotsHeld
  }

  /** Whether it is in one of the batch-maker's slots. */
  isMakers(batch: OwnBatch): boolean {
    return batch.slot < this.options.ownSlots
  }

  add(batch: OwnBatch): void {
    this.batches.set(batch.sequence, batch)
    if (this.isMakers(batch)) {
      this.makerSlotsHeld += 1
      this.makerSlotsOut += 1
    } else this.resendSlotsHeld += 1
  }

  get(sequence: bigint): OwnBatch | undefined {
    return this.batches.get(sequence)
  }

  find(digest: Uint8Array): OwnBatch | undefined {
    for (const batch of this) {
      if (batch.digest !== undefined && Buffer.compare(batch.digest, digest) === 0) return batch
    }
    return undefined
  }

  /** If nobody needs the batch any more, the quorum-waiter is told to forget it. */
  releaseIfDone(batch: OwnBatch): void {
    if (!batch.isDone || batch.releasing) return
    batch.releasing = true
    if (this.isMakers(batch)) this.makerSlotsHeld -= 1
    else this.resendSlotsHeld -= 1
    const isShort = !this.isMakers(batch) || this.makerSlotsOut > this.options.ownSlots * SLOTS_PLENTY_SHARE
    this.dependencies.toQuorumWaiter({ kind: 'release', sequence: batch.sequence }, isShort)
  }

  remove(batch: OwnBatch): void {
    if (this.batches.delete(batch.sequence) && this.isMakers(batch)) this.makerSlotsOut -= 1
  }

  [Symbol.iterator](): Iterator<OwnBatch> {
    return this.batches.values()
  }
}
