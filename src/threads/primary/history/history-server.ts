/**
 * Answers what authorities that are far behind ask for: the latest state that a quorum has signed, and the intervals of the
 * log before it, each with its proof. It is paid for out of the asker's share, as certificates are (`helper.ts`).
 */
import {
  encodeHistoryEnd,
  encodeHistoryPiece,
  type HistoryKind,
  type HistoryRequest,
} from '../../../shared/wire/primary/history.js'
import { CHECKPOINT_INTERVAL, HISTORY_PIECE_BYTES_MAX } from '../../../shared/wire/primary/limits.js'
import type { NodePlace } from '../../../shared/wire/primary/mountain-range.js'
import type { CommittedState } from '../consensus/state-digest.js'
import type { AuthorityIndex, Commit } from '../consensus/types.js'
import { HISTORY_ANSWER_BYTES_MAX, HISTORY_STATES_KEPT } from '../limits.js'
import type { CheckpointReader, LogReader } from '../stored-state.js'
import type { TurnBuilder } from '../turn.js'
import { encodeState } from './committed-state.js'
import { encodeInterval } from './interval.js'

export interface HistoryServerDependencies {
  readonly store: LogReader & CheckpointReader
  /** Takes so many bytes of the peer's share, before they are sent; false if there is nothing left. */
  readonly take: (peer: AuthorityIndex, bytes: number, turn: TurnBuilder) => boolean
}

/** Something that is sent in pieces. */
interface Whole {
  readonly what: HistoryKind
  readonly checkpoint: number
  readonly first: number
  readonly bytes: Uint8Array
}

export class HistoryServer {
  private readonly dependencies: HistoryServerDependencies
  /** By index, ascending: the states after the last commits that have a checkpoint. */
  private readonly states = new Map<number, CommittedState>()

  constructor(dependencies: HistoryServerDependencies) {
    this.dependencies = dependencies
  }

  committed(commits: readonly Commit[]): void {
    for (const { index, state } of commits) {
      if (state === undefined) continue
      this.states.set(index, state)
      if (this.states.size > HISTORY_STATES_KEPT) this.states.delete(this.states.keys().next().value!)
    }
  }

  answer(from: AuthorityIndex, request: HistoryRequest, turn: TurnBuilder): void {
    const { store } = this.dependencies
    const isDone = request.checkpoint === 0 ? this.sendState(from, turn) : this.sendIntervals(from, request, turn)
    const checkpoint = isDone ? request.checkpoint || this.latest()!.index : 0
    turn.sendAtOnce(from, encodeHistoryEnd({ checkpoint, first: request.first, oldest: store.oldestCommit }))
  }

  /** The latest state that a quorum has signed, with their signatures. */
  private latest(): { index: number; checkpoint: Uint8Array; state: CommittedState } | undefined {
    for (const [index, state] of [...this.states].reverse()) {
      const checkpoint = this.dependencies.store.checkpoint(index)
      if (checkpoint !== undefined) return { index, checkpoint, state }
    }
    return undefined
  }

  private sendState(from: AuthorityIndex, turn: TurnBuilder): boolean {
    const latest = this.latest()
    if (latest === undefined) return false
    const bytes = encodeState(latest.checkpoint, latest.state)
    if (!this.dependencies.take(from, bytes.length, turn)) return false
    this.send(from, { what: 'state', checkpoint: latest.index, first: 0, bytes }, 0, bytes.length, turn)
    return true
  }

  /** As many as fit into an answer, in order; the first of them from where it was broken off. Whether there were any. */
  private sendIntervals(from: AuthorityIndex, request: HistoryRequest, turn: TurnBuilder): boolean {
    const { checkpoint, count } = request
    let { first, offset } = request
    let left = HISTORY_ANSWER_BYTES_MAX
    for (let n = 0; n < count && left > 0; n += 1) {
      const bytes = this.interval(first, checkpoint)
      if (bytes === undefined || offset >= bytes.length) return n > 0
      if (!this.dependencies.take(from, bytes.length, turn)) return n > 0
      const end = Math.min(bytes.length, offset + left)
      this.send(from, { what: 'interval', checkpoint, first, bytes }, offset, end, turn)
      left -= end - offset
      offset = 0
      first += CHECKPOINT_INTERVAL
    }
    return true
  }

  /** Undefined if it cannot be proven: a record or a node is not here, or not any more. */
  private interval(first: number, count: number): Uint8Array | undefined {
    const { store } = this.dependencies
    if (count > store.lastCommit || first < store.oldestCommit) return undefined
    const indices = Array.from({ length: CHECKPOINT_INTERVAL }, (_, at) => first + at)
    const records = indices.map((index) => Buffer.concat(store.commitRecord(index)))
    if (records.some(({ length }) => length === 0)) return undefined
    let isLacking = false
    const nodeAt = (place: NodePlace): Uint8Array => {
      const node = store.rangeNode(place)
      if (node === undefined) isLacking = true
      return node ?? new Uint8Array(32)
    }
    const bytes = encodeInterval(records, { first, count, nodeAt })
    return isLacking ? undefined : bytes
  }

  private send(from: AuthorityIndex, whole: Whole, begin: number, end: number, turn: TurnBuilder): void {
    const { bytes, checkpoint, first, what } = whole
    for (let offset = begin; offset < end; offset += HISTORY_PIECE_BYTES_MAX) {
      const piece = bytes.subarray(offset, Math.min(end, offset + HISTORY_PIECE_BYTES_MAX))
      turn.sendAtOnce(from, encodeHistoryPiece({ what, total: bytes.length, checkpoint, first, offset, bytes: piece }))
    }
  }
}
