/**
 * HistoryCatchUp: what an authority does that is so far behind that the certificates are gone, or would take longer than the
 * commits that came of them: it takes the log itself, by checkpoint intervals, and goes on from the state after it.
 *
 * ```
 *  a peer: the latest state that a quorum has signed ──▶ signatures, rule, digest of the state
 *      ▼
 *  several peers: intervals of the log up to there ──▶ each proven under the signed root ──▶ written, in order
 *      ▼
 *  the log ends at the checkpoint ──▶ the runs of committed sequences are those of the state ──▶ joined
 *      ▼
 *  the primary begins anew from its store, as after a restart: certificates above `gcRound`, then headers and votes
 * ```
 *
 * Nothing is written that is not proven with the committee file alone. A peer that sends anything else is refused, counted,
 * and left alone for a time; others are asked. kill -9 leaves a log that ends where it ended and a state that is older: the
 * next start goes on from there, under whichever checkpoint is the latest by then.
 */
import { NarvalError } from '../../../shared/errors.js'
import { type AttestedCheckpoint, decodeAttestedCheckpoint } from '../../../shared/wire/primary/checkpoint.js'
import { decodeCommitRecord } from '../../../shared/wire/primary/commit-record.js'
import {
  encodeHistoryRequest,
  type HistoryEnd,
  type HistoryPiece,
  intervalOf,
  STATE_REQUEST,
} from '../../../shared/wire/primary/history.js'
import { CHECKPOINT_INTERVAL } from '../../../shared/wire/primary/limits.js'
import { compareBytes, ifWellFormed } from '../../../shared/wire/primary/record.js'
import type { ConsensusPosition } from '../consensus/consensus-state.js'
import { type CommittedState, stateDigest } from '../consensus/state-digest.js'
import type { AuthorityIndex } from '../consensus/types.js'
import { HISTORY_LOG_RETRY_MS, HISTORY_SILENT_MS, HISTORY_STUCK_MS } from '../limits.js'
import type { Peers } from '../peers.js'
import type { Problem } from '../synchronizer.js'
import type { TurnBuilder } from '../turn.js'
import { Assembly } from './assembly.js'
import { decodeState } from './committed-state.js'
import type { FetchedLog, FetchedRecord } from './fetched-log.js'
import { HistoryRequests } from './history-requests.js'
import { type IntervalRecord, verifyInterval } from './interval.js'

export interface HistoryOptions {
  readonly authority: AuthorityIndex
  readonly authorities: number
  readonly committeeDigest: Uint8Array
  /** What primaries have agreed on. */
  readonly rule: Uint8Array
}

export interface HistoryDependencies {
  readonly peers: Peers
  /** Whether the signatures of a checkpoint are valid, and a quorum. */
  readonly problemOf: (checkpoint: AttestedCheckpoint) => Problem | undefined
}

interface Target {
  readonly checkpoint: AttestedCheckpoint
  /** As a record. */
  readonly bytes: Uint8Array
  readonly state: CommittedState
}

/** The log ends at a checkpoint, and this is the state there. */
export interface Joined {
  readonly position: ConsensusPosition
  /** Of committed sequences. */
  readonly batches: ReturnType<FetchedLog['batches']>
  readonly index: number
  readonly checkpoint: Uint8Array
}

export class HistoryCatchUp {
  private readonly options: HistoryOptions
  private readonly dependencies: HistoryDependencies
  private readonly requests: HistoryRequests
  /** Where our log ends; absent while we do not catch up in this way. */
  private log: FetchedLog | undefined
  private hasWritten = false
  /** Nobody keeps what comes next, or has shown for a time that it does. */
  private isStuck = false
  private target: Target | undefined
  /** Somebody has no state that is later than our log. */
  private isNothingLater = false
  /** Whom the latest state was asked of, and what has come of it. */
  private asked: { readonly peer: AuthorityIndex; atMs: number; assembly: Assembly | undefined } | undefined
  /** True intervals, by their first commit, that wait for those before. */
  private readonly verified = new Map<number, readonly IntervalRecord[]>()
  private movedAtMs = 0
  private retryAtMs = Number.NEGATIVE_INFINITY
  private wakeMs = Number.POSITIVE_INFINITY

  constructor(options: HistoryOptions, dependencies: HistoryDependencies) {
    this.options = options
    this.dependencies = dependencies
    this.requests = new HistoryRequests(options.authority, options.authorities, dependencies.peers)
  }

  /** Nothing else is ordered or signed meanwhile. */
  get isActive(): boolean {
    return this.log !== undefined
  }

  /** It is being tried, and the last try was not in vain. */
  get isGettingOn(): boolean {
    return this.isActive && !this.isStuck
  }

  get wakeAtMs(): number {
    return this.wakeMs
  }

  /** Whether it is time to try. */
  mayBegin(nowMs: number): boolean {
    return !this.isActive && nowMs >= this.retryAtMs
  }

  /** @param isUnfinished the log has records that no state of consensus is of: there is no other way on */
  begin(log: FetchedLog, nowMs: number, isUnfinished: boolean): void {
    this.log = log
    this.hasWritten = isUnfinished
    this.target = undefined
    this.asked = undefined
    this.isNothingLater = false
    this.movedAtMs = nowMs
  }

  connected(peer: AuthorityIndex): void {
    this.requests.connected(peer)
  }

  /** A piece of what was asked for. Returns what is to be written. */
  piece(from: AuthorityIndex, piece: HistoryPiece, turn: TurnBuilder): readonly FetchedRecord[] {
    if (this.log === undefined) return []
    if (piece.what === 'state') {
      this.statePiece(from, piece, turn)
      return []
    }
    const whole = this.target === undefined ? false : this.requests.piece(from, piece, turn.now.ms)
    if (whole === false) turn.refuse(from, 'answer-not-asked', `commits from ${piece.first}`)
    else if (whole !== undefined) {
      this.movedAtMs = turn.now.ms
      this.interval(from, piece.first, whole, turn)
    }
    return this.takeVerified(turn)
  }

  end(from: AuthorityIndex, end: HistoryEnd, nowMs: number): void {
    if (this.log === undefined) return
    this.requests.keeps(from, end.oldest)
    if (end.first > 0) this.requests.end(from, end, nowMs)
    else if (this.asked?.peer === from && this.target === undefined) this.nothingLater(from, nowMs)
  }

  /** The log ends at the checkpoint: once this is written the primary begins anew. */
  get joined(): Joined | undefined {
    const { log, target } = this
    if (log === undefined || target === undefined || log.index !== target.checkpoint.index) return undefined
    if (!log.hasRuns(target.state.runs)) {
      throw new NarvalError(
        'ERR_STORE_DAMAGED',
        `the log up to commit ${log.index} is the one that a quorum has signed, and the committed sequences in our store are others: begin with a new store and --recovered`,
      )
    }
    const { position } = target.state
    return { position, batches: log.batches(), index: log.index, checkpoint: target.bytes }
  }

  tick(turn: TurnBuilder): void {
    const { log } = this
    if (log === undefined) return
    const { ms } = turn.now
    if (ms < this.retryAtMs) return
    if (this.requests.isGone(log.index + 1)) {
      this.giveUp(ms)
      return
    }
    if (ms >= this.movedAtMs + HISTORY_STUCK_MS) {
      this.isStuck = true
      if (this.target === undefined && !this.hasWritten) {
        this.giveUp(ms)
        return
      }
      // Who can prove anything under this checkpoint may be gone.
      if (this.target !== undefined) this.forgetTarget(ms)
      this.movedAtMs = ms
    }
    if (this.target === undefined) this.askForState(turn)
    else this.requests.ask(intervalOf(log.index + 1), turn)
    if (ms < this.retryAtMs) return
    this.wakeMs = Math.min(this.movedAtMs + HISTORY_STUCK_MS, this.stateWakeMs(ms), this.requests.wakeAtMs(ms))
  }

  /** Nobody keeps what comes next. They are asked again later, and have to be where something is written already. */
  private giveUp(nowMs: number): void {
    this.isStuck = true
    this.retryAtMs = nowMs + HISTORY_LOG_RETRY_MS
    this.wakeMs = this.retryAtMs
    this.forgetTarget(nowMs)
    this.requests.forget()
    if (!this.hasWritten) this.log = undefined
  }

  private forgetTarget(nowMs: number): void {
    this.target = undefined
    this.asked = undefined
    this.verified.clear()
    this.requests.stop()
    this.movedAtMs = nowMs
  }

  private stateWakeMs(nowMs: number): number {
    if (this.target !== undefined) return Number.POSITIVE_INFINITY
    return this.asked === undefined ? nowMs + HISTORY_SILENT_MS / 4 : this.asked.atMs + HISTORY_SILENT_MS
  }

  private askForState(turn: TurnBuilder): void {
    const { ms } = turn.now
    if (this.asked !== undefined) {
      if (ms < this.asked.atMs + HISTORY_SILENT_MS) return
      this.requests.rest(this.asked.peer, ms)
      this.asked = undefined
    }
    const peer = this.requests.peerFor(this.log!.index + 1, ms)
    if (peer === undefined) {
      // Those that have started anew have no state until their next checkpoint, and may need us to come there. The
      // certificates lead there as well.
      if (this.isNothingLater && !this.hasWritten) this.giveUp(ms)
      return
    }
    this.asked = { peer, atMs: ms, assembly: undefined }
    turn.sendAtOnce(peer, encodeHistoryRequest(STATE_REQUEST))
  }

  private statePiece(from: AuthorityIndex, piece: HistoryPiece, turn: TurnBuilder): void {
    const { asked } = this
    if (asked === undefined || asked.peer !== from || this.target !== undefined) {
      turn.refuse(from, 'answer-not-asked', `the state after commit ${piece.checkpoint}`)
      return
    }
    asked.assembly ??= new Assembly(piece.total)
    asked.atMs = turn.now.ms
    const isNext = asked.assembly.add(piece)
    const { whole } = asked.assembly
    if (isNext && whole === undefined) return
    const problem = isNext
      ? this.problemOfState(from, whole!, turn.now.ms)
      : { reason: 'history-untrue' as const, detail: 'another state' }
    if (problem !== undefined) this.liar(from, problem, turn)
  }

  /** Why it is not believed. */
  private problemOfState(from: AuthorityIndex, bytes: Uint8Array, nowMs: number): Problem | undefined {
    try {
      return this.takeState(from, bytes, nowMs)
    } catch (error) {
      if (!(error instanceof NarvalError) || error.code !== 'ERR_CODEC') throw error
      return { reason: 'message-malformed', detail: error.message }
    }
  }

  private takeState(from: AuthorityIndex, bytes: Uint8Array, nowMs: number): Problem | undefined {
    const { checkpoint: record, state } = decodeState(bytes)
    const checkpoint = decodeAttestedCheckpoint(record, this.options.authorities)
    const { index } = checkpoint
    const untrue = (detail: string): Problem => ({
      reason: 'history-untrue',
      detail: `state of commit ${index}: ${detail}`,
    })
    if (index % CHECKPOINT_INTERVAL !== 0) return untrue('it is no whole interval')
    if (compareBytes(checkpoint.rule, this.options.rule) !== 0) return untrue('of another rule')
    const problem = this.dependencies.problemOf(checkpoint)
    if (problem !== undefined) return problem
    const isSigned = compareBytes(stateDigest(state.position, state.runs), checkpoint.state) === 0
    if (!isSigned || state.position.index !== index) return untrue('it is not the one that a quorum has signed')
    const log = this.log!
    // It is true, and of no use: we have the log up to there, and unless we have it from others the state as well.
    if (index < log.index || (index === log.index && !this.hasWritten)) {
      this.nothingLater(from, nowMs)
      return undefined
    }
    this.target = { checkpoint, bytes: record, state }
    this.isStuck = false
    this.asked = undefined
    this.requests.begin(intervalOf(log.index + 1), index)
    return undefined
  }

  private nothingLater(from: AuthorityIndex, nowMs: number): void {
    this.requests.rest(from, nowMs)
    this.asked = undefined
    this.isNothingLater = true
  }

  private interval(from: AuthorityIndex, first: number, bytes: Uint8Array, turn: TurnBuilder): void {
    const { index: count, root } = this.target!.checkpoint
    const { committeeDigest } = this.options
    const records = ifWellFormed(() => verifyInterval(bytes, { committeeDigest, first, under: { count, root } }))
    if (records !== undefined) {
      this.verified.set(first, records)
      return
    }
    this.requests.lied(from, first, turn.now.ms)
    const detail = `commits from ${first} are not those under the root of commit ${count}`
    turn.refuse(from, 'history-untrue', detail)
  }

  /** What can be written, in order. */
  private takeVerified(turn: TurnBuilder): FetchedRecord[] {
    const log = this.log!
    const written: FetchedRecord[] = []
    for (;;) {
      const first = intervalOf(log.index + 1)
      const records = this.verified.get(first)
      if (records === undefined) break
      this.verified.delete(first)
      for (const record of records.slice(log.index + 1 - first)) {
        const commit = decodeCommitRecord(record.bytes, this.options.authorities)
        written.push(log.append(commit, record))
      }
    }
    if (written.length > 0) {
      this.hasWritten = true
      this.movedAtMs = turn.now.ms
    }
    return written
  }

  private liar(from: AuthorityIndex, { detail, reason }: Problem, turn: TurnBuilder): void {
    turn.refuse(from, reason, detail)
    this.requests.rest(from, turn.now.ms, true)
    this.asked = undefined
  }
}
