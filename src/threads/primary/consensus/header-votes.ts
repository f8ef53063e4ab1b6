/**
 * The header path: what the headers of a round link, before any of them is certified.
 *
 * Every authority sends its header to all, so a header says one message earlier what its certificate will link. But an
 * author can send two headers of a round, to different authorities. Therefore:
 *
 * - The first header of an author and round counts, and only if the author sends no second. The second is evidence; from
 *   then on the author's headers of that round count for nothing.
 * - A decision by headers takes 2F + 1 of the stake, not V: of these at most F lie, and any anchor later on reaches all of
 *   the next round but F of the stake, so it reaches the certificate of at least one of the others (docs/consensus.md).
 *
 * Only rounds above the lowest undecided one are kept, one entry for each author.
 */
import { assert } from '../../../shared/assert.js'
import { has } from './authority-set.js'
import type { Dag } from './dag.js'
import type { HeaderEquivocation } from './equivocation.js'
import type { Stakes } from './stakes.js'
import type { AuthorityIndex, AuthoritySet, Header, Round, Vertex } from './types.js'

interface Entry {
  readonly header: Header
  readonly parents: AuthoritySet
  equivocated: boolean
}

export class HeaderVotes {
  private readonly stakes: Stakes
  private readonly rounds = new Map<Round, Map<AuthorityIndex, Entry>>()
  /** Rounds up to it are decided: what headers one above link is not asked for. */
  private decided: Round = 0

  constructor(stakes: Stakes) {
    this.stakes = stakes
  }

  /** Rounds that are kept. */
  get size(): number {
    return this.rounds.size
  }

  /** Takes a header whose parents are in the DAG or too old. Gives the evidence, when it is the author's second one. */
  add(header: Header, dag: Dag): HeaderEquivocation | undefined {
    const { author, round } = header
    assert(round - 1 <= dag.highestRound, `a header of round ${round} above round ${dag.highestRound}`)
    if (round - 1 <= this.decided) return undefined
    const entries = this.rounds.get(round) ?? new Map<AuthorityIndex, Entry>()
    this.rounds.set(round, entries)
    const known = entries.get(author)
    if (known === undefined) {
      entries.set(author, { header, parents: dag.parentsOf(round, header.parents), equivocated: false })
      return undefined
    }
    if (known.header.id === header.id) return undefined
    known.equivocated = true
    return { first: known.header, second: header }
  }

  /** The stake of the headers of the next round that link this vertex. */
  linksOf(vertex: Vertex): number {
    let stake = 0
    for (const [author, { parents, equivocated }] of this.rounds.get(vertex.round + 1) ?? []) {
      if (!equivocated && has(parents, vertex.author)) stake += this.stakes.of(author)
    }
    return stake
  }

  /** All anchors of rounds up to `round` are decided. */
  forget(round: Round): void {
    this.decided = Math.max(this.decided, round)
    for (const kept of this.rounds.keys()) {
      if (kept - 1 <= this.decided) this.rounds.delete(kept)
    }
  }
}
