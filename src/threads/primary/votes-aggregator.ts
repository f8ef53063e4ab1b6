/** VotesAggregator: the votes for our own header, until they are a quorum. Then they are its certificate, once. */
import type { CertificateVote } from '../../shared/wire/primary/certificate.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex } from './consensus/types.js'
import type { HeaderRecord } from './records.js'

export class VotesAggregator {
  readonly header: HeaderRecord
  private readonly stakes: Stakes
  private readonly signatures = new Map<AuthorityIndex, Uint8Array>()
  private stake = 0

  constructor(header: HeaderRecord, stakes: Stakes) {
    this.header = header
    this.stakes = stakes
  }

  has(voter: AuthorityIndex): boolean {
    return this.signatures.has(voter)
  }

  /** Stake that has not voted yet. */
  get missing(): AuthorityIndex[] {
    return Array.from({ length: this.stakes.size }, (_, index) => index).filter((index) => !this.has(index))
  }

  /**
   * Adds a verified vote of a voter that has not voted yet.
   *
   * @returns the votes by ascending voter, when this one makes them a quorum
   */
  add(voter: AuthorityIndex, signature: Uint8Array): CertificateVote[] | undefined {
    const before = this.stake
    this.signatures.set(voter, signature)
    this.stake += this.stakes.of(voter)
    if (before >= this.stakes.quorum || this.stake < this.stakes.quorum) return undefined
    return [...this.signatures].map(([voter, signature]) => ({ voter, signature })).sort((a, b) => a.voter - b.voter)
  }
}
