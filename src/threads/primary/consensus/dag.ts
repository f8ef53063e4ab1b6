/**
 * The certificates that may still matter to the order, by round and author.
 *
 * ```
 *           author 0   1   2   3
 *  round 9         ●   ●   ·   ●      ● links at least a quorum of the round below
 *  round 8         ●   ●   ●   ●
 *  round 7         ●   ·   ●   ●
 *  ─ gcRound = 6 ────────────────     at or below it nothing is kept, and nothing is asked for
 * ```
 *
 * It holds at most one certificate for each author and round, and only rounds above `gcRound`. A certificate is taken
 * when each of its parents is here or of a round at or below `gcRound`; so all that a certificate reaches above `gcRound`
 * is here as well. `gcRound` is moved by the rule, and never to where a later sub-dag can reach (`docs/consensus.md`).
 *
 * How far the highest round is above `gcRound`: `gcDepth`, and the rounds since the last commit. Each of these needs a
 * quorum of the round before, so no authority makes rounds alone.
 */
import { assert } from '../../../shared/assert.js'
import { has, NOBODY, only } from './authority-set.js'
import { CertificateEquivocationError } from './equivocation.js'
import type { Stakes } from './stakes.js'
import type { AuthorityIndex, AuthoritySet, Certificate, Digest, Round, Vertex } from './types.js'

interface RoundOfVertices {
  /** By author; those that are missing are absent. */
  readonly vertices: Map<AuthorityIndex, Vertex>
  readonly authors: Map<Digest, AuthorityIndex>
  /** By author: the stake of the certificates one round above that link its vertex. */
  readonly links: number[]
}

export class Dag {
  private readonly stakes: Stakes
  private readonly rounds = new Map<Round, RoundOfVertices>()
  private highest: Round
  private collected: Round

  /** @param gcRound rounds at or below are collected already: 0 at genesis */
  constructor(stakes: Stakes, gcRound: Round) {
    this.stakes = stakes
    this.collected = gcRound
    this.highest = gcRound
  }

  /** Rounds at or below it are not kept. */
  get gcRound(): Round {
    return this.collected
  }

  /** The highest round with a certificate. */
  get highestRound(): Round {
    return this.highest
  }

  /** Rounds that are kept. */
  get size(): number {
    return this.rounds.size
  }

  /**
   * Adds a certificate, whose parents are here or too old.
   *
   * @returns whether it is new, and not too old
   * @throws CertificateEquivocationError the author has another certificate of that round
   */
  add(certificate: Certificate): boolean {
    const { digest, header } = certificate
    const { round, author } = header
    if (round <= this.collected) return false
    const known = this.vertex(round, author)
    if (known !== undefined) {
      if (known.digest === digest) return false
      throw new CertificateEquivocationError(known.certificate, certificate)
    }
    const parents = this.parentsOf(round, header.parents)
    const { vertices, authors } = this.roundOf(round)
    vertices.set(author, { round, author, digest, parents, certificate })
    authors.set(digest, author)
    this.highest = Math.max(this.highest, round)
    const below = this.rounds.get(round - 1)
    if (below !== undefined) {
      for (const parent of below.vertices.keys()) {
        if (has(parents, parent)) below.links[parent]! += this.stakes.of(author)
      }
    }
    return true
  }

  vertex(round: Round, author: AuthorityIndex): Vertex | undefined {
    return this.rounds.get(round)?.vertices.get(author)
  }

  /** The stake of the certificates of the next round that link this one. */
  linksOf({ round, author }: Vertex): number {
    return this.rounds.get(round)?.links[author] ?? 0
  }

  /** Whether a path of links leads from one vertex down to another. */
  hasPath(from: Vertex, to: Vertex): boolean {
    let reached = only(from.author)
    for (let round = from.round; round > to.round && reached !== NOBODY; round -= 1) {
      reached = this.linkedBy(round, reached)
    }
    return has(reached, to.author)
  }

  /** What these vertices of a round link, together. */
  linkedBy(round: Round, authors: AuthoritySet): AuthoritySet {
    let linked = NOBODY
    for (const vertex of this.rounds.get(round)?.vertices.values() ?? []) {
      if (has(authors, vertex.author)) linked |= vertex.parents
    }
    return linked
  }

  /**
   * The authors of the certificates of the round before that these digests name. Whoever hands in a header or a
   * certificate has seen to it that its parents are here, or too old, and that they have a quorum.
   */
  parentsOf(round: Round, digests: readonly Digest[]): AuthoritySet {
    if (round - 1 <= this.collected) return NOBODY
    const authors = this.rounds.get(round - 1)?.authors
    let parents = NOBODY
    for (const digest of digests) {
      const author = authors?.get(digest)
      assert(author !== undefined, `a parent of round ${round - 1} is not in the DAG`)
      assert(!has(parents, author), `a parent of round ${round - 1} is named twice`)
      parents |= only(author)
    }
    assert(this.stakes.ofSet(parents) >= this.stakes.quorum, `the parents of round ${round - 1} are no quorum`)
    return parents
  }

  /** Forgets all rounds at or below `gcRound`. */
  collect(gcRound: Round): void {
    for (; this.collected < gcRound; this.collected += 1) this.rounds.delete(this.collected + 1)
  }

  private roundOf(round: Round): RoundOfVertices {
    let found = this.rounds.get(round)
    if (found === undefined) {
      found = { vertices: new Map(), authors: new Map(), links: new Array<number>(this.stakes.size).fill(0) }
      this.rounds.set(round, found)
    }
    return found
  }
}
