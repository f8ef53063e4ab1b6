/**
 * Pacing: for how long the proposer waits before the next header. It decides how fast rounds are, never what is ordered.
 *
 * A certificate that no header of the next round links may never be ordered, so certificates that are not part of the
 * quorum are worth a wait. Whoever is waited for slows all others, so both waits are a bounded part of the time:
 *
 * - In each round, those that answered lately: twice their usual lag behind the quorum, and a part of a round at most
 *   (`PARENT_WAIT_SHARE`), all of them together. Who usually comes later than that is not waited for.
 * - In *patient* rounds, who is connected and farther away: as long as its certificate needs. The farther it is the rarer
 *   these rounds are, so that such waits are a part of the time as well (`PATIENT_WAIT_SHARE`). All authorities must wait
 *   in the same round, or the one that does is late itself: so it is each 2ᵏth round, and who counts with a larger k
 *   waits in rounds in which all others do. Who is waited for in vain is waited for half as often, and so on.
 *
 * `headerDelayMs` is the time between two headers. A round costs the machine time that batches need as well, so it grows
 * while the event loop is late, and shrinks again.
 */
import type { AuthorityIndex, Round } from './consensus/types.js'
import * as limits from './limits.js'
import type { Peers } from './peers.js'

/** What is known of the certificates of an author. */
interface Author {
  /** Of the last certificate that came. */
  lastRound: Round
  /** How long its certificates usually come after the quorum, in ms; Infinity until one has come. */
  lagMs: number
  /** Patient rounds in a row in which it did not come. */
  missed: number
  /** It is waited for in each so manieth round, a power of two. */
  every: number
}

export class Pacing {
  private readonly authority: AuthorityIndex
  private readonly peers: Pick<Peers, 'isConnected'>
  private readonly authors: Author[]
  /** How long the last rounds took from our header to the quorum: without rest, and without what we waited before. */
  private readonly durations: number[] = []
  private certifiedMs = 0
  private delayMs = limits.HEADER_DELAY_MS_MIN

  constructor(authority: AuthorityIndex, authorities: number, peers: Pick<Peers, 'isConnected'>) {
    this.authority = authority
    this.peers = peers
    this.authors = Array.from({ length: authorities }, () => ({
      lastRound: Number.NEGATIVE_INFINITY,
      lagMs: Number.POSITIVE_INFINITY,
      missed: 0,
      every: 1,
    }))
    for (const known of this.authors) this.review(known)
  }

  get headerDelayMs(): number {
    return this.delayMs
  }

  /** How long a round takes while there is work, in the median. */
  get roundMs(): number {
    const sorted = [...this.durations].sort((a, b) => a - b)
    return Math.max(this.delayMs, sorted[sorted.length >> 1] ?? 0)
  }

  /** How long a header of ours has until it counts as one that gets no certificate. When we are far, it needs longer. */
  get certificateMs(): number {
    return Math.max(limits.OWN_WAIT_MS, Math.min(limits.OWN_WAIT_MS_MAX, 2 * this.certifiedMs))
  }

  /**
   * How long our own certificate of this round is waited for. When it usually needs longer than a round, we do not wait
   * before a round in which the others may wait for us.
   */
  ownWaitMs(round: Round): number {
    const isFar = this.certifiedMs > this.roundMs
    return isFar && (round + 1) % limits.PATIENT_ROUNDS === 0 ? 0 : this.certificateMs
  }

  /** The event loop is late by so much. */
  load(lagMs: number): void {
    const next = lagMs > limits.LOAD_LAG_MS ? this.delayMs * 1.25 : this.delayMs * 0.9
    this.delayMs = Math.min(limits.HEADER_DELAY_MS_MAX, Math.max(limits.HEADER_DELAY_MS_MIN, next))
  }

  /** A header of ours has got its certificate, so long after it was made. */
  certified(afterMs: number): void {
    this.certifiedMs = this.certifiedMs * 0.8 + afterMs * 0.2
  }

  /** A peer is there again, and counts as one that comes. */
  connected(author: AuthorityIndex): void {
    const known = this.authors[author]!
    known.missed = 0
    this.review(known)
  }

  /** The round of our last header has a quorum of certificates, so long after that was made. */
  quorum(afterMs: number): void {
    this.durations.push(afterMs)
    if (this.durations.length > limits.ROUNDS_MEASURED) this.durations.shift()
    for (const known of this.authors) this.review(known)
  }

  /** A certificate came, so long after the quorum of its round; 0 if it was part of it. */
  arrived(author: AuthorityIndex, round: Round, lagMs: number): void {
    const known = this.authors[author]!
    if (round > known.lastRound) known.lastRound = round
    if (lagMs <= this.patientMs(known)) known.missed = 0
    const lag = Math.min(lagMs, limits.PATIENT_WAIT_MS_MAX)
    known.lagMs = known.lagMs === Number.POSITIVE_INFINITY ? lag : known.lagMs * 0.8 + lag * 0.2
    this.review(known)
  }

  /**
   * When all certificates of a round that are worth waiting for have come, or have been waited for.
   *
   * @param has whether the certificate of an author came
   */
  parentsAtMs(round: Round, quorumAtMs: number, has: (author: AuthorityIndex) => boolean): number {
    let waitMs = 0
    for (const [author, known] of this.authors.entries()) {
      if (author === this.authority || has(author)) continue
      waitMs = Math.max(waitMs, this.usualMs(known, round), this.isPatient(author, round) ? this.patientMs(known) : 0)
    }
    return quorumAtMs + waitMs
  }

  /** A header with these parents is made: who was waited for in vain is waited for half as often. */
  proposed(round: Round, waitedMs: number, has: (author: AuthorityIndex) => boolean): void {
    for (const [author, known] of this.authors.entries()) {
      if (author === this.authority || has(author) || !this.isPatient(author, round)) continue
      if (waitedMs < this.patientMs(known)) continue
      known.missed = Math.min(limits.PATIENT_MISSED_MAX, known.missed + 1)
      this.review(known)
    }
  }

  private usualMs({ lagMs, lastRound }: Author, round: Round): number {
    const mostMs = this.roundMs * limits.PARENT_WAIT_SHARE
    if (lastRound < round - limits.RESPONSIVE_ROUNDS || lagMs > mostMs) return 0
    return Math.min(Math.max(limits.PARENT_WAIT_MS_MIN, 2 * lagMs), mostMs)
  }

  /** Whether this round is one in which this author is waited for as long as it needs. */
  private isPatient(author: AuthorityIndex, round: Round): boolean {
    const { every, missed } = this.authors[author]!
    return this.peers.isConnected(author) && round % (every * 2 ** missed) === 0
  }

  /** It becomes more often only when it may be by far: all authorities are to agree, and each measures something else. */
  private review(known: Author): void {
    const rounds = Math.max(1, this.patientMs(known) / (this.roundMs * limits.PATIENT_WAIT_SHARE))
    if (rounds > known.every || rounds < known.every * limits.PATIENT_OFTENER) {
      known.every = 2 ** Math.ceil(Math.log2(rounds))
    }
  }

  private patientMs({ lagMs, missed }: Author): number {
    // Who did not come may have moved away.
    if (missed > 0) return limits.PATIENT_WAIT_MS_MAX
    if (lagMs === Number.POSITIVE_INFINITY) return limits.PATIENT_WAIT_MS_FIRST
    return Math.min(limits.PATIENT_WAIT_MS_MAX, lagMs * limits.PATIENT_WAIT_FACTOR + limits.PATIENT_WAIT_MS_MORE)
  }
}
