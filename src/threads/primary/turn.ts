/**
 * What the primary is told, and what one turn of it has done. The primary is a synchronous actor: it has no store, no
 * network and no clock. Whoever runs it hands in one event after another, and carries out each turn in this order:
 *
 * ```
 *  event ──▶ primary.handle ──▶ turn    1. sends and worker requests that are `at once`
 *                                       2. all writes of the turn, in one transaction, and its flush
 *                                       3. sends and worker requests that are `after durable`: this and all earlier
 *                                          turns are flushed, also if this one writes nothing
 * ```
 *
 * Turns may share a transaction; their order stays. What bears our own signature goes out only after the flush of what it
 * promises, at every `ack_level`. A crash between any two steps loses nothing that anybody was told.
 */
import type { NarvalError } from '../../shared/errors.js'
import type { PrimaryNotice } from '../../shared/memory/dialogue/primary.js'
import type { AuthorityRefusal } from '../../shared/refusals.js'
import type { BatchEntry } from '../../shared/wire/primary/header.js'
import type { LogRecord } from './commit-log/record-chain.js'
import type { ConsensusPosition } from './consensus/consensus-state.js'
import type { AuthorityIndex, Commit } from './consensus/types.js'
import type { Write } from './store/writes.js'

/** A point in time, by two clocks. */
export interface Now {
  /** Of a clock that never goes back, in ms: for everything that waits. */
  readonly ms: number
  /** Unix ms, whole: for the times in headers. */
  readonly unixMs: number
}

export type PrimaryEvent =
  /** A record of another authority's primary (`src/shared/wire/primary/`), over a connection that proved who it is. */
  | { readonly type: 'message'; readonly from: AuthorityIndex; readonly bytes: Uint8Array }
  | { readonly type: 'peer-connected' | 'peer-disconnected'; readonly peer: AuthorityIndex }
  /** A quorum has stored a batch of our own worker. */
  | { readonly type: 'own-batch'; readonly batch: BatchEntry }
  /** Our own worker has stored a batch of another authority, and read author, worker and sequence in its bytes. */
  | {
      readonly type: 'others-batch'
      readonly batch: BatchEntry
      /** Its author's worker itself handed it over: over a connection that proves who that is. */
      readonly isDelivered?: boolean
    }
  /** Which store this worker of ours has: what it said of another one says nothing any more. Before any batch of a run. */
  | { readonly type: 'worker-store'; readonly worker: number; readonly storeId: Uint8Array }
  /** How late the event loop is, in ms: with load, rounds become longer. */
  | { readonly type: 'load'; readonly lagMs: number }
  /**
   * Of these peers so many records wait to be handled that what they say is of rounds long past. Said whenever that
   * changes.
   */
  | { readonly type: 'backlog'; readonly peers: readonly AuthorityIndex[] }
  /** `wakeAtMs` of the last turn has come. One that comes at another time does no harm. */
  | { readonly type: 'timer' }

export interface Send {
  readonly to: AuthorityIndex | 'all'
  readonly bytes: Uint8Array
  /**
   * Not before the flush of the writes of this and of all earlier turns. A turn without writes can send again what an
   * earlier one has promised, a vote for example, and its flush may still be on the way.
   */
  readonly afterDurable: boolean
}

/** To our own workers. */
export type WorkerRequest =
  /** Get these batches, from the worker of `author` with our id, or from anybody; say `others-batch` for each that is stored. */
  | {
      readonly type: 'synchronize'
      readonly worker: number
      readonly author: AuthorityIndex
      readonly digests: readonly Uint8Array[]
    }
  /**
   * After the flush, to each worker that says which store it has: the highest sequence of its batches that is known here, 0
   * for none. The next ones are to be higher: the order has one batch of each sequence, and takes others for repeats.
   */
  | { readonly type: 'sequences-after'; readonly worker: number; readonly sequence: bigint }
  /** After the flush: a batch that this worker told of is in the order already. */
  | { readonly type: 'ordered'; readonly worker: number; readonly digest: Uint8Array }
  /**
   * Headers that got our vote, or certificates, list these batches, and they are not in the order; with `isAnew`, no others of
   * this worker.
   */
  | {
      readonly type: 'named'
      readonly worker: number
      readonly digests: readonly Uint8Array[]
      readonly isAnew: boolean
    }
  /** It was said of these, and nothing that lists them can be ordered any more. */
  | { readonly type: 'unnamed'; readonly worker: number; readonly digests: readonly Uint8Array[] }
  /** After the flush: these commits are in the log. */
  | { readonly type: 'committed'; readonly commits: readonly Commit[] }

export interface Refused {
  readonly from: AuthorityIndex
  readonly reason: AuthorityRefusal
  /** What was expected and what came. */
  readonly detail: string
}

export interface Turn {
  readonly writes: readonly Write[]
  readonly sends: readonly Send[]
  readonly workerRequests: readonly WorkerRequest[]
  readonly refusals: readonly Refused[]
  readonly notices: readonly PrimaryNotice[]
  /** When `timer` is to come, by the clock of `Now.ms`. */
  readonly wakeAtMs: number
  /**
   * Nothing more is to be handled until the writes of this turn are on the disk; then `Primary.reopen`, with what the store
   * has.
   */
  readonly reopens?: boolean
  /** The primary does nothing any more, and must not be run again without an operator. Its writes still count. */
  readonly stopped?: NarvalError
}

/** Collects what a turn does. */
export class TurnBuilder {
  readonly now: Now
  readonly writes: Write[] = []
  readonly sends: Send[] = []
  readonly workerRequests: WorkerRequest[] = []
  readonly refusals: Refused[] = []
  readonly notices: PrimaryNotice[] = []
  reopens = false
  private readonly records: LogRecord[] = []

  constructor(now: Now) {
    this.now = now
  }

  write(write: Write): void {
    this.writes.push(write)
  }

  /** What bears our signature, or follows from it. */
  sendAfterDurable(to: AuthorityIndex | 'all', bytes: Uint8Array): void {
    this.sends.push({ to, bytes, afterDurable: true })
  }

  /** What promises nothing: requests, and what others have signed. */
  sendAtOnce(to: AuthorityIndex | 'all', bytes: Uint8Array): void {
    this.sends.push({ to, bytes, afterDurable: false })
  }

  request(request: WorkerRequest): void {
    this.workerRequests.push(request)
  }

  refuse(from: AuthorityIndex, reason: AuthorityRefusal, detail: string): void {
    this.refusals.push({ from, reason, detail })
  }

  notice(notice: PrimaryNotice): void {
    this.notices.push(notice)
  }

  commit(record: LogRecord): void {
    this.records.push(record)
  }

  /** @param state where consensus stands now; asked only if there are commits */
  finish(wakeAtMs: number, state: () => ConsensusPosition, stopped?: NarvalError): Turn {
    const { writes, sends, workerRequests, refusals, notices, records, reopens } = this
    if (records.length > 0) {
      writes.push({ type: 'commits', records, state: state() })
      workerRequests.push({ type: 'committed', commits: records.map(({ commit }) => commit) })
    }
    return {
      writes,
      sends,
      workerRequests,
      refusals,
      notices,
      wakeAtMs,
      ...(reopens && { reopens }),
      ...(stopped && { stopped }),
    }
  }
}
