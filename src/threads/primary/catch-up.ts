/**
 * CatchUp: whole rounds, when we are far behind or hear nothing. Parents are otherwise asked for by digest, a round for
 * each answer; here one peer at a time is asked for as many rounds as may wait, and for the next ones when they are there.
 */
import { RANGE_ROUNDS_MAX } from '../../shared/wire/primary/limits.js'
import { encodeRangeRequest } from '../../shared/wire/primary/requests.js'
import type { AuthorityIndex, Round } from './consensus/types.js'
import { CATCH_UP_ROUNDS, CERTIFICATE_RETRY_MS, SILENCE_MS } from './limits.js'
import type { Peers } from './peers.js'
import type { TurnBuilder } from './turn.js'

export class CatchUp {
  private readonly peers: Peers
  private readonly roundsMax: number
  /** By peer: the highest round of which it has sent a verified certificate. */
  private readonly seen: Round[]
  private peer: AuthorityIndex
  private askedTo: Round = 0
  private askedAtMs = Number.NEGATIVE_INFINITY
  private quietSinceMs = Number.NEGATIVE_INFINITY

  constructor(options: { authority: AuthorityIndex; authorities: number; gcDepth: number }, peers: Peers) {
    this.peers = peers
    this.peer = options.authority
    this.roundsMax = Math.min(RANGE_ROUNDS_MAX, options.gcDepth)
    this.seen = new Array<Round>(options.authorities).fill(0)
  }

  /** A peer has shown a round by a verified certificate. A header shows nothing: its author can say any round. */
  saw(peer: AuthorityIndex, round: Round): void {
    if (round > this.seen[peer]!) this.seen[peer] = round
  }

  /** The highest of these rounds. */
  get seenRound(): Round {
    return Math.max(...this.seen)
  }

  /** A certificate was delivered. */
  delivered(nowMs: number): void {
    this.quietSinceMs = nowMs
  }

  /**
   * Asks, if it is time to.
   *
   * @param quorumRound the highest round of which we have a quorum
   */
  consider(quorumRound: Round, turn: TurnBuilder): void {
    const { ms } = turn.now
    if (this.quietSinceMs === Number.NEGATIVE_INFINITY) this.quietSinceMs = ms
    const isSilent = ms >= this.quietSinceMs + SILENCE_MS
    if (!isSilent && !this.isBehind(quorumRound)) return
    const isAnswered = this.askedTo > 0 && quorumRound >= this.askedTo
    if (!isAnswered && ms < this.askedAtMs + CERTIFICATE_RETRY_MS) return
    this.askedAtMs = ms
    this.quietSinceMs = ms
    if (!isAnswered || !this.peers.isConnected(this.peer)) {
      const next = this.peers.after(this.peer)
      if (next === undefined) return
      this.peer = next
    }
    const from = Math.max(1, quorumRound)
    this.askedTo = from + this.roundsMax - 1
    turn.sendAtOnce(this.peer, encodeRangeRequest({ from, to: this.askedTo }))
  }

  wakeAtMs(quorumRound: Round): number {
    const silentAtMs = this.quietSinceMs + SILENCE_MS
    if (!this.isBehind(quorumRound)) return silentAtMs
    return Math.min(silentAtMs, this.askedAtMs + CERTIFICATE_RETRY_MS)
  }

  /** Whether it is proven that this peer is so far ahead that whole rounds are fetched. */
  isAhead(peer: AuthorityIndex, quorumRound: Round): boolean {
    return this.seen[peer]! > quorumRound + CATCH_UP_ROUNDS
  }

  private isBehind(quorumRound: Round): boolean {
    return this.peers.all().some((peer) => this.isAhead(peer, quorumRound))
  }
}
