/**
 * Shoal with every certified vertex an anchor: the default. Published as Shoal (arXiv 2306.03058), which starts a new
 * instance of Bullshark after each anchor, and Shoal++ (arXiv 2405.20488), which commits by headers and makes all vertices
 * of a round anchors. The anchors of a round are the authorities by rotation, without the weak ones.
 *
 * ```
 *  instance at (r, k):    slot 0                    slot 1                   slot 2
 *  round                  r          r + 1          r + 2          r + 3     r + 4
 *                         anchor k   ● ──▶ slot 0   anchor 0       …         anchor 0
 * ```
 *
 *  loop   slots = (r, anchors(r)[k]), (r+2, anchors(r+2)[0]), (r+4, anchors(r+4)[0]), …
 *         x     = the first slot that is direct, and from there back to the earliest that is linked; none: stop
 *         commit what x adds
 *         x is slot 0:  go to (r, k+1), or to (r+1, 0) after the last anchor of r
 *         otherwise:    all slots before x are skipped, and those of x's round begin at 1
 *
 *  direct certificates of the next round with V of the stake link it, or headers of the next round with 2F + 1
 *
 * Rounds rotate by ⌊r/2⌋: by r, the slots of an instance, two rounds apart, would be of every second authority only, and
 * with stakes 3, 1, 3, 1 and both ones down nothing would ever be ordered again.
 */
import { has } from './authority-set.js'
import { CommittedPrefix, type CommittedPrefixState } from './committed-prefix.js'
import type { Dag } from './dag.js'
import type { HeaderVotes } from './header-votes.js'
import { nextAnchor, type Rule, type RuleState, type Slot } from './rule.js'
import type { Stakes } from './stakes.js'
import type { AuthorityIndex, AuthoritySet, Round, SubDag, Vertex } from './types.js'
import { WeakAuthorities, type WeakAuthoritiesState } from './weak-authorities.js'

export interface ShoalState extends CommittedPrefixState, WeakAuthoritiesState {
  /** The instance: its round, and which of that round's anchors is its first. */
  readonly round: Round
  readonly rank: number
}

export class Shoal implements Rule {
  readonly name = 'shoal'
  protected readonly stakes: Stakes
  protected readonly prefix: CommittedPrefix
  private readonly weakAuthorities: WeakAuthorities
  private round: Round
  private rank: number

  constructor(stakes: Stakes, gcDepth: number, state?: ShoalState, prefix?: CommittedPrefix) {
    this.stakes = stakes
    this.prefix = prefix ?? new CommittedPrefix(stakes.size, gcDepth, state)
    this.weakAuthorities = new WeakAuthorities(stakes, state)
    this.round = state?.round ?? 1
    this.rank = state?.rank ?? 0
  }

  get gcRound(): Round {
    return this.prefix.gcRound
  }

  get decidedRound(): Round {
    return this.round - 1
  }

  next(dag: Dag, headers: HeaderVotes): SubDag | undefined {
    for (;;) {
      const slots = this.slots(dag.highestRound)
      const anchor = nextAnchor(dag, slots, (vertex) => this.isDirect(vertex, dag, headers))
      if (anchor === undefined) return undefined
      const vertices = this.prefix.commit(dag, anchor)
      if (anchor.round === this.round) this.advance()
      else this.jump(anchor.round)
      // After a jump the anchors of that round are chosen anew, and one that is committed may be among them again.
      if (vertices.length > 0) return { anchor, vertices }
    }
  }

  isOver(round: Round, author: AuthorityIndex): boolean {
    return this.prefix.isOver(round, author)
  }

  snapshot(): RuleState {
    const { round, rank } = this
    return { round, rank, ...this.prefix.snapshot(), ...this.weakAuthorities.snapshot() } satisfies ShoalState
  }

  /** Rounds from a slot of an instance to the next. */
  protected get slotDistance(): number {
    return 2
  }

  /** Headers with so much stake commit directly what they link. */
  protected get headerQuorum(): number {
    return 2 * this.stakes.faulty + 1
  }

  protected get weakSet(): AuthoritySet {
    return this.weakAuthorities.set
  }

  protected enter(round: Round): void {
    this.round = round
    this.rank = 0
    this.weakAuthorities.enter(round, (author) => this.prefix.lastRoundOf(author))
  }

  /** The anchor of this rank among a round's: the authorities by rotation, without the weak ones. */
  private anchor(round: Round, rank: number): AuthorityIndex | undefined {
    const { size } = this.stakes
    const first = (round - (round % 2)) / 2
    for (let at = 0; at < size; at += 1) {
      const author = (first + at) % size
      if (has(this.weakSet, author)) continue
      if (rank === 0) return author
      rank -= 1
    }
    return undefined
  }

  private slots(highestRound: Round): Slot[] {
    const slots: Slot[] = [{ round: this.round, author: this.anchor(this.round, this.rank)! }]
    for (let round = this.round + this.slotDistance; round <= highestRound; round += this.slotDistance) {
      slots.push({ round, author: this.anchor(round, 0)! })
    }
    return slots
  }

  private isDirect(vertex: Vertex, dag: Dag, headers: HeaderVotes): boolean {
    return dag.linksOf(vertex) >= this.stakes.validity || headers.linksOf(vertex) >= this.headerQuorum
  }

  private advance(): void {
    this.rank += 1
    if (this.anchor(this.round, this.rank) === undefined) this.enter(this.round + 1)
  }

  private jump(round: Round): void {
    while (this.round < round) this.enter(this.round + 1)
    this.advance()
  }
}
