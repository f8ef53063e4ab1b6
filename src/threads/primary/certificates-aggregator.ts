/**
 * CertificatesAggregator: the delivered certificates by round, and which rounds have a quorum of them, so that headers of
 * the next round can be made. A certificate is delivered when it is verified and all its parents above `gcRound` are
 * delivered.
 *
 * It keeps the rounds from `gcRound` on, that one included: the parents of a header of the round above must be known to
 * be a quorum before it gets our vote.
 */
import { medianByStake } from './consensus/commit-timestamp.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex, Digest, Round } from './consensus/types.js'
import type { CertificateRecord } from './records.js'

export interface RoundCertificates {
  readonly byAuthor: ReadonlyMap<AuthorityIndex, CertificateRecord>
  readonly stake: number
  /** When these were a quorum first, by the clock that never goes back. */
  readonly quorumAtMs?: number
}

interface MutableRound {
  byAuthor: Map<AuthorityIndex, CertificateRecord>
  stake: number
  quorumAtMs?: number
}

interface Place {
  readonly round: Round
  readonly author: AuthorityIndex
  /** Absent for genesis. */
  readonly certificate?: CertificateRecord
}

export class CertificatesAggregator {
  private readonly stakes: Stakes
  private readonly rounds = new Map<Round, MutableRound>()
  private readonly places = new Map<Digest, Place>()
  private readonly genesis: readonly Digest[]
  private collected: Round = 0
  private highestRoundWithQuorum: Round = 0
  private highestCertificate: CertificateRecord | undefined

  /** @param genesis by author */
  constructor(stakes: Stakes, genesis: readonly Digest[]) {
    this.stakes = stakes
    this.genesis = genesis
    for (const [author, digest] of genesis.entries()) this.places.set(digest, { round: 0, author })
  }

  /**
   * The highest round of which a quorum is delivered; 0 is genesis. Of `gcRound` there was one, though its certificates may
   * not be here: behind a log that others have ordered.
   */
  get quorumRound(): Round {
    return Math.max(this.highestRoundWithQuorum, this.collected)
  }

  /** A certificate of the highest round. */
  get highest(): CertificateRecord | undefined {
    return this.highestCertificate
  }

  get size(): number {
    return this.places.size
  }

  /** Adds a delivered certificate. */
  add(certificate: CertificateRecord, nowMs: number): void {
    const { digest, header } = certificate
    const { round, author } = header
    if (round < this.collected || this.places.has(digest)) return
    let entry = this.rounds.get(round)
    if (entry === undefined) {
      entry = { byAuthor: new Map(), stake: 0 }
      this.rounds.set(round, entry)
    }
    entry.byAuthor.set(author, certificate)
    entry.stake += this.stakes.of(author)
    this.places.set(digest, { round, author, certificate })
    if (round > (this.highestCertificate?.header.round ?? 0)) this.highestCertificate = certificate
    if (entry.stake < this.stakes.quorum || entry.quorumAtMs !== undefined) return
    entry.quorumAtMs = nowMs
    this.highestRoundWithQuorum = Math.max(this.highestRoundWithQuorum, round)
  }

  place(digest: Digest): Place | undefined {
    return this.places.get(digest)
  }

  at(round: Round): RoundCertificates | undefined {
    return this.rounds.get(round)
  }

  /** Whether there are certificates of this round, and all others together are no quorum without this author. */
  waitsFor(round: Round, author: AuthorityIndex): boolean {
    return this.rounds.has(round) && this.stakes.total - this.stakes.of(author) < this.stakes.quorum
  }

  of(round: Round, author: AuthorityIndex): CertificateRecord | undefined {
    return this.rounds.get(round)?.byAuthor.get(author)
  }

  /** What a header of the round after this one may have as parents: all that are there. */
  parentsFor(round: Round): readonly Digest[] {
    if (round === 0) return this.genesis
    return [...(this.rounds.get(round)?.byAuthor.values() ?? [])].map(({ digest }) => digest)
  }

  /** The median by stake of the times of these delivered certificates, which no liar moves; 0 for genesis. */
  medianCreatedAt(digests: readonly Digest[]): number {
    const certificates = digests.flatMap((digest) => this.places.get(digest)?.certificate ?? [])
    const times = certificates.map(({ header: { author, createdAt } }) => ({
      stake: this.stakes.of(author),
      createdAt,
    }))
    return medianByStake(times) ?? 0
  }

  /** Forgets the rounds below `gcRound`. */
  collect(gcRound: Round): void {
    if (this.collected === 0 && gcRound > 0) for (const digest of this.genesis) this.places.delete(digest)
    for (; this.collected < gcRound; this.collected += 1) {
      for (const { digest } of this.rounds.get(this.collected)?.byAuthor.values() ?? []) this.places.delete(digest)
      this.rounds.delete(this.collected)
    }
  }
}
