/** Synchronizer: what is missing before a header can get a vote or a certificate can be delivered. It changes nothing. */
import type { AuthorityRefusal } from '../../shared/refusals.js'
import { HEADER_ADOPTED_MAX } from '../../shared/wire/primary/limits.js'
import type { CertificatesAggregator } from './certificates-aggregator.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex, Digest, Header, PayloadEntry, Round } from './consensus/types.js'
import type { PayloadReceiver } from './payload-receiver.js'

export interface Problem {
  readonly reason: AuthorityRefusal
  readonly detail: string
}

export class Synchronizer {
  private readonly stakes: Stakes
  /** The ids of each authority's workers. */
  private readonly workers: readonly ReadonlySet<number>[]
  private readonly certificates: CertificatesAggregator
  private readonly payload: PayloadReceiver

  constructor(
    options: { stakes: Stakes; workers: readonly ReadonlySet<number>[] },
    dependencies: { certificates: CertificatesAggregator; payload: PayloadReceiver },
  ) {
    this.stakes = options.stakes
    this.workers = options.workers
    this.certificates = dependencies.certificates
    this.payload = dependencies.payload
  }

  /** Parents that are not delivered. Those of rounds at or below `gcRound` are not asked for. */
  missingParents(header: Header, gcRound: Round): Digest[] {
    if (header.round - 1 <= gcRound) return []
    return header.parents.filter((digest) => this.certificates.place(digest) === undefined)
  }

  /**
   * What is wrong with the parents, all of which are delivered: each of the round before, of an author of its own, and
   * together a quorum. One that is not known and not asked for is of a round at or below `gcRound`, or of no genesis.
   */
  problemOfParents({ round, parents }: Header): Problem | undefined {
    const authors = new Set<AuthorityIndex>()
    let stake = 0
    for (const digest of parents) {
      const place = this.certificates.place(digest)
      if (place === undefined)
        return { reason: 'parent-unknown', detail: `a parent of round ${round - 1} that is not asked for` }
      if (place.round !== round - 1) {
        return {
          reason: 'parent-of-other-round',
          detail: `a parent of round ${place.round} in a header of round ${round}`,
        }
      }
      if (authors.has(place.author)) {
        return { reason: 'parents-of-one-author', detail: `two parents of authority ${place.author}` }
      }
      authors.add(place.author)
      stake += this.stakes.of(place.author)
    }
    if (stake >= this.stakes.quorum) return undefined
    return {
      reason: 'parents-without-quorum',
      detail: `parents with ${stake} of the stake, expected ${this.stakes.quorum}`,
    }
  }

  /**
   * What makes a payload wrong for ever, whatever is stored later. What is listed of another authority is a claim, which
   * needs no vote to be true: it leads to nothing before others have made the same (`consensus/claims.ts`).
   */
  problemOfPayload(header: Header): Problem | undefined {
    const adopted = header.payload.reduce((count, { author }) => count + Number(author !== header.author), 0)
    if (adopted > HEADER_ADOPTED_MAX) {
      return { reason: 'payload-of-others', detail: `${adopted} batches of others, at most ${HEADER_ADOPTED_MAX}` }
    }
    for (const entry of header.payload) {
      const { author, worker, sequence } = entry
      if (!this.workers[author]!.has(worker)) {
        return { reason: 'payload-worker-unknown', detail: `authority ${author} has no worker ${worker}` }
      }
      if (this.payload.check(entry) === 'untrue') {
        return {
          reason: 'payload-untrue',
          detail: `batch ${sequence} of worker ${worker} says something else of itself`,
        }
      }
    }
    return undefined
  }

  /** Batches of the header's author that our own workers are not known to have. */
  missingPayload({ author, payload }: Header): PayloadEntry[] {
    return payload.filter((entry) => entry.author === author && this.isMissing(entry))
  }

  isMissing(entry: PayloadEntry): boolean {
    return this.payload.check(entry) === 'missing'
  }
}
