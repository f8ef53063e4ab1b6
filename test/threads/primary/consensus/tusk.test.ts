/** The cases of the reference (asonnino/narwhal consensus/src/tests/consensus_tests.rs), by their names. */
import { expect, test } from 'vitest'
import { Consensus } from '../../../../src/threads/primary/consensus/consensus.js'
import { Tusk, type TuskState } from '../../../../src/threads/primary/consensus/tusk.js'
import type { Certificate, Vertex } from '../../../../src/threads/primary/consensus/types.js'
import { certify } from '../../../support/consensus/dags.js'

const ALL = [0, 1, 2, 3]

/** In the reference's tests the first authority leads every round. */
class FirstLeads extends Tusk {
  protected override leader(): number {
    return 0
  }
}

/** Certificates of these rounds, each author linking all of them. */
function optimal(first: number, last: number, authors: readonly number[], parents = authors): Certificate[] {
  const rounds = Array.from({ length: last - first + 1 }, (_, at) => first + at)
  return rounds.flatMap((round) => authors.map((a) => certify(round, a, round === first ? parents : authors)))
}

function run(certificates: readonly Certificate[]): Vertex[] {
  const consensus = new Consensus(
    { stakes: [1, 1, 1, 1], gcDepth: 50, rule: 'tusk' },
    undefined,
    (stakes, gc, state) => new FirstLeads(stakes, gc, state as TuskState | undefined),
  )
  return certificates.flatMap((c) => consensus.addCertificate(c).flatMap(({ vertices }) => vertices))
}

const rounds = (vertices: readonly Vertex[]): number[] => vertices.map(({ round }) => round)

test('commit_one: the leader of round 2 is committed by a certificate of round 5', () => {
  const until4 = optimal(1, 4, ALL)
  expect(run(until4)).toEqual([])
  const committed = run([...until4, certify(5, 0, ALL)])
  expect(rounds(committed)).toEqual([1, 1, 1, 1, 2])
  expect(committed.at(-1)!.author).toBe(0)
})

test('dead_node: with one node that is dead and no leader, the leaders of rounds 2, 4 and 6 are committed', () => {
  const committed = run(optimal(1, 9, [0, 1, 2]))
  expect(rounds(committed)).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6])
})

test('not_enough_support: a leader without f + 1 links is committed by the next one that reaches it', () => {
  const three = [0, 1, 2]
  const committed = run([
    ...optimal(1, 1, three, ALL),
    // The leader of round 2, and the others.
    certify(2, 0, three),
    ...optimal(2, 2, [1, 2, 3], three),
    // Of round 3 only authority 1 links the leader.
    certify(3, 0, [1, 2, 3]),
    certify(3, 1, [0, 1, 2, 3]),
    certify(3, 2, [1, 2, 3]),
    ...optimal(4, 6, three),
    certify(7, 0, three),
  ])
  expect(rounds(committed)).toEqual([1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4])
  expect(committed[3]).toMatchObject({ round: 2, author: 0 })
})

test('missing_leader: a leader that is not there is passed over', () => {
  const committed = run([
    ...optimal(1, 2, [1, 2, 3]),
    ...optimal(3, 3, ALL, [1, 2, 3]),
    ...optimal(4, 6, ALL),
    certify(7, 0, ALL),
  ])
  expect(rounds(committed)).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4])
})

test('a certificate that is older than the last committed one of its author is never committed', () => {
  // Authority 3 is slow: nobody links its round 1, only itself its round 2, all link its round 3.
  const consensus = new Consensus({ stakes: [1, 1, 1, 1], gcDepth: 50, rule: 'tusk' })
  const before = [
    ...optimal(1, 1, ALL),
    ...optimal(2, 2, [0, 1, 2], [0, 1, 2]),
    ...optimal(3, 3, [0, 1, 2]),
    certify(2, 3, [0, 1, 2]),
    certify(3, 3, [0, 1, 2]),
    ...optimal(4, 8, ALL),
  ]
  const committed = before.flatMap((c) => consensus.addCertificate(c).flatMap(({ vertices }) => vertices))
  const of3 = committed.filter(({ author }) => author === 3).map(({ round }) => round)
  expect(of3[0]).toBe(3)
  expect(of3).toEqual([...of3].sort((a, b) => a - b))
})

test('within a round the order is the reference’s: depth first, parents by ascending digest, the last first', () => {
  const committed = run([...optimal(1, 4, ALL), certify(5, 0, ALL)])
  expect(committed.map(({ author }) => author)).toEqual([3, 2, 1, 0, 0])
})
