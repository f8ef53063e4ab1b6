/**
 * HistoryRequests: intervals of the log, asked for in segments, several at a time and of several peers. A segment comes in
 * order; the pieces of an interval are joined here, and whoever owns this says whether the whole is true.
 *
 * ```
 *  what is written                                                      the checkpoint
 *  ├───────────────┼─ asked of 1 ───┼─ asked of 2 ───┼─ asked of 3 ──┼────┤
 * ```
 *
 * A peer that brings nothing, or cannot prove what is asked for, rests; one that lies rests for longer. What it was asked
 * for is asked of another.
 */
import { encodeHistoryRequest, type HistoryEnd, type HistoryPiece } from '../../../shared/wire/primary/history.js'
import { CHECKPOINT_INTERVAL, HISTORY_INTERVALS_MAX } from '../../../shared/wire/primary/limits.js'
import type { AuthorityIndex } from '../consensus/types.js'
import {
  HISTORY_LIAR_REST_MS,
  HISTORY_REQUEST_MS_MAX,
  HISTORY_REQUESTS_MAX,
  HISTORY_REQUESTS_PER_PEER,
  HISTORY_REST_MS,
  HISTORY_SILENT_MS,
} from '../limits.js'
import type { Peers } from '../peers.js'
import type { TurnBuilder } from '../turn.js'
import { Assembly } from './assembly.js'

interface Segment {
  /** First commits of its first interval that is not here, and of its last one. */
  first: number
  readonly last: number
  /** Whom it is asked of; nobody yet, or not any more. */
  peer: AuthorityIndex | undefined
  /** Where it began when it was asked for. */
  askedFirst: number
  askedAtMs: number
  activeAtMs: number
  hasBrought: boolean
  /** Of its first interval, what has come, and from whom. */
  partly: { readonly peer: AuthorityIndex; readonly assembly: Assembly } | undefined
}

/** Intervals of a segment. */
const SEGMENT_INTERVALS = Math.min(HISTORY_INTERVALS_MAX, 16)
/** Segments that may be ahead of the first that is not here whole. */
const SEGMENTS_AHEAD = 2 * HISTORY_REQUESTS_MAX

export class HistoryRequests {
  private readonly peers: Peers
  private segments: Segment[] = []
  /** The interval behind the last segment. */
  private next = 0
  private checkpoint = 0
  private readonly restUntilMs: number[]
  /** By peer: the oldest commit that it keeps, as it said last. */
  private readonly oldest: number[]
  private lastPeer: AuthorityIndex

  constructor(authority: AuthorityIndex, authorities: number, peers: Peers) {
    this.peers = peers
    this.lastPeer = authority
    this.restUntilMs = new Array<number>(authorities).fill(Number.NEGATIVE_INFINITY)
    this.oldest = new Array<number>(authorities).fill(0)
  }

  /** Asks for the intervals from this one on, under a checkpoint. */
  begin(first: number, checkpoint: number): void {
    this.segments = []
    this.next = first
    this.checkpoint = checkpoint
  }

  stop(): void {
    this.begin(0, 0)
  }

  /** What each keeps may be another by now. */
  forget(): void {
    this.oldest.fill(0)
  }

  /** The peer has said which is the oldest commit that it keeps. */
  keeps(peer: AuthorityIndex, oldest: number): void {
    this.oldest[peer] = oldest
  }

  connected(peer: AuthorityIndex): void {
    this.restUntilMs[peer] = Number.NEGATIVE_INFINITY
    this.oldest[peer] = 0
  }

  /** All that are connected keep only what is behind this commit. */
  isGone(commit: number): boolean {
    const peers = this.peers.all()
    return peers.length > 0 && peers.every((peer) => this.oldest[peer]! > commit)
  }

  rest(peer: AuthorityIndex, nowMs: number, isLiar = false): void {
    this.restUntilMs[peer] = nowMs + (isLiar ? HISTORY_LIAR_REST_MS : HISTORY_REST_MS)
  }

  /** The next peer that may be asked for commits from this one on; they take turns. */
  peerFor(commit: number, nowMs: number): AuthorityIndex | undefined {
    let peer = this.lastPeer
    for (let step = 0; step < this.restUntilMs.length; step += 1) {
      const next = this.peers.after(peer)
      if (next === undefined) return undefined
      peer = next
      if (nowMs < this.restUntilMs[peer]! || this.oldest[peer]! > commit) continue
      if (this.segments.filter((each) => each.peer === peer).length >= HISTORY_REQUESTS_PER_PEER) continue
      this.lastPeer = peer
      return peer
    }
    return undefined
  }

  /** @param written the interval that is to be written next */
  ask(written: number, turn: TurnBuilder): void {
    const { ms } = turn.now
    this.giveUpLate(ms)
    const end = written + SEGMENTS_AHEAD * SEGMENT_INTERVALS * CHECKPOINT_INTERVAL
    while (this.segments.length < HISTORY_REQUESTS_MAX && this.next < Math.min(this.checkpoint, end)) {
      const last = Math.min(
        this.next + (SEGMENT_INTERVALS - 1) * CHECKPOINT_INTERVAL,
        this.checkpoint - CHECKPOINT_INTERVAL + 1,
      )
      this.segments.push({
        first: this.next,
        last,
        peer: undefined,
        askedFirst: 0,
        askedAtMs: 0,
        activeAtMs: 0,
        hasBrought: false,
        partly: undefined,
      })
      this.next = last + CHECKPOINT_INTERVAL
    }
    for (const segment of this.segments) if (segment.peer === undefined) this.askFor(segment, turn)
  }

  /**
   * A piece of an interval: the interval, if it is whole now. Undefined if it is not; `false` if nobody has asked for it.
   */
  piece(from: AuthorityIndex, piece: HistoryPiece, nowMs: number): Uint8Array | undefined | false {
    const segment = this.segments.find(({ first, peer }) => peer === from && first === piece.first)
    if (segment === undefined || piece.checkpoint !== this.checkpoint) return false
    segment.partly ??= { peer: from, assembly: new Assembly(piece.total) }
    if (!segment.partly.assembly.add(piece)) return false
    segment.activeAtMs = nowMs
    const { whole } = segment.partly.assembly
    if (whole === undefined) return undefined
    segment.partly = undefined
    segment.hasBrought = true
    segment.first += CHECKPOINT_INTERVAL
    return whole
  }

  /** The interval that came last from this peer is not true: it is asked of another. */
  lied(peer: AuthorityIndex, first: number, nowMs: number): void {
    this.rest(peer, nowMs, true)
    for (const segment of this.segments) {
      if (segment.peer !== peer) continue
      if (segment.first === first + CHECKPOINT_INTERVAL) segment.first = first
      segment.peer = undefined
      segment.partly = undefined
    }
  }

  /** The end of an answer: what is lacking of the segment is asked for in this turn (`ask`). */
  end(from: AuthorityIndex, end: HistoryEnd, nowMs: number): void {
    this.oldest[from] = end.oldest
    const segment = this.segments.find(({ askedFirst, peer }) => peer === from && askedFirst === end.first)
    if (segment === undefined) return
    if (!segment.hasBrought && segment.partly === undefined) this.rest(from, nowMs)
    segment.peer = undefined
    this.segments = this.segments.filter(({ first, last }) => first <= last)
  }

  /** When there is something to do, after `ask`. */
  wakeAtMs(nowMs: number): number {
    const rests = this.restUntilMs.filter((ms) => ms > nowMs)
    const times = this.segments.flatMap(({ activeAtMs, askedAtMs, peer }) =>
      peer === undefined ? rests : [activeAtMs + HISTORY_SILENT_MS, askedAtMs + HISTORY_REQUEST_MS_MAX],
    )
    return Math.min(Number.POSITIVE_INFINITY, ...times)
  }

  private askFor(segment: Segment, turn: TurnBuilder): void {
    const { ms } = turn.now
    const peer = this.peerFor(segment.first, ms)
    if (peer === undefined) return
    // What another has begun would be mixed with what this one says.
    if (segment.partly?.peer !== peer) segment.partly = undefined
    Object.assign(segment, { peer, askedFirst: segment.first, askedAtMs: ms, activeAtMs: ms, hasBrought: false })
    const { first, last } = segment
    const count = (last - first) / CHECKPOINT_INTERVAL + 1
    const offset = segment.partly?.assembly.length ?? 0
    turn.sendAtOnce(peer, encodeHistoryRequest({ checkpoint: this.checkpoint, first, count, offset }))
  }

  private giveUpLate(nowMs: number): void {
    for (const segment of this.segments) {
      const { activeAtMs, askedAtMs, first, last, peer } = segment
      if (peer === undefined || first > last) continue
      const isLate = nowMs >= activeAtMs + HISTORY_SILENT_MS || nowMs >= askedAtMs + HISTORY_REQUEST_MS_MAX
      if (this.peers.isConnected(peer) && !isLate) continue
      this.rest(peer, nowMs)
      segment.peer = undefined
    }
    // Only the end of its answer is lacking.
    const isOver = ({ activeAtMs, first, last }: Segment): boolean =>
      first > last && nowMs >= activeAtMs + HISTORY_SILENT_MS
    this.segments = this.segments.filter((segment) => !isOver(segment))
  }
}
