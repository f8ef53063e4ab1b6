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
  /** Whether something of the peer's share is left, before anything is read for it; that costs it something already. */
  readonly mayServe: (peer: AuthorityIndex, turn: TurnBuilder) => boolean
  /** Takes so many bytes of its share. */
  readonly take: (peer: AuthorityIndex, bytes: number, turn: TurnBuilder) => void
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
    const checkpoint = request.checkpoint === 0 ? this.sendState(from, turn) : this.sendIntervals(from, request, turn)
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

  /** Returns the commit that it is of; 0 if there is none. */
  private sendState(from: AuthorityIndex, turn: TurnBuilder): number {
    const { mayServe, take } = this.dependencies
    const latest = mayServe(from, turn) ? this.latest() : undefined
    if (latest === undefined) return 0
    const bytes = encodeState(latest.checkpoint, latest.state)
    take(from, bytes.length, turn)
    this.send(from, { what: 'state', checkpoint: latest.index, first: 0, bytes }, 0, bytes.length, turn)
    return latest.index
  }

  /**
   * As many as fit into an answer, in order; the first of them from where it was broken off. Returns the checkpoint of the
   * request; 0 if there were none.
   */
  private sendIntervals(from: AuthorityIndex, request: HistoryRequest, turn: TurnBuilder): number {
    const { mayServe, take } = this.dependencies
    const { checkpoint, count } = request
    let { first, offset } = request
    let left = HISTORY_ANSWER_BYTES_MAX
    for (let n = 0; n < count && left > 0; n += 1) {
      const bytes = mayServe(from, turn) ? this.interval(first, checkpoint) : undefined
      if (bytes === undefined || offset >= bytes.length) return n > 0 ? checkpoint : 0
      take(from, bytes.length, turn)
      const end = Math.min(bytes.length, offset + left)
      this.send(from, { what: 'interval', checkpoint, first, bytes }, offset, end, turn)
      left -= end - offset
      offset = 0
      first += CHECKPOINT_INTERVAL
    }
    return checkpoint
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
