/** Sets of authorities as bits of an integer. Committees may have 256 members, so the integer is a bigint. */
import type { AuthorityIndex, AuthoritySet } from './types.js'

export const NOBODY: AuthoritySet = 0n

export function only(author: AuthorityIndex): AuthoritySet {
  return 1n << BigInt(author)
}

export function has(set: AuthoritySet, author: AuthorityIndex): boolean {
  return ((set >> BigInt(author)) & 1n) === 1n
}

export function without(set: AuthoritySet, others: AuthoritySet): AuthoritySet {
  return set & ~others
}

/** The members of a set, by ascending index. */
export function members(set: AuthoritySet): AuthorityIndex[] {
  const found: AuthorityIndex[] = []
  for (let author = 0; set !== NOBODY; author += 1, set >>= 1n) {
    if ((set & 1n) === 1n) found.push(author)
  }
  return found
}
