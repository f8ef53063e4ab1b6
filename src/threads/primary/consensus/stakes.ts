/**
 * Stakes and the thresholds of the rules, in whole numbers.
 *
 * With N the total stake:
 *
 * ```
 *  quorum    Q = ⌊2N/3⌋ + 1     two quorums share an honest authority
 *  faulty    F = N − Q           at most so much stake crashes or lies
 *  validity  V = ⌊(N + 2)/3⌋     at least one of so many is honest: V = F + 1
 * ```
 *
 * A committee has at most 256 members of at most 2³² − 1 each, so 3N is exact in a number; this is checked at the door.
 */
import { arrayArgument, integerArgument } from '../../../shared/arguments.js'
import { assert } from '../../../shared/assert.js'
import { STAKE_MAX } from '../../../shared/config/limits.js'
import { COMMITTEE_SIZE_MAX } from '../../../shared/constants.js'
import { members } from './authority-set.js'
import type { AuthorityIndex, AuthoritySet } from './types.js'

assert(3 * COMMITTEE_SIZE_MAX * STAKE_MAX <= Number.MAX_SAFE_INTEGER)

export class Stakes {
  readonly total: number
  readonly quorum: number
  readonly faulty: number
  readonly validity: number
  private readonly stakes: readonly number[]

  /** @param stakes by authority index. Errors: `TypeError`, `RangeError`. */
  constructor(stakes: readonly number[]) {
    this.stakes = arrayArgument('stakes', stakes, COMMITTEE_SIZE_MAX).map((stake, at) =>
      integerArgument(`stakes[${at}]`, stake, 1, STAKE_MAX),
    )
    if (this.stakes.length === 0) throw new RangeError('stakes: expected at least one authority, found none')
    this.total = this.stakes.reduce((sum, stake) => sum + stake, 0)
    this.quorum = thirds(2 * this.total) + 1
    this.faulty = this.total - this.quorum
    this.validity = thirds(this.total + 2)
  }

  /** Authorities in the committee. */
  get size(): number {
    return this.stakes.length
  }

  of(author: AuthorityIndex): number {
    const stake = this.stakes[author]
    assert(stake !== undefined, `authority ${author} of ${this.size}`)
    return stake
  }

  ofSet(set: AuthoritySet): number {
    return this.sum(members(set))
  }

  /** Of all of these, each as often as it is there. */
  sum(authors: readonly AuthorityIndex[]): number {
    return authors.reduce((sum, author) => sum + this.of(author), 0)
  }
}

/** A third, rounded down, without fractions on the way. */
function thirds(whole: number): number {
  return (whole - (whole % 3)) / 3
}
