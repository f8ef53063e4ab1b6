/** The default rule on DAGs drawn by hand. In round r the first anchor is the authority ⌊r/2⌋ mod n. */
import { describe, expect, test } from 'vitest'
import { Consensus } from '../../../../src/threads/primary/consensus/consensus.js'
import type { Commit } from '../../../../src/threads/primary/consensus/types.js'
import { certify, header } from '../../../support/consensus/dags.js'

const ALL = [0, 1, 2, 3]
const make = (stakes = [1, 1, 1, 1], gcDepth = 50): Consensus => new Consensus({ stakes, gcDepth, rule: 'shoal' })
const anchors = (commits: readonly Commit[]): string[] =>
  commits.map(({ anchor }) => `${anchor.round}.${anchor.author}`)

/** Adds certificates of one round with the same parents. */
function add(consensus: Consensus, round: number, authors: readonly number[], parents: readonly number[]): Commit[] {
  return authors.flatMap((author) => consensus.addCertificate(certify(round, author, parents)))
}

describe('an anchor is committed', () => {
  test('by the second of four certificates that link it, and with it all anchors of its round', () => {
    const consensus = make()
    add(consensus, 1, ALL, ALL)
    expect(add(consensus, 2, [0], ALL)).toEqual([])
    expect(anchors(add(consensus, 2, [1], ALL))).toEqual(['1.0', '1.1', '1.2', '1.3'])
  })

  test('by the third of four headers that link it, one message earlier', () => {
    const consensus = make()
    add(consensus, 1, ALL, ALL)
    expect(consensus.addHeader(header(2, 0, ALL)).commits).toEqual([])
    expect(consensus.addHeader(header(2, 1, ALL)).commits).toEqual([])
    expect(anchors(consensus.addHeader(header(2, 3, ALL)).commits)).toEqual(['1.0', '1.1', '1.2', '1.3'])
  })

  test('by stake, not by heads', () => {
    // N = 8, F = 2, V = 3, 2F + 1 = 5.
    const light = make([3, 1, 3, 1])
    add(light, 1, ALL, ALL)
    expect(add(light, 2, [1, 3], ALL)).toEqual([])
    expect(light.addHeader(header(2, 1, ALL)).commits).toEqual([])
    expect(light.addHeader(header(2, 3, ALL)).commits).toEqual([])
    expect(light.addHeader(header(2, 0, ALL)).commits.length).toBe(4)
    const heavy = make([3, 1, 3, 1])
    add(heavy, 1, ALL, ALL)
    expect(add(heavy, 2, [2], ALL).length).toBe(4)
  })

  test('not by a header and a certificate of one author together', () => {
    const consensus = make()
    add(consensus, 1, ALL, ALL)
    consensus.addHeader(header(2, 0, ALL))
    consensus.addHeader(header(2, 1, ALL))
    expect(add(consensus, 2, [0], ALL)).toEqual([])
  })
})

describe('an author of two headers of a round', () => {
  test('counts for nothing in the header path, and both are given as evidence', () => {
    const consensus = make()
    add(consensus, 1, ALL, ALL)
    const [first, second] = [header(2, 0, ALL), header(2, 0, [0, 1, 2], {}, 1)]
    consensus.addHeader(first)
    expect(consensus.addHeader(second)).toEqual({ commits: [], equivocation: { first, second } })
    consensus.addHeader(header(2, 1, ALL))
    expect(consensus.addHeader(header(2, 2, ALL)).commits).toEqual([])
    expect(consensus.addHeader(header(2, 3, ALL)).commits.length).toBe(4)
  })

  test('still counts by its certificate', () => {
    const consensus = make()
    add(consensus, 1, ALL, ALL)
    consensus.addHeader(header(2, 0, ALL))
    consensus.addHeader(header(2, 0, ALL, {}, 1))
    expect(add(consensus, 2, [0, 1], ALL).length).toBe(4)
  })

  test('takes no decision back', () => {
    const consensus = make()
    add(consensus, 1, ALL, ALL)
    for (const author of [0, 1, 2]) consensus.addHeader(header(2, author, ALL))
    expect(consensus.lastIndex).toBe(4)
    consensus.addHeader(header(2, 0, [0, 1, 2], {}, 1))
    expect(consensus.lastIndex).toBe(4)
    expect(anchors(add(consensus, 2, ALL, ALL))).toEqual([])
  })

  test('the same header again is no evidence', () => {
    const consensus = make()
    add(consensus, 1, ALL, ALL)
    consensus.addHeader(header(2, 0, ALL))
    expect(consensus.addHeader(header(2, 0, ALL))).toEqual({ commits: [] })
  })
})

describe('an anchor that is not linked by enough', () => {
  test('is committed by the first anchor two rounds above that reaches it', () => {
    const consensus = make()
    add(consensus, 1, ALL, ALL)
    // Only authority 1 links anchor 1.0.
    add(consensus, 2, [1], ALL)
    add(consensus, 2, [0, 2, 3], [1, 2, 3])
    // Anchor 3.1 reaches 2.1, and so 1.0.
    add(consensus, 3, ALL, [0, 1, 2])
    expect(consensus.lastIndex).toBe(0)
    const commits = add(consensus, 4, [0, 1], ALL)
    expect(anchors(commits).slice(0, 5)).toEqual(['1.0', '1.1', '1.2', '1.3', '2.1'])
  })

  test('is skipped when that one does not reach it, and all other anchors of its round with it', () => {
    const consensus = make()
    add(consensus, 1, ALL, ALL)
    add(consensus, 2, [0], ALL)
    add(consensus, 2, [1, 2, 3], [1, 2, 3])
    add(consensus, 3, ALL, [1, 2, 3])
    const [first, second] = add(consensus, 4, [0, 1], ALL)
    expect(first!.vertices.map(({ round, author }) => `${round}.${author}`)).toEqual([
      ...['1.1', '1.2', '1.3'],
      ...['2.1', '2.2', '2.3'],
      '3.1',
    ])
    // The anchors of the round that was jumped to go on behind it.
    expect(anchors([second!])).toEqual(['3.2'])
  })

  test('a crashed authority is no anchor any more, and again one when it keeps up', () => {
    const consensus = make()
    const alive = [0, 1, 2]
    const commits: Commit[] = []
    for (let round = 1; round <= 20; round += 1)
      commits.push(...add(consensus, round, alive, round === 1 ? ALL : alive))
    const weak = consensus.snapshot().ruleState as { weak: string; penalties: number[] }
    expect(weak.weak).toBe('8')
    expect(weak.penalties).toEqual([0, 0, 0, 2])
    // Every round commits as soon as two certificates of the next are there.
    expect(commits.at(-1)!.anchor.round).toBe(19)
    for (let round = 21; round <= 30; round += 1)
      commits.push(...add(consensus, round, ALL, round === 21 ? alive : ALL))
    expect((consensus.snapshot().ruleState as { weak: string }).weak).toBe('0')
    expect(commits.at(-1)!.anchor.round).toBe(29)
    expect(commits.some(({ anchor }) => anchor.author === 3)).toBe(true)
  })
})

describe('ordering goes on for ever', () => {
  const committees: readonly (readonly [readonly number[], readonly number[]])[] = [
    [
      [3, 1, 3, 1],
      [1, 3],
    ],
    [
      [1, 3, 1, 3],
      [0, 2],
    ],
    [
      [10, 1, 10, 1],
      [1, 3],
    ],
    [[1, 1, 1, 1], [2]],
    [
      [1, 1, 1, 1, 1, 1, 1],
      [0, 6],
    ],
    [
      [5, 1, 5, 1, 5, 1],
      [1, 3, 5],
    ],
  ]
  test.each(committees)('with stakes %j and authorities %j down from any round on', (stakes, down) => {
    const authors = stakes.map((_, author) => author)
    for (const rule of ['shoal', 'bullshark'] as const) {
      for (const crash of [1, 8, 9, 10, 11]) {
        const consensus = new Consensus({ stakes, gcDepth: 10, rule })
        let parents = authors
        let last = 0
        for (let round = 1; round <= 200; round += 1) {
          const alive = round < crash ? authors : authors.filter((author) => !down.includes(author))
          for (const commit of add(consensus, round, alive, parents)) {
            expect(commit.anchor.round - last).toBeLessThanOrEqual(2 * stakes.length)
            last = commit.anchor.round
          }
          parents = alive
        }
        expect(last).toBeGreaterThanOrEqual(200 - 2 * stakes.length)
        if (rule === 'shoal') expect(last).toBe(199)
      }
    }
  })

  test('but not by the reference’s schedule, when of an even committee all with even indices are down', () => {
    const consensus = new Consensus({ stakes: [1, 3, 1, 3], gcDepth: 10, rule: 'tusk' })
    for (let round = 1; round <= 200; round += 1) add(consensus, round, [1, 3], round === 1 ? ALL : [1, 3])
    expect(consensus.lastIndex).toBe(0)
  })
})
