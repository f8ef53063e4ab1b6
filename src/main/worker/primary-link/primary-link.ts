/**
 * How reports get to the primary: over the reference's TCP (`PrimaryConnector`), or within the process
 * (`InProcessPrimaryLink`).
 */

import type { NarvalError } from '../../../shared/errors.js'
import type { Moment } from '../../../shared/freshness.js'

/** A stored batch, as its bytes say; the worker's id is our own. */
export interface ReportedBatch {
  /** 32 bytes; copied. */
  readonly digest: Uint8Array
  /** Authority index. */
  readonly author: number
  readonly sequence: bigint
  /** Of another's: its worker itself handed it over, by a connection that proves who it is. */
  readonly isDelivered?: boolean | undefined
}

/** What a worker tells its primary of a batch; the worker's id is the link's own. */
export interface PrimaryReport extends ReportedBatch {
  /** OurBatch: certified. OthersBatch: stored. */
  readonly type: 'OurBatch' | 'OthersBatch'
  /** Of an own batch: the moment of the oldest ACK that its certificate counts on. */
  readonly since?: Moment | undefined
}

export interface PrimaryLink {
  /**
   * Queues a report. An `OurBatch` is never dropped: the worker pauses sealing while the link `isFull` of them, and what
   * can still come then is bounded by the own slots. Where there is no more room the oldest `OthersBatch` is dropped and
   * counted: it is reported again when the batch is received again, or the primary asks for it with a Synchronize.
   * After `close` nothing is queued: a batch that is not reported is so in the store, and reported after the next boot.
   */
  report(report: PrimaryReport): void
  /** Whether sealing is to pause: too many own reports wait. Others' never make it full. */
  readonly isFull: boolean
  /** Reports that the primary has not acknowledged, as far as the kernel says; or that its socket has not taken. */
  readonly queued: number
  /** Reports of others' batches that were dropped, since the start. */
  readonly dropped: number
  readonly isConnected: boolean
  /**
   * Where the primary says what is committed: resolves when the store knows of all that was so at the start, or the link
   * is closed. What it does not know then is told again.
   */
  readonly replayed?: Promise<void> | undefined
  /** Where the primary knows them: the highest sequence of our batches, whichever store they were in. */
  readonly sequencesAfter?: bigint | undefined
  /** Hands over what it can at once, and ends the link. */
  close(): Promise<void>
}

export interface PrimaryLinkHandlers {
  /** Whether the primary must not be told any more of what was certified by ACKs of that moment. Does not throw. */
  isStale(since: Moment): boolean
  /**
   * These own batches were to be reported now, and are stale: the link has forgotten them.
   *
   * @param wereDelivered the primary's side had them already, shortly before a connection was lost: it may have died
   *   before it read them
   */
  onStale(digests: Uint8Array[], wereDelivered: boolean): void
  /**
   * The primary has these own batches: its kernel acknowledged them, or its callback resolved. Once for each report. Only
   * now may the store forget that it has to be told.
   */
  onReported(digests: Uint8Array[]): void
  /** The primary can be told now, or cannot any more. */
  onConnection(): void
  /** The queue was full and is not any more. */
  onRoom(): void
  /** A primary in this process failed: what it has missed cannot be known, and the worker ends with this reason. */
  onFailed(error: NarvalError): void
}
