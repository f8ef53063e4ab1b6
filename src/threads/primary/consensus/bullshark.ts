/**
 * Bullshark, partially synchronous (arXiv 2209.05633): the baseline. Its order is the one that was proven by machine
 * (TLA+: arXiv 2407.02167; with stake, ACL2: arXiv 2504.16853). It runs in tests and in the simulator.
 *
 * ```
 *  round    2        3        4        5
 *           L0 ◀──── ●        L1 ◀──── ●      a leader in each even round
 *              ◀──── ●           ◀──── ●      direct: certificates with V of the stake, one round above, link it
 * ```
 *
 * The leader of round r is the authority with index r/2 mod n, so that every authority leads. (The published code takes
 * r mod n, by which only every second authority of an even committee ever leads.)
 */
import { CommittedPrefix, type CommittedPrefixState } from './committed-prefix.js'
import type { Dag } from './dag.js'
import { nextAnchor, type Rule, type RuleState, type Slot } from './rule.js'
import type { Stakes } from './stakes.js'
import type { AuthorityIndex, Round, SubDag } from './types.js'

export interface BullsharkState extends CommittedPrefixState {
  /** The round of the last leader that was committed, 0 before the first. */
  readonly lastLeaderRound: Round
}

export class Bullshark implements Rule {
  readonly name = 'bullshark'
  private readonly stakes: Stakes
  private readonly prefix: CommittedPrefix
  private lastLeaderRound: Round

  constructor(stakes: Stakes, gcDepth: number, state?: BullsharkState) {
    this.stakes = stakes
    this.prefix = new CommittedPrefix(stakes.size, gcDepth, state)
    this.lastLeaderRound = state?.lastLeaderRound ?? 0
  }

  get gcRound(): Round {
    return this.prefix.gcRound
  }

  get decidedRound(): Round {
    return this.lastLeaderRound
  }

  next(dag: Dag): SubDag | undefined {
    const anchor = nextAnchor(dag, this.leaders(dag), (leader) => dag.linksOf(leader) >= this.stakes.validity)
    if (anchor === undefined) return undefined
    this.lastLeaderRound = anchor.round
    return { anchor, vertices: this.prefix.commit(dag, anchor) }
  }

  isOver(round: Round, author: AuthorityIndex): boolean {
    return this.prefix.isOver(round, author)
  }

  snapshot(): RuleState {
    return { ...this.prefix.snapshot(), lastLeaderRound: this.lastLeaderRound } satisfies BullsharkState
  }

  private leaders(dag: Dag): Slot[] {
    const slots: Slot[] = []
    for (let round = this.lastLeaderRound + 2; round < dag.highestRound; round += 2) {
      slots.push({ round, author: (round / 2) % this.stakes.size })
    }
    return slots
  }
}
