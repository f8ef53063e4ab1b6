/**
 * Tusk, as asonnino/narwhal has it (consensus/src/lib.rs): for committees in which reference primaries take part, who
 * then commit in the same order. Names are those of that file.
 *
 * ```
 *  round    2        3        4        5
 *           L  ◀──── ●   ◀──  ●   ◀──  ●      a leader in each even round: the authority with index r mod n
 *              ◀──── ●                        direct: certificates of round 3 with V of the stake link it,
 *                                             and there is a certificate of round 5
 * ```
 *
 * One thing differs. The reference drops a certificate X of author a when a newer one of a is committed; but when X
 * arrives after that, it keeps X and commits it, so two honest nodes can differ. The reference passes over a certificate
 * whose round `==` the last committed round of its author. Here it is `<=`: such an X is never committed, by anybody. In
 * every run in which the reference does not fork, the two orders are the same.
 */
import { members } from './authority-set.js'
import type { Dag } from './dag.js'
import { nextAnchor, type Rule, type RuleState, type Slot } from './rule.js'
import type { Stakes } from './stakes.js'
import type { AuthorityIndex, Round, SubDag, Vertex } from './types.js'

export interface TuskState {
  /** By author: the highest committed round, 0 if none. `last_committed` */
  readonly lastCommitted: readonly Round[]
}

export class Tusk implements Rule {
  readonly name = 'tusk'
  private readonly stakes: Stakes
  private readonly gcDepth: number
  private readonly lastCommitted: Round[]

  constructor(stakes: Stakes, gcDepth: number, state?: TuskState) {
    this.stakes = stakes
    this.gcDepth = gcDepth
    this.lastCommitted = [...(state?.lastCommitted ?? new Array<Round>(stakes.size).fill(0))]
  }

  /** `last_committed_round`: that of the last leader. */
  get decidedRound(): Round {
    return Math.max(...this.lastCommitted)
  }

  /** The reference keeps a round r while r + gc_depth ≥ `last_committed_round`. */
  get gcRound(): Round {
    return Math.max(0, this.decidedRound - this.gcDepth - 1)
  }

  next(dag: Dag): SubDag | undefined {
    const anchor = nextAnchor(dag, this.leaders(dag), (leader) => dag.linksOf(leader) >= this.stakes.validity)
    if (anchor === undefined) return undefined
    const vertices = this.orderDag(dag, anchor)
    for (const { author, round } of vertices) {
      this.lastCommitted[author] = Math.max(this.lastCommitted[author]!, round)
    }
    return { anchor, vertices }
  }

  /** A vertex that is not newer than the last committed one of its author is passed over. */
  isOver(round: Round, author: AuthorityIndex): boolean {
    return round <= this.gcRound || round <= this.lastCommitted[author]!
  }

  snapshot(): RuleState {
    return { lastCommitted: [...this.lastCommitted] } satisfies TuskState
  }

  /** `leader`. The reference has a common coin in the paper and this in the code. */
  protected leader(round: Round): AuthorityIndex {
    return round % this.stakes.size
  }

  /** Leaders that a certificate three rounds above may commit. `order_leaders` */
  private leaders(dag: Dag): Slot[] {
    const slots: Slot[] = []
    for (let round = this.decidedRound + 2; round + 3 <= dag.highestRound; round += 2) {
      slots.push({ round, author: this.leader(round) })
    }
    return slots
  }

  /**
   * `order_dag`: depth first from the leader, parents by ascending digest, then by round; the sort keeps the order within
   * a round.
   */
  private orderDag(dag: Dag, leader: Vertex): Vertex[] {
    const oldest = this.decidedRound - this.gcDepth
    const ordered: Vertex[] = []
    const alreadyOrdered = new Set<Vertex>()
    const buffer = [leader]
    for (let vertex = buffer.pop(); vertex !== undefined; vertex = buffer.pop()) {
      ordered.push(vertex)
      for (const parent of parentsByDigest(dag, vertex)) {
        if (alreadyOrdered.has(parent) || parent.round <= this.lastCommitted[parent.author]!) continue
        buffer.push(parent)
        alreadyOrdered.add(parent)
      }
    }
    return ordered.filter(({ round }) => round >= oldest).sort((a, b) => a.round - b.round)
  }
}

/** Those that are not collected. */
function parentsByDigest(dag: Dag, { round, parents }: Vertex): Vertex[] {
  const found = members(parents).flatMap((author) => dag.vertex(round - 1, author) ?? [])
  return found.sort((a, b) => (a.digest < b.digest ? -1 : 1))
}
