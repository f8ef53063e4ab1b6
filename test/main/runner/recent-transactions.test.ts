/** Which transactions are repeats, against a model that keeps the whole order. */
import { describe, expect, test } from 'vitest'
import { RecentTransactions, type Window } from '../../../src/main/runner/recent-transactions.js'
import { sha256 } from '../../../src/shared/wire/primary/sha256.js'
import { seeded } from '../../support/random.js'

interface Ordered {
  readonly id: number
  readonly commit: number
}

/** Whole numbers below a limit. */
function randomBelow(seed: number): (limit: number) => number {
  const next = seeded(seed)
  return (limit) => Math.floor(next() * limit)
}

const idOf = (id: number): Uint8Array => sha256(Uint8Array.of(id))

/** As it is said: the same id in the same commit or in so many before it, and in so many transactions before it. */
function repeatsOf(order: readonly Ordered[], { commits, transactions }: Window): boolean[] {
  return order.map(({ commit, id }, at) => {
    const before = order.slice(Math.max(0, at - transactions), at)
    return before.some((other) => other.id === id && other.commit >= commit - commits)
  })
}

function randomOrder(seed: number): Ordered[] {
  const below = randomBelow(seed)
  let commit = 1
  return Array.from({ length: 200 }, () => {
    commit += below(3) === 0 ? below(4) : 0
    return { id: below(12), commit }
  })
}

describe('a repeat', () => {
  test.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'is told as by who remembers all, from the beginning and from the commits of the window on: %i',
    (seed) => {
      const order = randomOrder(seed)
      const below = randomBelow(seed + 1000)
      const window = { commits: 1 + below(6), transactions: 1 + below(30) }
      const expected = repeatsOf(order, window)
      const recent = new RecentTransactions(window)
      expect(order.map(({ commit, id }) => recent.take(idOf(id), commit))).toEqual(expected)
      expect(recent.size).toBeLessThanOrEqual(window.transactions + 1)
      // After a restart behind some commit.
      const after = order[below(order.length)]!.commit
      const again = new RecentTransactions(window)
      const read = order.filter(({ commit }) => commit > after - window.commits)
      const said = read.map(({ commit, id }) => again.take(idOf(id), commit))
      const from = read.findIndex(({ commit }) => commit > after)
      if (from >= 0) expect(said.slice(from)).toEqual(expected.slice(order.length - read.length + from))
    },
  )
})
