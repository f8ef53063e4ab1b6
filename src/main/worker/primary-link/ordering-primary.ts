/**
 * A narval primary, as one of its own workers sees it: beside the reports it says what is committed, and goes on from where
 * the worker's store is.
 *
 * ```
 *  worker                                             primary
 *    its store's id, the last commit it applied ──▶   marks of another store are void
 *    reports: certified, stored                 ──▶   in the primary's store: delivered
 *    its next sequence is above                 ◀──   the highest sequence of its batches that is known
 *    batches of commits, in order               ◀──   its log, from that commit on
 *    batches that were in the order when told   ◀──
 *    batches that are missing                   ◀──
 * ```
 */

import type { LinkRefusal } from '../../../shared/refusals.js'
import type { BatchReport } from '../../../shared/wire/primary-messages.js'
import type { Supervisor } from '../../lib/supervisor.js'
import type { LinkState } from '../../link/link-state.js'

export interface OrderingPrimary {
  /** Takes a report; it is delivered when the promise resolves. */
  readonly onMessage: (report: BatchReport) => Promise<void>
  /** The worker is there: from now on its commits are applied, and what it said of another store counts no more. */
  attach(worker: AttachedWorker): OrderingLink
  /** Reports that may be under way at a time; IN_PROCESS_CALLS_MAX if not given. */
  readonly callsMax?: number
}

/** The worker's end, as the primary needs it. */
export interface OrderedWorker extends CommitState {
  /**
   * These batches are in the order; with `applied`, all batches of the commits up to that one were handed in by now, and
   * with `partOf`, more of that commit are to come. Resolves when the worker's store says so.
   */
  committed(digests: readonly Uint8Array[], place?: CommitPlace): Promise<void>
  /**
   * The primary has named these batches, in a header that it voted for or in a certificate, stored or not, and no commit has
   * them; with `isAnew`, no others.
   */
  named(digests: readonly Uint8Array[], isAnew: boolean): void
  /** It had, and nothing that can still be ordered lists them any more. */
  unnamed(digests: readonly Uint8Array[]): void
  /** The log has gone on. */
  onCommits(): void
  /** The log does not have all commits any more that the worker did not apply: what it has uncommitted is to be told again. */
  onGap(): void
  /** Get these batches, from the worker of `author` or from anybody, unless they are here; report each. */
  synchronize(digests: readonly Uint8Array[], author: number): void
  /** Takes what is thrown where nobody waits. */
  readonly supervisor: Pick<Supervisor, 'guard' | 'watch'>
}

/** Where the store is, as a link to another process asks it. */
export interface StoreState extends CommitState {
  /** It has given no batch a sequence yet. */
  readonly isNew: boolean
}

/** The same, as a link to another process needs it, which begins anew whenever its connection was lost. */
export interface AttachedWorker extends OrderedWorker {
  /** Where the store is now. */
  commitState(): Promise<StoreState>
  /** A stored batch; undefined if it is not here. */
  read(digest: Uint8Array): Promise<{ readonly author: Uint8Array; readonly bytes: Uint8Array } | undefined>
  /** The first commit whose batches are kept. */
  firstKept(): number
  /** The primary can be told now, or cannot any more. */
  onConnection(): void
  /** What the primary said was refused, and its connection closed. */
  onRefused(reason: LinkRefusal, detail: string): void
}

export type CommitPlace = { readonly applied: number } | { readonly partOf: number }

/** Where the worker's store is. */
export interface CommitState {
  /** Of this store alone, 16 bytes. */
  readonly storeId: Uint8Array
  /** The last commit whose batches it knows to be committed. */
  readonly applied: number
  /** It has no batch that is not known to be committed: what is in the log already says nothing to it. */
  readonly isSettled: boolean
}

export interface OrderingLink {
  /** Whether sealing is to pause: too many own batches are not ordered yet. */
  readonly isFull: boolean
  /**
   * The highest sequence of the worker's batches that the primary knows of, whichever store they were in: a new batch has a
   * higher one. Rejects if the primary ends before it can say.
   */
  readonly sequencesAfter: Promise<bigint>
  /** Whether the primary can be told anything now. */
  readonly isConnected: boolean
  /** Resolves when all commits are applied that the log had at the start, or the link is closed. */
  readonly replayed: Promise<void>
  /** Where the primary is another process. */
  readonly remote?: RemoteLink
  close(): Promise<void>
}

/** What is seen of a link to another process. */
export interface RemoteLink {
  state(): LinkState
  /** Why the primary does not take this worker, for people; undefined if it does, or has said nothing. */
  refusal(): string | undefined
}
