/**
 * A rule of consensus: from the DAG and what it has committed so far it says what comes next. It is a pure function of
 * these two. It reads no clock, and no order of arrival.
 */
import type { Dag } from './dag.js'
import type { HeaderVotes } from './header-votes.js'
import type { AuthorityIndex, Round, SubDag, Vertex } from './types.js'

export interface Rule {
  readonly name: RuleName
  /** The next sub-dag that is decided, if one is. The rule has then moved past it. */
  next(dag: Dag, headers: HeaderVotes): SubDag | undefined
  /** No later sub-dag has a vertex of a round at or below it. It never falls. */
  readonly gcRound: Round
  /** All anchors of rounds up to it are decided. It never falls. */
  readonly decidedRound: Round
  /** Whether no later sub-dag has the vertex of this round and author: it is committed, or never will be. */
  isOver(round: Round, author: AuthorityIndex): boolean
  /** What the rule knows of the committed prefix, as JSON has it. */
  snapshot(): RuleState
}

export const RULE_NAMES = ['shoal', 'tusk', 'bullshark'] as const
export type RuleName = (typeof RULE_NAMES)[number]

/** The state of a rule. Sets of authorities are hexadecimal. */
export type RuleState = Readonly<Record<string, unknown>>

/** A place in the order of anchors: this author's vertex of this round. */
export interface Slot {
  readonly round: Round
  readonly author: number
}

/**
 * The vertex that comes next in the order, given the slots that may be next: the first slot that is committed directly,
 * and from there back to the earliest slot that is linked (Bullshark, `order_leaders`).
 *
 * ```
 *  slots     s0      s1      s2      s3        s3 is the first that is direct
 *            ●  ◀────────────●  ◀────●         s3 reaches s2, s2 does not reach s1, s2 reaches s0: s0 is next
 * ```
 *
 * From a slot to the next there must be two rounds at least: V of the stake in the round above a direct slot then meets
 * the quorum that any later slot reaches there, so who has not seen the direct commit finds the same slot by its links.
 */
export function nextAnchor(
  dag: Dag,
  slots: readonly Slot[],
  isDirect: (vertex: Vertex) => boolean,
): Vertex | undefined {
  const vertices = slots.map(({ round, author }) => dag.vertex(round, author))
  const direct = vertices.findIndex((vertex) => vertex !== undefined && isDirect(vertex))
  let anchor = vertices[direct]
  for (let at = direct - 1; at >= 0; at -= 1) {
    const earlier = vertices[at]
    if (anchor !== undefined && earlier !== undefined && dag.hasPath(anchor, earlier)) anchor = earlier
  }
  return anchor
}
