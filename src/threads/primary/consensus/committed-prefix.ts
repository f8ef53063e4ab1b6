/**
 * What is committed, by round and author, and the order of a sub-dag. For the rules whose sub-dag is
 *
 *   all that the anchor reaches in rounds above `anchor.round − gcDepth` and that no earlier commit has,
 *   ordered by (round, author index).
 *
 * The bound is one of the anchor, not of what has arrived. Rounds of anchors never fall, so it is never below `gcRound`:
 * all that is asked for had to be there before the anchor was taken. That is why garbage collection cannot change the
 * order (docs/consensus.md).
 */
import { assert } from '../../../shared/assert.js'
import { has, members, NOBODY, only, without } from './authority-set.js'
import type { Dag } from './dag.js'
import type { AuthorityIndex, AuthoritySet, Round, Vertex } from './types.js'

export interface CommittedPrefixState {
  readonly gcRound: Round
  /** The committed authors of each round above `gcRound` that has any: round, and the set in hexadecimal. */
  readonly committed: readonly (readonly [Round, string])[]
  /** By author: the highest round of which a vertex is committed, 0 if none. */
  readonly lastRounds: readonly Round[]
}

export class CommittedPrefix {
  private readonly gcDepth: number
  private readonly committed: Map<Round, AuthoritySet>
  private readonly lastRounds: Round[]
  private collected: Round

  constructor(authorities: number, gcDepth: number, state?: CommittedPrefixState) {
    this.gcDepth = gcDepth
    this.collected = state?.gcRound ?? 0
    this.committed = new Map(state?.committed.map(([round, set]) => [round, BigInt(`0x${set}`)]))
    this.lastRounds = [...(state?.lastRounds ?? new Array<Round>(authorities).fill(0))]
  }

  get gcRound(): Round {
    return this.collected
  }

  /** The highest round of which a vertex of this author is committed, 0 if none. */
  lastRoundOf(author: AuthorityIndex): Round {
    return this.lastRounds[author]!
  }

  isOver(round: Round, author: AuthorityIndex): boolean {
    return round <= this.collected || has(this.committed.get(round) ?? NOBODY, author)
  }

  /** Commits what the anchor adds, and says it in order: nothing when an earlier anchor had it all. */
  commit(dag: Dag, anchor: Vertex): Vertex[] {
    const bound = this.lowestRound(anchor)
    const byRound: Vertex[][] = []
    let reached = only(anchor.author)
    for (let round = anchor.round; round > bound && reached !== NOBODY; round -= 1) {
      // What a committed vertex reaches above its own anchor's bound is committed, and this bound is not lower.
      const fresh = without(reached, this.committed.get(round) ?? NOBODY)
      byRound.push(this.take(dag, round, fresh))
      reached = dag.linkedBy(round, fresh)
    }
    this.collect(anchor.round - this.gcDepth)
    return byRound.reverse().flat()
  }

  snapshot(): CommittedPrefixState {
    const rounds = [...this.committed].sort(([a], [b]) => a - b)
    return {
      gcRound: this.collected,
      committed: rounds.map(([round, set]) => [round, set.toString(16)] as const),
      lastRounds: [...this.lastRounds],
    }
  }

  /** The round above which a sub-dag takes vertices. */
  protected lowestRound(anchor: Vertex): Round {
    return Math.max(0, anchor.round - this.gcDepth)
  }

  private take(dag: Dag, round: Round, authors: AuthoritySet): Vertex[] {
    if (authors === NOBODY) return []
    this.committed.set(round, (this.committed.get(round) ?? NOBODY) | authors)
    return members(authors).map((author) => {
      const vertex = dag.vertex(round, author)
      assert(vertex !== undefined, `the vertex of authority ${author} in round ${round} is linked and not in the DAG`)
      this.lastRounds[author] = Math.max(this.lastRounds[author]!, round)
      return vertex
    })
  }

  private collect(gcRound: Round): void {
    this.collected = Math.max(this.collected, gcRound)
    for (const round of this.committed.keys()) {
      if (round <= this.collected) this.committed.delete(round)
    }
  }
}
