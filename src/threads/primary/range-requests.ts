/**
 * RangeRequests: whole rounds of certificates, from the last one that we have up to the highest that may wait for parents.
 * They are asked for in pieces, several at a time and of several peers, so that neither a long way nor one peer that is slow
 * or lies is waited for. A piece comes in any order; what is above a gap waits (`certificate-waiter.ts`).
 *
 * ```
 *  quorumRound                                                       quorumRound + gc_depth
 *  ├─ asked of 1 ─────┼─ asked of 2 ─────┼─ has come ───┼─ asked of 3 ─────┤
 * ```
 *
 * The record behind an answer says how far it goes. What it lacks is asked of another peer at once, and so is what a peer
 * says it has sent and has not: of each round a quorum must have come.
 */
import { RANGE_ROUNDS_MAX } from '../../shared/wire/primary/limits.js'
import { encodeRangeRequest, type RangeAnswer } from '../../shared/wire/primary/requests.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex, Round } from './consensus/types.js'
import {
  CERTIFICATE_RETRY_MS,
  RANGE_ANSWER_MS_MAX,
  RANGE_CERTIFICATES_MAX,
  RANGE_REQUESTS_MAX,
  RANGE_REQUESTS_PER_PEER,
  RANGE_REST_MS_MAX,
} from './limits.js'
import type { Peers } from './peers.js'
import type { TurnBuilder } from './turn.js'

interface Piece {
  from: Round
  readonly to: Round
  /** Whom it is asked of; nobody yet, or not any more. */
  peer: AuthorityIndex | undefined
  askedAtMs: number
  /** When something of it came last that was not here, or when it was asked for. */
  activeAtMs: number
  hasBrought: boolean
}

interface Peer {
  /** It is not asked before. */
  restsUntilMs: number
  /** Requests in a row that led to nothing. */
  missed: number
}

interface Arrived {
  readonly authors: Set<AuthorityIndex>
  stake: number
}

export class RangeRequests {
  private readonly stakes: Stakes
  private readonly peers: Peers
  private readonly gcDepth: number
  /** Rounds of a piece, and of the request when nothing is known: that one has more than the round that we have. */
  private readonly roundsMax: number
  private readonly lastRoundsMax: number
  private pieces: Piece[] = []
  /** The first round that no piece has had. */
  private nextRound: Round = 0
  private readonly known: Peer[]
  /** Of the rounds that are asked for: what has come, delivered or not. */
  private readonly arrived = new Map<Round, Arrived>()
  private lastPeer: AuthorityIndex
  private quorumRound: Round = -1
  private movedAtMs = Number.NEGATIVE_INFINITY
  private wakeMs = Number.POSITIVE_INFINITY

  constructor(options: { authority: AuthorityIndex; stakes: Stakes; gcDepth: number }, peers: Peers) {
    const { authority, gcDepth, stakes } = options
    this.stakes = stakes
    this.peers = peers
    this.gcDepth = gcDepth
    this.lastPeer = authority
    this.known = Array.from({ length: stakes.size }, () => ({ restsUntilMs: Number.NEGATIVE_INFINITY, missed: 0 }))
    const share = Math.floor(gcDepth / RANGE_REQUESTS_MAX)
    const answerMax = Math.min(RANGE_ROUNDS_MAX, Math.floor(RANGE_CERTIFICATES_MAX / stakes.size))
    this.roundsMax = Math.max(1, Math.min(answerMax, share))
    this.lastRoundsMax = Math.min(answerMax, gcDepth)
  }

  get isAsking(): boolean {
    return this.pieces.length > 0
  }

  /** A peer is there again: it need not rest. */
  connected(peer: AuthorityIndex): void {
    this.known[peer] = { restsUntilMs: Number.NEGATIVE_INFINITY, missed: 0 }
  }

  /** A verified certificate of these rounds is here, from this peer. */
  came(from: AuthorityIndex, round: Round, author: AuthorityIndex, nowMs: number): void {
    if (!this.isAsking || round < this.quorumRound || round >= this.nextRound) return
    const entry = this.arrived.get(round) ?? { authors: new Set(), stake: 0 }
    this.arrived.set(round, entry)
    if (entry.authors.has(author)) return
    entry.authors.add(author)
    entry.stake += this.stakes.of(author)
    const piece = this.pieces.find((each) => each.peer === from && each.from <= round && round <= each.to)
    if (piece === undefined) return
    piece.activeAtMs = nowMs
    piece.hasBrought = true
  }

  /** A peer has answered. What is lacking of the piece is asked for again in this turn (`ask`). */
  answered(from: AuthorityIndex, answer: RangeAnswer, nowMs: number): void {
    const piece = this.pieces.find((each) => each.peer === from && each.from === answer.from)
    if (piece === undefined) return
    const before = piece.from
    while (piece.from <= Math.min(answer.to, piece.to) && this.has(piece.from)) piece.from += 1
    piece.peer = undefined
    if (piece.from > before || piece.hasBrought) this.known[from]!.missed = 0
    else this.rest(from, nowMs)
    if (piece.from > piece.to) this.pieces = this.pieces.filter((each) => each !== piece)
  }

  /** Asks for what may be asked for now, of peers that have shown as much; `hasShown` says which. */
  ask(
    { quorumRound, target }: { quorumRound: Round; target: Round },
    hasShown: (peer: AuthorityIndex, round: Round) => boolean,
    turn: TurnBuilder,
  ): void {
    const { ms } = turn.now
    this.look(quorumRound, ms)
    const end = Math.min(target, Math.max(1, quorumRound) + this.gcDepth)
    while (this.pieces.length < RANGE_REQUESTS_MAX && this.nextRound <= end) {
      const to = Math.min(target, this.nextRound + this.roundsMax - 1)
      // A smaller one would be followed by many that are as small.
      if (to > end) break
      this.pieces.push({ from: this.nextRound, to, peer: undefined, askedAtMs: 0, activeAtMs: 0, hasBrought: false })
      this.nextRound = to + 1
    }
    for (const piece of this.pieces) {
      if (piece.peer !== undefined) continue
      const peer = this.peerFor(piece, hasShown, ms)
      if (peer === undefined) continue
      Object.assign(piece, { peer, askedAtMs: ms, activeAtMs: ms, hasBrought: false })
      turn.sendAtOnce(peer, encodeRangeRequest(piece))
    }
    this.wakeMs = this.nextLookMs(ms)
  }

  /** Asks one peer for the rounds from this one on, of which nothing is known. */
  askForLast(quorumRound: Round, turn: TurnBuilder): void {
    const peer = this.peers.after(this.lastPeer)
    if (peer === undefined) return
    this.lastPeer = peer
    const from = Math.max(1, quorumRound)
    turn.sendAtOnce(peer, encodeRangeRequest({ from, to: from + this.lastRoundsMax - 1 }))
  }

  /** Nothing is to be asked for. An answer that comes still does no harm. */
  stop(): void {
    this.pieces = []
    this.arrived.clear()
    this.nextRound = 0
    this.quorumRound = -1
    this.wakeMs = Number.POSITIVE_INFINITY
  }

  get wakeAtMs(): number {
    return this.wakeMs
  }

  /** What is there is not asked for any more; who has not answered is asked no more. */
  private look(quorumRound: Round, nowMs: number): void {
    if (quorumRound !== this.quorumRound) {
      this.quorumRound = quorumRound
      this.movedAtMs = nowMs
      for (const round of this.arrived.keys()) if (round < quorumRound) this.arrived.delete(round)
      this.pieces = this.pieces.filter(({ to }) => to > quorumRound)
      if (this.nextRound <= quorumRound) this.nextRound = Math.max(1, quorumRound)
    }
    for (const piece of this.pieces) {
      const { peer } = piece
      if (peer === undefined || (this.peers.isConnected(peer) && nowMs < lateAtMs(piece))) continue
      this.rest(peer, nowMs)
      while (piece.from < piece.to && this.has(piece.from)) piece.from += 1
      piece.peer = undefined
    }
    // All that follows has come, it is said, and it cannot be delivered: it is asked for anew.
    if (this.isNextAsked || nowMs < this.movedAtMs + CERTIFICATE_RETRY_MS) return
    this.stop()
    this.quorumRound = quorumRound
    this.movedAtMs = nowMs
    this.nextRound = Math.max(1, quorumRound)
  }

  private get isNextAsked(): boolean {
    return this.pieces.some(({ from }) => from <= this.quorumRound + 1)
  }

  private has(round: Round): boolean {
    return round <= this.quorumRound || (this.arrived.get(round)?.stake ?? 0) >= this.stakes.quorum
  }

  private peerFor(
    { to }: Piece,
    hasShown: (peer: AuthorityIndex, round: Round) => boolean,
    nowMs: number,
  ): AuthorityIndex | undefined {
    const { size } = this.stakes
    let best: { peer: AuthorityIndex; cost: number } | undefined
    for (const peer of this.peers.all()) {
      const asked = this.pieces.filter((each) => each.peer === peer).length
      if (asked >= RANGE_REQUESTS_PER_PEER || this.known[peer]!.restsUntilMs > nowMs) continue
      // First those that have shown it, then those that are asked least, then the next in turn.
      const turns = (peer - this.lastPeer - 1 + 2 * size) % size
      const cost = ((hasShown(peer, to) ? 0 : RANGE_REQUESTS_PER_PEER) + asked) * size + turns
      if (best === undefined || cost < best.cost) best = { peer, cost }
    }
    if (best !== undefined) this.lastPeer = best.peer
    return best?.peer
  }

  private rest(peer: AuthorityIndex, nowMs: number): void {
    const known = this.known[peer]!
    known.restsUntilMs = nowMs + Math.min(RANGE_REST_MS_MAX, CERTIFICATE_RETRY_MS * 2 ** known.missed)
    known.missed = Math.min(known.missed + 1, Math.ceil(Math.log2(RANGE_REST_MS_MAX / CERTIFICATE_RETRY_MS)))
  }

  /** When somebody is late, or a peer has rested. What else matters is an event of its own. */
  private nextLookMs(nowMs: number): number {
    let at = this.isNextAsked ? Number.POSITIVE_INFINITY : this.movedAtMs + CERTIFICATE_RETRY_MS
    for (const piece of this.pieces) if (piece.peer !== undefined) at = Math.min(at, lateAtMs(piece))
    if (this.pieces.every(({ peer }) => peer !== undefined)) return at
    for (const { restsUntilMs } of this.known) if (restsUntilMs > nowMs) at = Math.min(at, restsUntilMs)
    return at
  }
}

function lateAtMs({ activeAtMs, askedAtMs }: Piece): number {
  return Math.min(activeAtMs + CERTIFICATE_RETRY_MS, askedAtMs + RANGE_ANSWER_MS_MAX)
}
