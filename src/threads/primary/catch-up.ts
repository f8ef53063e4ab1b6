/**
 * CatchUp: whether we are behind, and what follows. Parents are otherwise asked for by digest, a round for each answer. Who
 * is far behind, or hears nothing, asks for whole rounds (`range-requests.ts`).
 *
 * While we are behind we make no headers: nobody votes for those of rounds long past, and each costs a flush here and work
 * everywhere. We are behind when a peer has shown a certificate of a round that is far above ours, or when so much of what
 * authorities of the validity threshold have said, one of them honest, is not handled yet that it must be of such rounds.
 * Rounds that go on without us lose nothing by that. When no further round is there whole for BEHIND_WAIT_MS, the others may
 * be waiting for us, and we are not held any more: so no committee stands because of it, whoever is behind.
 *
 * Peers say which rounds they keep. When none of them has what comes next for us any more, we cannot catch up, and say so.
 */
import type { RangeAnswer } from '../../shared/wire/primary/requests.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex, Round } from './consensus/types.js'
import { BEHIND_WAIT_MS, CATCH_UP_ROUNDS, CERTIFICATE_RETRY_MS, HISTORY_RETRY_MS, SILENCE_MS } from './limits.js'
import type { Peers } from './peers.js'
import { RangeRequests } from './range-requests.js'
import type { TurnBuilder } from './turn.js'

export interface CatchUpOptions {
  readonly authority: AuthorityIndex
  readonly stakes: Stakes
  readonly gcDepth: number
}

export class CatchUp {
  private readonly stakes: Stakes
  private readonly peers: Peers
  private readonly requests: RangeRequests
  /** By peer: the highest round of which it has sent a verified certificate. */
  private readonly seen: Round[]
  /** By peer: the lowest round that it keeps, as it said last. */
  private readonly lowest: Round[]
  /** Peers of which much waits to be handled. */
  private backlog: readonly AuthorityIndex[] = []
  private quietSinceMs = Number.NEGATIVE_INFINITY
  private historyGone = false
  private askAgainAtMs = Number.NEGATIVE_INFINITY

  constructor(options: CatchUpOptions, peers: Peers) {
    const { size } = options.stakes
    this.stakes = options.stakes
    this.peers = peers
    this.requests = new RangeRequests(options, peers)
    this.seen = new Array<Round>(size).fill(0)
    this.lowest = new Array<Round>(size).fill(0)
  }

  /** A peer has shown a round by a verified certificate. A header shows nothing: its author can say any round. */
  saw(peer: AuthorityIndex, round: Round): void {
    if (round > this.seen[peer]!) this.seen[peer] = round
  }

  /** A verified certificate is here, and is delivered or waits for its parents. */
  came(peer: AuthorityIndex, round: Round, author: AuthorityIndex, nowMs: number): void {
    this.requests.came(peer, round, author, nowMs)
  }

  /** The highest of the rounds that peers have shown. */
  get seenRound(): Round {
    return Math.max(...this.seen)
  }

  /** A certificate was delivered. */
  delivered(nowMs: number): void {
    this.quietSinceMs = nowMs
  }

  /** Of these peers so much waits to be handled that it is of rounds long past. */
  backlogOf(peers: readonly AuthorityIndex[]): void {
    this.backlog = peers
  }

  /** A peer is there again, and may have another store. */
  connected(peer: AuthorityIndex): void {
    this.lowest[peer] = 0
    this.requests.connected(peer)
  }

  /** The end of an answer to a request for whole rounds. */
  answered(from: AuthorityIndex, answer: RangeAnswer, nowMs: number): void {
    this.lowest[from] = answer.lowest
    this.requests.answered(from, answer, nowMs)
  }

  /** No peer keeps what we need next any more. */
  get isHistoryGone(): boolean {
    return this.historyGone
  }

  /**
   * Asks, if it is time to.
   *
   * @param quorumRound the highest round of which we have a quorum
   */
  consider(quorumRound: Round, turn: TurnBuilder): void {
    const { ms } = turn.now
    if (this.quietSinceMs === Number.NEGATIVE_INFINITY) this.quietSinceMs = ms
    const isFar = this.look(quorumRound, turn)
    if (isFar && !(this.historyGone && ms < this.askAgainAtMs)) {
      this.askAgainAtMs = ms + HISTORY_RETRY_MS
      const hasShown = (peer: AuthorityIndex, round: Round): boolean => this.seen[peer]! >= round
      this.requests.ask({ quorumRound, target: this.seenRound }, hasShown, turn)
    } else {
      this.requests.stop()
      if (!isFar && ms >= this.quietSinceMs + SILENCE_MS) this.askForLast(quorumRound, turn)
    }
  }

  /** Takes note of whether the others still keep what we need. Returns whether we are far behind. */
  look(quorumRound: Round, turn: TurnBuilder): boolean {
    const isFar = this.isFar(quorumRound)
    this.noteHistory(isFar, quorumRound, turn)
    return isFar
  }

  wakeAtMs(quorumRound: Round): number {
    if (!this.isFar(quorumRound)) return this.quietSinceMs + SILENCE_MS
    return this.historyGone ? this.askAgainAtMs : this.requests.wakeAtMs
  }

  /** Whether it is proven that this peer is so far ahead that whole rounds are fetched. */
  isAhead(peer: AuthorityIndex, quorumRound: Round): boolean {
    return this.seen[peer]! > quorumRound + CATCH_UP_ROUNDS
  }

  /** Until when headers are held, given when the last round became whole; no time if they are not. */
  heldUntilMs(quorumRound: Round, quorumAtMs: number): number {
    if (this.historyGone) return Number.POSITIVE_INFINITY
    const waiting = this.stakes.sum(this.backlog)
    const isBehind = waiting >= this.stakes.validity || this.seenRound > quorumRound + CATCH_UP_ROUNDS
    return isBehind ? quorumAtMs + BEHIND_WAIT_MS : Number.NEGATIVE_INFINITY
  }

  /** When a parent that is not here is asked for: whole rounds that are on their way have it. */
  parentsAtMs(quorumRound: Round, nowMs: number): number {
    return this.isFar(quorumRound) ? nowMs + CERTIFICATE_RETRY_MS : nowMs
  }

  /** Somebody who is connected is far ahead. */
  private isFar(quorumRound: Round): boolean {
    return this.peers.all().some((peer) => this.isAhead(peer, quorumRound))
  }

  /** Of one peer, as nothing is known of any: what was lost on its way is no stall. */
  private askForLast(quorumRound: Round, turn: TurnBuilder): void {
    this.quietSinceMs = turn.now.ms
    this.requests.askForLast(quorumRound, turn)
  }

  /** All that are connected, one that is honest among them, keep only what is too high for us. */
  private noteHistory(isFar: boolean, quorumRound: Round, turn: TurnBuilder): void {
    // As in nearly all turns.
    if (!isFar && !this.historyGone) return
    const peers = this.peers.all()
    const stake = this.stakes.sum(peers)
    const isGone = isFar && stake >= this.stakes.validity && peers.every((peer) => this.lowest[peer]! > quorumRound + 1)
    if (isGone === this.historyGone) return
    this.historyGone = isGone
    if (!isGone) return
    this.askAgainAtMs = turn.now.ms + HISTORY_RETRY_MS
    const lowest = Math.min(...peers.map((peer) => this.lowest[peer]!))
    turn.notice({ type: 'history-gone', round: quorumRound, lowest })
  }
}
