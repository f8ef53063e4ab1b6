/**
 * BatchMaker: takes runs of the clients' frames, packs them into the slot it fills, and seals it.
 *
 * In: whole frames (u32 BE length, transaction), from any number of connections; free slots from main.
 * Out: sealed slots to main, by size (the next transaction would not fit), `maxBatchDelayMs` after the first one, or
 * earlier: when all batches before are certified, a transaction has nothing to wait for (`early-seals.ts`).
 *
 * A run of frames is scanned once and copied once, with one `set`. Nothing is allocated per transaction.
 *
 * Source: asonnino/narwhal worker/src/batch_maker.rs.
 */

import assert from 'node:assert'
import { BATCH_HEADER_BYTES, SEQUENCE_RANGE_LOW, TRANSACTION_PREFIX_BYTES } from '../../shared/constants.js'
import { copyBytes } from '../../shared/memory/copy-bytes.js'
import type { Counters } from '../../shared/memory/counters.js'
import type { BatchMakerOptions, BatchMakerToMain, MainToBatchMaker } from '../../shared/memory/dialogue/batch-maker.js'
import type { Arena } from '../../shared/memory/slots.js'
import { transactionBytesMax, writeBatchHeader } from '../../shared/wire/batch.js'
import { readUint32Be } from '../../shared/wire/uint32.js'
import { EarlySeals } from './early-seals.js'

export interface BatchMakerDependencies {
  readonly arena: Arena
  readonly counters: Counters<'batch-maker'>
  /** Publishes to main and rings. */
  readonly send: (message: BatchMakerToMain) => void
}

/** Why `take` stopped before the end of what it was given. */
export type TakeStop =
  /** It did not: every byte was taken. */
  | 'none'
  /** What is left is the beginning of a frame. */
  | 'partial'
  /** No free slot, or no sequence: come back when a slot is free. */
  | 'blocked'
  | 'transaction-empty'
  | 'transaction-too-large'

export class BatchMaker {
  /** Bytes of the largest transaction: what a batch of that one transaction can hold. */
  readonly transactionBytesMax: number
  /** Why the last `take` stopped. */
  stop: TakeStop = 'none'

  private readonly options: BatchMakerOptions
  private readonly arena: Arena
  private readonly counters: Counters<'batch-maker'>
  private readonly send: (message: BatchMakerToMain) => void

  private readonly freeSlots: number[] = []
  private slot = -1
  private bytes: Uint8Array = new Uint8Array(0)
  private length = 0
  private transactions = 0
  private timer: NodeJS.Timeout | undefined
  private readonly sealByDelay = (): void => this.seal('batchesSealedByDelay')
  private readonly earlySeals = new EarlySeals({ nowMs: () => performance.now() })
  /** Set while the end of this turn of the event loop is waited for: what comes in it goes into the same batch. */
  private turnEnd: NodeJS.Immediate | undefined
  private readonly sealByIdleness = (): void => {
    this.turnEnd = undefined
    if (this.transactions > 0 && this.earlySeals.take(this.length)) this.seal('batchesSealedByIdleness')
  }

  private sequence = 0n
  private rangeEnd = 0n
  private nextRange: { start: bigint; end: bigint } | undefined
  private rangeAsked = false

  constructor(options: BatchMakerOptions, dependencies: BatchMakerDependencies) {
    this.options = options
    this.arena = dependencies.arena
    this.counters = dependencies.counters
    this.send = dependencies.send
    this.transactionBytesMax = transactionBytesMax(options.batchBytesMax)
  }

  /** A message of main's; true if it may let a blocked connection go on. */
  handle(message: Exclude<MainToBatchMaker, { kind: 'close' }>): boolean {
    if (message.kind === 'slot') {
      this.freeSlots.push(message.slot)
      return true
    }
    if (message.kind === 'all-certified') {
      this.earlySeals.onAllCertified(message.through)
      this.considerEarly()
      return false
    }
    this.rangeAsked = false
    if (this.sequence === this.rangeEnd) {
      this.sequence = message.start
      this.rangeEnd = message.end
    } else {
      this.nextRange = { start: message.start, end: message.end }
    }
    return true
  }

  /**
   * Takes the whole frames at the front of `bytes[start, end)` and returns how many bytes that were; `stop` says why
   * it took no more.
   */
  take(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    while (at < end) {
      if (this.slot === -1 && !this.open()) {
        this.stop = 'blocked'
        return at - start
      }
      const room = this.options.batchBytesMax - this.length
      const runEnd = this.scan(bytes, at, end, room)
      if (runEnd > at) this.append(bytes, at, runEnd)
      at = runEnd
      if (this.scanStop === 'full') {
        this.seal('batchesSealedBySize')
        continue
      }
      this.stop = this.scanStop
      return at - start
    }
    this.stop = 'none'
    return at - start
  }

  /** Seals what there is, if anything. */
  flush(): void {
    if (this.transactions > 0) this.seal('batchesSealedByDelay')
  }

  private scanStop: TakeStop | 'full' = 'none'
  private scanCount = 0

  /** Finds the end of the longest run of whole frames from `at` that fits in `room` bytes. */
  private scan(bytes: Uint8Array, at: number, end: number, room: number): number {
    const transactionBytesMax = this.transactionBytesMax
    const roomEnd = at + room
    let count = 0
    let p = at
    let stop: TakeStop | 'full' = 'none'
    while (p < end) {
      if (p + TRANSACTION_PREFIX_BYTES > end) {
        stop = 'partial'
        break
      }
      const length = readUint32Be(bytes, p)
      if (length === 0) {
        stop = 'transaction-empty'
        break
      }
      if (length > transactionBytesMax) {
        stop = 'transaction-too-large'
        break
      }
      const next = p + TRANSACTION_PREFIX_BYTES + length
      if (next > end) {
        stop = 'partial'
        break
      }
      if (next > roomEnd) {
        stop = 'full'
        break
      }
      p = next
      count += 1
    }
    this.scanStop = stop
    this.scanCount = count
    return p
  }

  private append(bytes: Uint8Array, start: number, end: number): void {
    if (this.transactions === 0) this.timer = setTimeout(this.sealByDelay, this.options.maxBatchDelayMs)
    copyBytes(bytes.subarray(start, end), this.bytes, this.length)
    this.length += end - start
    this.transactions += this.scanCount
    this.considerEarly()
  }

  private considerEarly(): void {
    if (this.turnEnd !== undefined || this.transactions === 0 || !this.earlySeals.isIdle) return
    this.turnEnd = setImmediate(this.sealByIdleness)
  }

  private open(): boolean {
    if (this.sequence === this.rangeEnd) {
      if (this.nextRange === undefined) return false
      this.sequence = this.nextRange.start
      this.rangeEnd = this.nextRange.end
      this.nextRange = undefined
    }
    const slot = this.freeSlots.shift()
    if (slot === undefined) return false
    this.slot = slot
    this.bytes = this.arena.batch(slot)
    this.length = BATCH_HEADER_BYTES
    this.transactions = 0
    return true
  }

  private seal(why: 'batchesSealedBySize' | 'batchesSealedByDelay' | 'batchesSealedByIdleness'): void {
    assert(this.slot !== -1 && this.transactions > 0, 'a batch is never sealed empty')
    clearTimeout(this.timer)
    const sequence = this.sequence
    this.sequence += 1n
    const bodyBytes = this.length - BATCH_HEADER_BYTES
    writeBatchHeader(this.bytes, {
      workerId: this.options.workerId,
      count: this.transactions,
      bodyBytes,
      sequence,
    })
    const transactionBytes = bodyBytes - this.transactions * TRANSACTION_PREFIX_BYTES
    this.counters.add('transactions', this.transactions)
    this.counters.add('transactionBytes', transactionBytes)
    this.counters.add(why)
    this.earlySeals.onSealed(sequence)
    const slot = this.slot
    this.slot = -1
    this.send({
      kind: 'sealed',
      slot,
      sequence,
      byteLength: this.length,
      transactions: this.transactions,
      transactionBytes,
    })
    this.transactions = 0
    if (!this.rangeAsked && this.nextRange === undefined && this.rangeEnd - this.sequence < SEQUENCE_RANGE_LOW) {
      this.rangeAsked = true
      this.send({ kind: 'range-low' })
    }
  }
}
