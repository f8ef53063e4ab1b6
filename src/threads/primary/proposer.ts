/**
 * Proposer: our own headers. One in a round, and only in rounds above the last one, for as long as this authority lives.
 *
 * The next header goes out when
 *
 * 1. a round r has a quorum of certificates, and we have no header above r yet;
 * 2. our own certificate of r is there, or was waited for (it is given up then, and its batches are proposed again);
 * 3. so are those certificates of r that are worth a wait (`pacing.ts`);
 * 4. there is something to order, or others are in a round that can have no quorum without us, and `headerDelayMs` has
 *    passed since our last header, or a second has.
 *
 * Left behind, with a header below r, we jump to r + 1 at once, or to r, if the others may wait there for one that is far:
 * so who is far has a header in each round that it hears of, and the others link the one for which they wait. When the order has not moved for
 * `gc_depth` rounds, headers carry no batches and go out at `max_header_delay` and slower: only higher rounds can decide
 * what is undecided, so there is no bound on rounds, and memory must not fill meanwhile.
 */

import { type BatchEntry, compareEntries } from '../../shared/wire/primary/header.js'
import { HEADER_PAYLOAD_MAX } from '../../shared/wire/primary/limits.js'
import type { CertificatesAggregator } from './certificates-aggregator.js'
import type { AuthorityIndex, Digest, Header, PayloadEntry, Round } from './consensus/types.js'
import {
  CREATED_AHEAD_MS_MAX,
  HEARTBEAT_MS,
  PATIENT_ROUNDS,
  STALL_DELAY_MS_MAX,
  STALL_DELAY_MS_PER_ROUND,
  VOTED_WORK_MS,
} from './limits.js'
import { batchKey, type OwnBatches } from './own-batches.js'
import type { Pacing } from './pacing.js'
import { PayloadLimit } from './payload-limit.js'
import type { CertificateRecord, HeaderRecord } from './records.js'
import type { Now } from './turn.js'

export interface ProposerOptions {
  readonly authority: AuthorityIndex
  readonly gcDepth: number
  readonly maxHeaderDelayMs: number
}

/** What the next header is to be made of. */
export interface Proposal {
  readonly round: Round
  readonly createdAt: number
  readonly parents: readonly Digest[]
  readonly payload: readonly BatchEntry[]
}

interface ProposerDependencies {
  readonly certificates: CertificatesAggregator
  readonly ownBatches: OwnBatches
  readonly pacing: Pacing
}

export class Proposer {
  private readonly options: ProposerOptions
  private readonly certificates: CertificatesAggregator
  private readonly ownBatches: OwnBatches
  private readonly pacing: Pacing
  private last: HeaderRecord | undefined
  private lastAtMs = Number.NEGATIVE_INFINITY
  /** What may be signed is of rounds above it. */
  private signedRound: Round = 0
  private readonly payloadLimit = new PayloadLimit()
  /** The first batch of our last header that was given up with batches. */
  private givenUpFirst: string | undefined
  /** Round and time of our highest header that is certified. */
  private certifiedCreated = { round: 0, createdAt: 0 }
  /** Delivered certificates with batches that are not in the order. */
  private readonly unordered = new Map<Digest, CertificateRecord>()
  /** By author: until when a header that we voted for, with batches, counts as work. */
  private readonly voted = new Map<AuthorityIndex, { readonly round: Round; readonly untilMs: number }>()

  /** @param last our last header, of a store */
  constructor(options: ProposerOptions, dependencies: ProposerDependencies, last?: HeaderRecord) {
    this.options = options
    this.certificates = dependencies.certificates
    this.ownBatches = dependencies.ownBatches
    this.pacing = dependencies.pacing
    this.last = last
  }

  get lastHeader(): HeaderRecord | undefined {
    return this.last
  }

  /** Delivered certificates with batches that are not in the order. */
  get unorderedCount(): number {
    return this.unordered.size
  }

  /** After a store was lost, nothing may be signed in the rounds up to this one. */
  signsAbove(round: Round): void {
    this.signedRound = round
  }

  /** Whether it is looked for a batch that no quorum can get. */
  get isSearching(): boolean {
    return this.payloadLimit.isSearching
  }

  /** A certificate was delivered. */
  delivered(certificate: CertificateRecord): void {
    const { header, digest } = certificate
    if (header.payload.length > 0) this.unordered.set(digest, certificate)
    if ((this.voted.get(header.author)?.round ?? 0) <= header.round) this.voted.delete(header.author)
  }

  /** A header of ours is certified: all others hold us to its time. */
  certified({ round, createdAt }: Header): void {
    if (round > this.certifiedCreated.round) this.certifiedCreated = { round, createdAt }
  }

  /** Our last header, with these batches, is given up. */
  givenUp(listed: readonly PayloadEntry[]): void {
    const payload = this.ownOf(listed)
    const [key] = payload.map(ownKey)
    // One that was tried again alone shows nothing about the others.
    if (key !== undefined && this.ownBatches.isSetAside(key)) return
    this.payloadLimit.givenUp(payload.length)
    if (key !== undefined) this.givenUpFirst = key
  }

  /** Our last header is certified. Returns the batch that kept the one before from it, when that is known. */
  lastCertified(payload: readonly PayloadEntry[]): BatchEntry | undefined {
    if (!this.payloadLimit.certified(this.ownOf(payload).length) || this.givenUpFirst === undefined) return undefined
    return this.ownBatches.setAside(this.givenUpFirst)
  }

  /** We voted for a header. */
  votedFor(header: HeaderRecord, nowMs: number): void {
    if (header.payload.length === 0) this.voted.delete(header.author)
    else this.voted.set(header.author, { round: header.round, untilMs: nowMs + VOTED_WORK_MS })
  }

  /** A certificate is in the order. */
  ordered(digest: Digest): void {
    this.unordered.delete(digest)
  }

  /** Forgets certificates that will never be ordered. */
  collect(isOver: (round: Round, author: AuthorityIndex) => boolean): void {
    for (const [digest, { header }] of this.unordered) {
      if (isOver(header.round, header.author)) this.unordered.delete(digest)
    }
  }

  /** A header of ours was made and signed. */
  made(header: HeaderRecord, nowMs: number): void {
    this.last = header
    this.lastAtMs = nowMs
  }

  /** When the next header is due, with what is known now; Infinity while no round above our last header has a quorum. */
  dueAtMs(nowMs: number, decidedRound: Round): number {
    const round = this.certificates.quorumRound
    const lastRound = this.last?.round ?? 0
    if (lastRound > round) return Number.POSITIVE_INFINITY
    const at = this.certificates.at(round)
    const quorumAtMs = round === 0 ? Number.NEGATIVE_INFINITY : at!.quorumAtMs!
    const has = (author: AuthorityIndex): boolean => round === 0 || at!.byAuthor.has(author)
    const isLeftBehind = lastRound < round
    if (isLeftBehind && !this.isStalled(round, decidedRound)) return quorumAtMs
    const parentsAtMs = this.pacing.parentsAtMs(round, quorumAtMs, has)
    const ownAtMs = has(this.options.authority) ? quorumAtMs : quorumAtMs + this.pacing.ownWaitMs(round)
    return Math.max(parentsAtMs, ownAtMs, this.lastAtMs + this.delayMs(nowMs, round, decidedRound))
  }

  /** The round of the next header. */
  get nextRound(): Round {
    return this.parentRound + 1
  }

  /** Whether the next header may list batches of others. */
  mayAdopt(decidedRound: Round): boolean {
    return !this.payloadLimit.isSearching && !this.isStalled(this.parentRound, decidedRound)
  }

  /**
   * The next header. The one before is given up, if it has no certificate.
   *
   * @param adopted batches of others that it lists
   */
  propose({ ms, unixMs }: Now, decidedRound: Round, adopted: readonly BatchEntry[] = []): Proposal {
    const parentRound = this.parentRound
    const at = this.certificates.at(parentRound)
    if (at?.quorumAtMs !== undefined) {
      this.pacing.proposed(parentRound, ms - at.quorumAtMs, (author) => at.byAuthor.has(author))
    }
    const round = parentRound + 1
    const countMax = Math.min(this.payloadLimit.count, HEADER_PAYLOAD_MAX - adopted.length)
    const own = this.ownBatches.take(round, this.isStalled(parentRound, decidedRound) ? 0 : countMax)
    const parents = this.certificates.parentsFor(parentRound)
    return {
      round,
      createdAt: this.createdAt(unixMs, parents),
      parents,
      payload: adopted.length === 0 ? own : [...own, ...adopted].sort(compareEntries),
    }
  }

  /** Without what we list of others, which needs no voter to hold it. */
  private ownOf(payload: readonly PayloadEntry[]): PayloadEntry[] {
    return payload.filter(({ author }) => author === this.options.authority)
  }

  /** Others that wait for our certificate wait in rounds of the pacing; of no other round that has a quorum is it of use. */
  private get parentRound(): Round {
    const { quorumRound } = this.certificates
    const signedRound = Math.max(this.signedRound, this.last?.round ?? 0)
    const isMissed = quorumRound % PATIENT_ROUNDS === 0 && signedRound < quorumRound
    return isMissed && this.certificates.at(quorumRound - 1)?.quorumAtMs !== undefined ? quorumRound - 1 : quorumRound
  }

  /**
   * Our clock, and never less than what the parents' clocks say, or our last header. But a last header that nobody has
   * certified, and that is far ahead of our clock, was a glitch of the clock: whoever went on from it would be refused by
   * all for ever.
   */
  private createdAt(unixMs: number, parents: readonly Digest[]): number {
    const last = this.last?.createdAt ?? 0
    return Math.max(
      unixMs,
      this.certificates.medianCreatedAt(parents),
      this.certifiedCreated.createdAt,
      last <= unixMs + CREATED_AHEAD_MS_MAX ? last : 0,
    )
  }

  private delayMs(nowMs: number, round: Round, decidedRound: Round): number {
    const { gcDepth, maxHeaderDelayMs } = this.options
    if (this.isStalled(round, decidedRound)) {
      const depths = Math.floor((round - decidedRound) / gcDepth)
      const slowedMs = Math.min(STALL_DELAY_MS_MAX, (round - decidedRound) * STALL_DELAY_MS_PER_ROUND)
      return Math.max(slowedMs, Math.min(Math.max(HEARTBEAT_MS, maxHeaderDelayMs), maxHeaderDelayMs * depths))
    }
    return this.hasWork(nowMs, round) ? this.pacing.headerDelayMs : HEARTBEAT_MS
  }

  private isStalled(round: Round, decidedRound: Round): boolean {
    return round - decidedRound > this.options.gcDepth
  }

  /**
   * Whether a header above this round is needed to have something ordered. A header that we voted for brings work to its
   * own round and those below; what comes after that waits for its certificate.
   */
  private hasWork(nowMs: number, quorumRound: Round): boolean {
    if (this.ownBatches.waiting > 0 || this.ownBatches.listed > 0 || this.unordered.size > 0) return true
    // The round above is under way: who is in it already brings nothing new into the order before it is whole.
    if (this.certificates.waitsFor(quorumRound + 1, this.options.authority)) return true
    for (const { round, untilMs } of this.voted.values()) if (untilMs > nowMs && round > quorumRound) return true
    return false
  }
}

function ownKey({ worker, sequence }: PayloadEntry): string {
  return batchKey({ worker, sequence: sequence! })
}
