/**
 * Authorities that are no anchors for now, since their vertices were not committed in time (SHOAL+W).
 *
 * A slow or crashed authority makes everybody wait for its slot. Whoever falls behind by more than two rounds becomes
 * weak, at once. It is an anchor again after `penalty` rounds in a row in which it kept up; the penalty doubles with each
 * relapse, from 2 to 64, so that one that comes and goes costs little. After 200 such rounds it is forgiven. At most F of
 * the stake is weak at a time: the worst first.
 *
 * All is computed from the committed prefix and from nothing else, once for each round that the rule enters or passes
 * over. So whoever has the same prefix has the same anchors. From the local DAG it would fork; a test shows it.
 */
import { has, NOBODY, only, without } from './authority-set.js'
import { PENALTY_MAX, PENALTY_MIN, STREAK_FORGIVEN } from './limits.js'
import type { Stakes } from './stakes.js'
import type { AuthorityIndex, AuthoritySet, Round } from './types.js'

export interface WeakAuthoritiesState {
  /** By author: rounds in a row in which it kept up, counted to 200. */
  readonly streaks: readonly number[]
  /** By author: the streak that it takes to be an anchor again. */
  readonly penalties: readonly number[]
  /** Those who do not keep up, in hexadecimal. */
  readonly lagging: string
  /** Of these, those who are no anchors in the current round, in hexadecimal. */
  readonly weak: string
}

export class WeakAuthorities {
  private readonly stakes: Stakes
  private readonly streaks: number[]
  private readonly penalties: number[]
  private lagging: AuthoritySet
  private weak: AuthoritySet

  constructor(stakes: Stakes, state?: WeakAuthoritiesState) {
    const zeros = new Array<number>(stakes.size).fill(0)
    this.stakes = stakes
    this.streaks = [...(state?.streaks ?? zeros)]
    this.penalties = [...(state?.penalties ?? zeros)]
    this.lagging = BigInt(`0x${state?.lagging ?? '0'}`)
    this.weak = BigInt(`0x${state?.weak ?? '0'}`)
  }

  /** Those who are no anchors in the round that was entered last. */
  get set(): AuthoritySet {
    return this.weak
  }

  /** @param lastRoundOf the highest committed round of an author */
  enter(round: Round, lastRoundOf: (author: AuthorityIndex) => Round): void {
    // A weak author's vertex of round r − 1 comes with an anchor of round r: it keeps up if it has one of r − 2.
    if (round > 3) {
      for (let author = 0; author < this.stakes.size; author += 1) this.judge(author, lastRoundOf(author) >= round - 2)
    }
    this.weak = this.worst()
  }

  snapshot(): WeakAuthoritiesState {
    return {
      streaks: [...this.streaks],
      penalties: [...this.penalties],
      lagging: this.lagging.toString(16),
      weak: this.weak.toString(16),
    }
  }

  private judge(author: AuthorityIndex, keepsUp: boolean): void {
    if (!keepsUp) {
      this.streaks[author] = 0
      if (has(this.lagging, author)) return
      this.lagging |= only(author)
      this.penalties[author] = Math.min(PENALTY_MAX, Math.max(PENALTY_MIN, 2 * this.penalties[author]!))
      return
    }
    const streak = Math.min(STREAK_FORGIVEN, this.streaks[author]! + 1)
    this.streaks[author] = streak
    if (streak >= this.penalties[author]!) this.lagging = without(this.lagging, only(author))
    if (streak === STREAK_FORGIVEN) this.penalties[author] = 0
  }

  /** By (streak ascending, penalty descending, index ascending), as many from the front as have at most F together. */
  private worst(): AuthoritySet {
    const order = this.streaks
      .map((streak, author) => ({ author, streak, penalty: this.penalties[author]! }))
      .filter(({ author }) => has(this.lagging, author))
      .sort((a, b) => a.streak - b.streak || b.penalty - a.penalty || a.author - b.author)
    let worst = NOBODY
    let stake = 0
    for (const { author } of order) {
      stake += this.stakes.of(author)
      if (stake > this.stakes.faulty) break
      worst |= only(author)
    }
    return worst
  }
}
