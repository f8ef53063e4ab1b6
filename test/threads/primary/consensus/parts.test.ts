/** The parts around the rules: thresholds, the DAG, batches that count once, times, state, and what stops everything. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { members, only } from '../../../../src/threads/primary/consensus/authority-set.js'
import {
  type ClaimedEntry,
  Claims,
  type ClaimsState,
  claimsOfEach,
} from '../../../../src/threads/primary/consensus/claims.js'
import { Consensus, type ConsensusOptions } from '../../../../src/threads/primary/consensus/consensus.js'
import { Dag } from '../../../../src/threads/primary/consensus/dag.js'
import { CertificateEquivocationError } from '../../../../src/threads/primary/consensus/equivocation.js'
import { CLAIMS_PER_AUTHORITY_MAX, COMMITTED_RUNS_MAX } from '../../../../src/threads/primary/consensus/limits.js'
import { RULE_NAMES } from '../../../../src/threads/primary/consensus/rule.js'
import { SequenceRuns } from '../../../../src/threads/primary/consensus/sequence-runs.js'
import { Stakes } from '../../../../src/threads/primary/consensus/stakes.js'
import type { Commit, PayloadEntry } from '../../../../src/threads/primary/consensus/types.js'
import { WeakAuthorities } from '../../../../src/threads/primary/consensus/weak-authorities.js'
import { certificate, certify, header, randomDag } from '../../../support/consensus/dags.js'
import { arrivals, runNode } from '../../../support/consensus/nodes.js'
import { seeded } from '../../../support/random.js'

const ALL = [0, 1, 2, 3]
const OPTIONS: ConsensusOptions = { stakes: [1, 1, 1, 1], gcDepth: 50, rule: 'shoal' }

function thrown(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

describe('stakes', () => {
  test('of 3f + 1 equal authorities make 2f + 1, f and f + 1', () => {
    for (let f = 0; f <= 85; f += 1) {
      const { quorum, faulty, validity } = new Stakes(new Array<number>(3 * f + 1).fill(1))
      expect([quorum, faulty, validity]).toEqual([2 * f + 1, f, f + 1])
    }
  })

  test('of any sizes: two quorums share more than F, V is F + 1, and F is less than a third', () => {
    const stake = fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 2 ** 32 - 1 }))
    fc.assert(
      fc.property(fc.array(stake, { minLength: 1, maxLength: 256 }), (all) => {
        const { total, quorum, faulty, validity } = new Stakes(all)
        const N = all.reduce((sum, each) => sum + BigInt(each), 0n)
        expect(BigInt(total)).toBe(N)
        expect(BigInt(quorum)).toBe((2n * N) / 3n + 1n)
        expect(BigInt(validity)).toBe((N + 2n) / 3n)
        expect(validity).toBe(faulty + 1)
        expect(2 * quorum - total).toBeGreaterThan(faulty)
        expect(3 * faulty).toBeLessThan(total)
      }),
    )
  })

  test.each([
    ['no authority', []],
    ['more than 256', new Array<number>(257).fill(1)],
    ['a stake of 0', [1, 0, 1, 1]],
    ['a fraction', [1, 1.5, 1, 1]],
    ['more than 2^32 - 1', [2 ** 32, 1, 1, 1]],
    ['what is no number', [1, '1' as unknown as number, 1, 1]],
    ['NaN', [Number.NaN, 1, 1, 1]],
  ])('with %s are refused', (_, stakes) => {
    expect(() => new Consensus({ ...OPTIONS, stakes })).toThrow(/^stakes/)
  })

  test.each([1, 0, -1, 2.5, 2 ** 28 + 1])('with a gcDepth of %d are refused', (gcDepth) => {
    expect(() => new Consensus({ ...OPTIONS, gcDepth })).toThrow(/^gcDepth/)
  })
})

describe('the DAG', () => {
  const stakes = new Stakes([1, 1, 1, 1])

  test('finds a path, and none where there is none', () => {
    const dag = new Dag(stakes, 0)
    for (const author of ALL) dag.add(certify(1, author, ALL))
    for (const author of ALL) dag.add(certify(2, author, author === 0 ? ALL : [1, 2, 3]))
    dag.add(certify(3, 1, [1, 2, 3]))
    dag.add(certify(3, 2, [0, 1, 2]))
    expect(dag.hasPath(dag.vertex(3, 1)!, dag.vertex(1, 0)!)).toBe(false)
    expect(dag.hasPath(dag.vertex(3, 2)!, dag.vertex(1, 0)!)).toBe(true)
    expect(dag.linksOf(dag.vertex(1, 0)!)).toBe(1)
    expect(dag.linksOf(dag.vertex(1, 1)!)).toBe(4)
  })

  test('takes what is collected neither as a certificate nor asks for it as a parent', () => {
    const dag = new Dag(stakes, 0)
    for (const round of [1, 2, 3]) for (const author of [0, 1, 2]) dag.add(certify(round, author, [0, 1, 2]))
    dag.collect(2)
    expect(dag.add(certify(2, 3, [0, 1, 2]))).toBe(false)
    expect(dag.vertex(2, 0)).toBeUndefined()
    expect(dag.add(certify(3, 3, [0, 1, 3]))).toBe(true)
    expect(dag.size).toBe(1)
    dag.collect(1)
    expect(dag.gcRound).toBe(2)
  })

  test('never takes a certificate whose parents are missing, named twice, or no quorum: that would be our own bug', () => {
    const dag = new Dag(stakes, 0)
    for (const author of [0, 1, 2]) dag.add(certify(1, author, ALL))
    expect(() => dag.add(certify(2, 0, [0, 1, 3]))).toThrow('is not in the DAG')
    expect(() => dag.add(certify(2, 0, [0, 1, 1]))).toThrow('named twice')
    expect(() => dag.add(certify(2, 0, [0, 1]))).toThrow('no quorum')
    expect(dag.vertex(2, 0)).toBeUndefined()
  })

  test('of 256 authorities keeps their sets', () => {
    expect(members(only(255) | only(0) | only(64))).toEqual([0, 64, 255])
  })
})

describe('the weak set', () => {
  const weakOf = (stakes: readonly number[], lastRounds: readonly number[], rounds = 1): number[] => {
    const weak = new WeakAuthorities(new Stakes(stakes))
    for (let round = 4; round < 4 + rounds; round += 1) weak.enter(round, (author) => lastRounds[author]!)
    return members(weak.set)
  }

  test('takes whoever has nothing of the round before the last committed, from round 4 on', () => {
    expect(weakOf([1, 1, 1, 1], [2, 2, 1, 2])).toEqual([2])
    expect(weakOf([1, 1, 1, 1], [2, 2, 2, 2])).toEqual([])
    const weak = new WeakAuthorities(new Stakes([1, 1, 1, 1]))
    weak.enter(3, () => 0)
    expect(weak.set).toBe(0n)
  })

  test('has at most F of the stake, the first of those who lag', () => {
    expect(weakOf([1, 1, 1, 1], [0, 0, 0, 0])).toEqual([0])
    expect(weakOf([1, 1, 1, 1, 1, 1, 1], [2, 0, 0, 0, 2, 2, 2])).toEqual([1, 2])
    // F = 2: the first that does not fit ends it.
    expect(weakOf([1, 3, 1, 3], [0, 0, 0, 2])).toEqual([0])
    expect(weakOf([3, 1, 3, 1], [0, 0, 0, 0])).toEqual([])
    expect(weakOf([3, 1, 3, 1], [2, 0, 2, 0])).toEqual([1, 3])
  })

  test('takes first who lags now, then who has lagged more often', () => {
    const weak = new WeakAuthorities(new Stakes([1, 1, 1, 1]))
    const enter = (round: number, ...lagging: number[]): number[] => {
      weak.enter(round, (author) => (lagging.includes(author) ? 0 : round))
      return members(weak.set)
    }
    expect(enter(4, 0, 1)).toEqual([0])
    // Authority 0 keeps up for a round, authority 1 does not.
    expect(enter(5, 1)).toEqual([1])
    // It takes two rounds; of authority 1 more as it relapses.
    expect(enter(6)).toEqual([1])
    expect(enter(7)).toEqual([])
    expect(enter(8, 1)).toEqual([1])
    expect([enter(9), enter(10), enter(11), enter(12)]).toEqual([[1], [1], [1], []])
    expect(enter(13, 0, 1)).toEqual([1])
  })

  test('forgives after 200 rounds, and doubles a penalty to 64 at most', () => {
    const weak = new WeakAuthorities(new Stakes([1, 1, 1, 1]))
    let round = 4
    for (const expected of [2, 4, 8, 16, 32, 64, 64]) {
      weak.enter(round++, (author) => (author === 3 ? 0 : round))
      expect(weak.snapshot().penalties[3]).toBe(expected)
      let rests = 0
      for (; weak.set !== 0n; rests += 1) weak.enter(round++, () => round)
      expect(rests).toBe(expected)
    }
    for (let more = 64; more < 200; more += 1) {
      expect(weak.snapshot().penalties[3]).toBe(64)
      weak.enter(round++, () => round)
    }
    expect(weak.snapshot().penalties[3]).toBe(0)
  })
})

describe('two certificates of one author and round', () => {
  test.each(RULE_NAMES)('stop %s for good, with both in the error', (rule) => {
    const consensus = new Consensus({ ...OPTIONS, rule })
    for (const author of ALL) consensus.addCertificate(certify(1, author, ALL))
    const first = certify(2, 0, ALL)
    const second = certificate(header(2, 0, [0, 1, 2], {}, 1))
    consensus.addCertificate(first)
    const before = consensus.snapshot()
    const error = thrown(() => consensus.addCertificate(second)) as CertificateEquivocationError
    expect(error).toBeInstanceOf(CertificateEquivocationError)
    expect(error).toMatchObject({ code: 'ERR_EQUIVOCATION', first, second })
    // Nothing is ordered any more, neither by good certificates nor by headers.
    expect(thrown(() => consensus.addCertificate(certify(2, 1, ALL)))).toBe(error)
    expect(thrown(() => consensus.addHeader(header(2, 1, ALL)))).toBe(error)
    expect(consensus.snapshot()).toEqual(before)
  })

  test('are one certificate when the header is the same, whoever voted', () => {
    const consensus = new Consensus(OPTIONS)
    for (const author of ALL) consensus.addCertificate(certify(1, author, ALL))
    for (const author of ALL) expect(consensus.addCertificate({ ...certify(1, author, ALL) })).toEqual([])
  })
})

describe('committed sequences', () => {
  test('are what a set of them is, as long as there are few runs', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 60n }), { maxLength: 200 }), (sequences) => {
        const runs = new SequenceRuns()
        const set = new Set<bigint>()
        for (const sequence of sequences) {
          expect(runs.add(sequence)).toBe(!set.has(sequence))
          set.add(sequence)
          const starts = [...set].filter((each) => !set.has(each - 1n))
          expect(runs.size).toBe(starts.length)
        }
        expect(new SequenceRuns(runs.toString()).toString()).toBe(runs.toString())
      }),
    )
  })

  test('tell each run that changes, so that who keeps the changes has the runs', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 60n }), { maxLength: 200 }), (sequences) => {
        const runs = new SequenceRuns()
        const kept = new Map<bigint, bigint>()
        for (const sequence of sequences) {
          runs.add(sequence, (first, last) => (last === undefined ? kept.delete(first) : kept.set(first, last)))
        }
        expect(textOfRuns(kept)).toBe(runs.toString())
      }),
    )
  })

  test('count the lowest gap as committed beyond 65,536 runs, and the new one still counts', () => {
    const runs = new SequenceRuns()
    for (let at = 0; at < COMMITTED_RUNS_MAX; at += 1) expect(runs.add(BigInt(3 * at) + 100n)).toBe(true)
    expect(runs.size).toBe(COMMITTED_RUNS_MAX)
    const top = (1n << 64n) - 1n
    expect(runs.add(top)).toBe(true)
    expect(runs.size).toBe(COMMITTED_RUNS_MAX)
    // The gap between 100 and 103 is closed; the next one, and what is below the first run, are not.
    expect(runs.add(101n)).toBe(false)
    expect(runs.add(102n)).toBe(false)
    expect(runs.add(top)).toBe(false)
    expect(runs.add(105n)).toBe(true)
    // A sequence below the lowest run makes the lowest gap the one above itself.
    expect(runs.add(7n)).toBe(true)
    expect(runs.add(50n)).toBe(false)
    expect(runs.size).toBe(COMMITTED_RUNS_MAX)
    expect(new SequenceRuns(runs.toString()).toString()).toBe(runs.toString())
  })

  test('tell the changes beyond 65,536 runs as well', () => {
    const runs = new SequenceRuns()
    const kept = new Map<bigint, bigint>()
    const add = (sequence: bigint): boolean =>
      runs.add(sequence, (first, last) => (last === undefined ? kept.delete(first) : kept.set(first, last)))
    for (let at = 0; at < COMMITTED_RUNS_MAX + 3; at += 1) add(BigInt(3 * at) + 100n)
    add(7n)
    expect(textOfRuns(kept)).toBe(runs.toString())
  })
})

/** Runs as `SequenceRuns` writes them. */
function textOfRuns(runs: ReadonlyMap<bigint, bigint>): string {
  return [...runs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([first, last]) => (first === last ? first.toString(16) : `${first.toString(16)}-${last.toString(16)}`))
    .join(' ')
}

describe('batches', () => {
  const entry = (author: number, worker: number, sequence?: bigint): PayloadEntry => ({
    digest: `${author}.${worker}.${sequence}`,
    author,
    worker,
    ...(sequence === undefined ? {} : { sequence }),
  })

  function commitsOf(payloads: readonly (readonly PayloadEntry[])[]): readonly Commit[] {
    const consensus = new Consensus(OPTIONS)
    for (const author of ALL) {
      consensus.addCertificate(certificate(header(1, author, ALL, { payload: payloads[author] ?? [] })))
    }
    return ALL.flatMap((author) => consensus.addCertificate(certify(2, author, ALL)))
  }

  const digestsOf = (commits: readonly Commit[]): string[][] =>
    commits.map(({ batches }) => batches.map(({ digest }) => digest))

  test('count where their author lists them first, in the same header or another, apart by worker', () => {
    const commits = commitsOf([
      [entry(0, 0, 5n), entry(0, 0, 5n), entry(0, 0, 4n), entry(0, 1, 5n)],
      [entry(0, 0, 5n), entry(1, 0, 5n)],
    ])
    expect(digestsOf(commits)).toEqual([['0.0.5', '0.0.4', '0.1.5'], ['1.0.5'], [], []])
  })

  test('of another author count when V of the stake have listed the same one, and then no other of that sequence', () => {
    const other: PayloadEntry = { ...entry(3, 0, 5n), digest: 'made up' }
    const commits = commitsOf([
      [entry(3, 0, 4n), other, other],
      [entry(3, 0, 5n), entry(3, 1, 4n)],
      [entry(3, 0, 5n), entry(3, 0, 4n), other],
      [other, entry(3, 0, 4n), entry(3, 0, 6n)],
    ])
    expect(digestsOf(commits)).toEqual([[], [], ['3.0.5', '3.0.4'], ['3.0.6']])
  })

  test('that one authority claims are so many at most, whatever it lists: its oldest claims give way, and nobody else’s', () => {
    const stakes = new Stakes([1, 1, 1, 1])
    const claims = new Claims(stakes)
    const named = (sequence: number): ClaimedEntry => entry(3, 0, BigInt(sequence)) as ClaimedEntry
    expect(claims.add(1, named(0))).toBe(false)
    for (let sequence = 0; sequence < 10 * CLAIMS_PER_AUTHORITY_MAX; sequence += 1) claims.add(0, named(sequence))
    expect(claims.size).toBe(CLAIMS_PER_AUTHORITY_MAX + 1)
    expect([claims.has(0, named(0)), claims.has(1, named(0))]).toEqual([false, true])
    expect(claims.add(2, named(0))).toBe(true)
    const again = new Claims(stakes, JSON.parse(JSON.stringify(claims.snapshot())) as ClaimsState)
    expect(again.snapshot()).toEqual(claims.snapshot())
    again.settle(named(0))
    expect(again.size).toBe(CLAIMS_PER_AUTHORITY_MAX)
    for (let sequence = 0; sequence < 10 * CLAIMS_PER_AUTHORITY_MAX; sequence += 1) again.settle(named(sequence))
    expect(again.size).toBe(0)
  })

  test('of each authority of the largest committee have a share of claims', () => {
    expect([4, 100, 256].map(claimsOfEach)).toEqual([256, 20, 8])
  })

  test('without a sequence, as the reference lists them, are never taken for repeats', () => {
    const commits = commitsOf([[entry(0, 0), entry(0, 0)]])
    expect(commits[0]!.batches.length).toBe(2)
  })
})

describe('the time of a commit', () => {
  /** Commits anchor 2.1, whose parents show these times. */
  function timeOf(stakes: readonly number[], times: readonly number[], gcDepth = 50): number {
    const consensus = new Consensus({ stakes, gcDepth, rule: 'bullshark' })
    for (const author of ALL)
      consensus.addCertificate(certificate(header(1, author, ALL, { createdAt: times[author]! })))
    for (const author of ALL) consensus.addCertificate(certify(2, author, ALL))
    const [commit] = ALL.flatMap((author) => consensus.addCertificate(certify(3, author, ALL)))
    return commit!.timestamp
  }

  test.each([
    ['of equal stakes: the lower one of the middle', [1, 1, 1, 1], [40, 10, 30, 20], 20],
    ['of unequal stakes: by stake', [3, 1, 3, 1], [40, 10, 30, 20], 30],
    ['whatever one of four says, above', [1, 1, 1, 1], [30, 10, 9e15, 20], 20],
    ['whatever one of four says, below', [1, 1, 1, 1], [30, 10, 0, 20], 10],
    ['in the dialect without times', [1, 1, 1, 1], [0, 0, 0, 0], 0],
  ])('is the median of the anchor’s parents, %s', (_, stakes, times, expected) => {
    expect(timeOf(stakes, times, 2)).toBe(expected)
    expect(timeOf(stakes, times)).toBe(expected)
  })

  test('is between those of honest clocks, whatever F of the stake says', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100), { minLength: 3, maxLength: 3 }), fc.nat(1e9), (honest, lie) => {
        const time = timeOf([1, 1, 1, 1], [...honest, lie])
        expect(time).toBeGreaterThanOrEqual(Math.min(...honest))
        expect(time).toBeLessThanOrEqual(Math.max(...honest))
      }),
    )
  })

  test('never falls', () => {
    const consensus = new Consensus({ ...OPTIONS, rule: 'bullshark' })
    const commits: Commit[] = []
    for (let round = 1; round <= 7; round += 1) {
      for (const author of ALL) {
        const createdAt = 1000 - 100 * round
        commits.push(...consensus.addCertificate(certificate(header(round, author, ALL, { createdAt }))))
      }
    }
    expect(commits.map(({ timestamp }) => timestamp)).toEqual([900, 900, 900])
  })

  test.each([Number.NaN, 1.5, -1])('%d is our own bug', (createdAt) => {
    const consensus = new Consensus(OPTIONS)
    expect(() => consensus.addCertificate(certificate(header(1, 0, ALL, { createdAt })))).toThrow('whole ms')
  })
})

describe('the state', () => {
  const random = seeded(3)
  const node = runNode(OPTIONS, arrivals(random, randomDag({ random, stakes: OPTIONS.stakes, rounds: 12 }), { lag: 4 }))
  const state = JSON.parse(JSON.stringify(node.state())) as Record<string, unknown>

  test('is what it was, read and written again', () => {
    expect(new Consensus(OPTIONS, state).snapshot()).toEqual(state)
    expect(new Consensus(OPTIONS, state).lastIndex).toBe(node.commits.length)
  })

  test.each([
    ['rule', { rule: 'bullshark' as const }],
    ['gcDepth', { gcDepth: 49 }],
    ['stakes', { stakes: [1, 1, 1, 2] }],
  ])('of another %s is refused: the order would go on as another one', (key, other) => {
    const error = thrown(() => new Consensus({ ...OPTIONS, ...other }, state))
    expect(error).toMatchObject({ code: 'ERR_STORE_SETTINGS', message: expect.stringContaining(key) as string })
  })

  test('with anything else where something should be is refused', () => {
    const paths = (value: unknown): (string | number)[][] =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).flatMap(([key, inner]) => [[key], ...paths(inner).map((path) => [key, ...path])])
        : []
    const rubbish = [null, -1, 1.5, 'x', {}, [[]], true]
    let refused = 0
    for (const path of paths(state)) {
      for (const value of rubbish) {
        const copy = structuredClone(state)
        let at: Record<string, unknown> = copy
        for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>
        at[path.at(-1)!] = value
        const error = thrown(() => new Consensus(OPTIONS, copy))
        expect(error, `${path.join('.')} = ${JSON.stringify(value)}`).toMatchObject({
          code: expect.stringMatching(/^ERR_STORE_(DAMAGED|SETTINGS)$/) as string,
        })
        refused += 1
      }
    }
    expect(refused).toBeGreaterThan(200)
  })

  test.each([[null], [[]], ['state'], [{}]])('%j is none', (value) => {
    expect(thrown(() => new Consensus(OPTIONS, value))).toMatchObject({ code: 'ERR_STORE_DAMAGED' })
  })

  test('with too few authorities is refused', () => {
    const ruleState = { ...(state.ruleState as object), streaks: [0, 0, 0] }
    expect(thrown(() => new Consensus(OPTIONS, { ...state, ruleState }))).toMatchObject({ code: 'ERR_STORE_DAMAGED' })
  })
})
