/**
 * What must hold of any DAG in any order of arrival. Seeds are fixed, so a failure repeats; CONSENSUS_RUNS multiplies how
 * many DAGs there are.
 */
import { describe, expect, test } from 'vitest'
import { CommittedPrefix } from '../../../../src/threads/primary/consensus/committed-prefix.js'
import type { ConsensusOptions, MakeRule } from '../../../../src/threads/primary/consensus/consensus.js'
import type { Dag } from '../../../../src/threads/primary/consensus/dag.js'
import type { HeaderVotes } from '../../../../src/threads/primary/consensus/header-votes.js'
import { RULE_NAMES } from '../../../../src/threads/primary/consensus/rule.js'
import { Shoal, type ShoalState } from '../../../../src/threads/primary/consensus/shoal.js'
import type { Stakes } from '../../../../src/threads/primary/consensus/stakes.js'
import type { AuthoritySet, Round, SubDag } from '../../../../src/threads/primary/consensus/types.js'
import { randomDag, type TestDag } from '../../../support/consensus/dags.js'
import { type Arrival, agree, anyOrder, arrivals, runNode, TestNode } from '../../../support/consensus/nodes.js'
import { oracle } from '../../../support/consensus/oracle.js'
import { seeded } from '../../../support/random.js'

const RUNS = Number(process.env.CONSENSUS_RUNS ?? 1)
const times = (count: number): number[] => Array.from({ length: count * RUNS }, (_, at) => at + 1)

/** Committees: equal, and with stakes where counting heads would be wrong. */
const COMMITTEES: readonly (readonly number[])[] = [
  [1, 1, 1, 1],
  [3, 1, 3, 1],
  [1, 1, 1, 1, 1],
  [4_000_000_000, 1, 2_000_000_000, 1_500_000_000, 900_000_000],
  [1, 1, 1, 1, 1, 1, 1],
  [5, 1, 2, 9, 4, 3, 7],
  [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
]
const named = COMMITTEES.map((stakes) => ({ name: stakes.join(' '), stakes }))

/** Lags in thirds of a round: hardly any order, some rounds, and any order whatever. */
function orders(random: () => number, dag: TestDag, count: number): Arrival[][] {
  return Array.from({ length: count }, (_, at) =>
    at % 4 === 3 ? anyOrder(random, dag) : arrivals(random, dag, { lag: [4, 9, 14][at % 4]!, lateness: 40 }),
  )
}

/** Whether of all these logs any two agree. */
function fork(logs: readonly (readonly string[])[]): boolean {
  const [longest] = [...logs].sort((a, b) => b.length - a.length)
  return !logs.every((log) => agree(log, longest!))
}

describe.each(RULE_NAMES)('by the rule %s', (rule) => {
  test.each(named)('a committee of $name orders what the oracle orders, after every event', ({ stakes }) => {
    const gcDepths = [3, 5, 50]
    for (const seed of times(stakes.length > 5 ? 2 : 4)) {
      const random = seeded(seed)
      const rounds = stakes.length > 5 ? 10 : 14
      const dag = randomDag({ random, stakes, rounds, equivocation: seed % 2 === 0, phaseRounds: 3 + (seed % 3) })
      const options: ConsensusOptions = { stakes, gcDepth: gcDepths[seed % 3]!, rule }
      const node = new TestNode(options)
      let longest: string[] = []
      for (const arrival of orders(random, dag, 4)[seed % 4]!) {
        if (node.receive(arrival) === 0) continue
        const expected = oracle({ ...options, certificates: node.certificates, headers: node.headers })
        // A second header takes its author's first one back from the sets, but no decision back.
        expect(agree(expected, longest)).toBe(true)
        if (expected.length > longest.length) longest = expected
        expect(node.log()).toEqual(longest)
      }
      expect(longest.length).toBeGreaterThan(0)
    }
  })

  test.each(named)('a committee of $name agrees, in hundreds of orders of arrival', ({ stakes }) => {
    for (const seed of times(2)) {
      const random = seeded(1000 + seed)
      const dag = randomDag({ random, stakes, rounds: 16, equivocation: true })
      const options: ConsensusOptions = { stakes, gcDepth: seed % 2 === 0 ? 4 : 50, rule }
      const logs = orders(random, dag, stakes.length > 5 ? 60 : 120).map((order) => runNode(options, order).log())
      expect(fork(logs)).toBe(false)
      expect(Math.max(...logs.map((log) => log.length))).toBeGreaterThan(0)
    }
  })

  test.each(named)('a committee of $name goes on as if it had not stopped, wherever it restarts', ({ stakes }) => {
    for (const seed of times(3)) {
      const random = seeded(2000 + seed)
      const dag = randomDag({ random, stakes, rounds: 14, equivocation: seed % 2 === 0 })
      const options: ConsensusOptions = { stakes, gcDepth: [3, 6, 50][seed % 3]!, rule }
      const order = arrivals(random, dag, { lag: 9, lateness: 30 })
      const node = new TestNode(options)
      let states = [node.state()]
      for (const arrival of order) {
        node.receive(arrival)
        // Killed after the commit was written; or before, so that an older state is in the store.
        if (random() < 0.3) node.restart(random)
        else if (random() < 0.1) node.restart(random, states.at(-Math.ceil(random() * Math.min(5, states.length)))!)
        states = [...states.filter(({ index }) => index < node.commits.length), node.state()]
      }
      expect(node.commits.map(({ index }) => index)).toEqual(node.commits.map((_, at) => at + 1))
      // Headers are not kept over a restart, so another node may be ahead, and never on another way.
      const undisturbed = runNode(options, order).log()
      expect(agree(node.log(), undisturbed)).toBe(true)
      expect(node.commits.length).toBeGreaterThan(0)
      if (rule !== 'shoal') expect(node.log()).toEqual(undisturbed)
    }
  })

  test('each sub-dag has its anchor last, parents first, nothing twice, and leaves nothing behind', () => {
    let [claimed, claimedInVain] = [0, 0]
    for (const seed of times(20)) {
      const random = seeded(3000 + seed)
      const stakes = COMMITTEES[seed % COMMITTEES.length]!
      const gcDepth = 3 + (seed % 5)
      const dag = randomDag({ random, stakes, rounds: 16 })
      const { commits, certificates } = runNode(
        { stakes, gcDepth, rule },
        arrivals(random, dag, { lag: 9, lateness: 40 }),
      )
      const committed = new Set<string>()
      const batches = new Set<string>()
      const known = new Map(certificates.map((certificate) => [certificate.digest, certificate]))
      let time = 0
      for (const [at, commit] of commits.entries()) {
        expect(commit.index).toBe(at + 1)
        expect(commit.timestamp).toBeGreaterThanOrEqual(time)
        time = commit.timestamp
        expect(commit.vertices.at(-1)).toBe(commit.anchor)
        const places = commit.vertices.map(({ digest }) => digest)
        // Digests ascend by (round, author index), which is the order within a sub-dag; tusk has its own within a round.
        if (rule !== 'tusk') expect(places).toEqual([...places].sort())
        for (const { digest, round, certificate } of commit.vertices) {
          expect(committed.has(digest)).toBe(false)
          committed.add(digest)
          if (rule === 'tusk' || round - 1 <= commit.anchor.round - gcDepth) continue
          const left = certificate.header.parents.filter((parent) => known.has(parent) && !committed.has(parent))
          expect(left).toEqual([])
        }
        for (const { author, worker, sequence } of commit.batches) {
          expect(batches.has(`${author}/${worker}/${sequence}`)).toBe(false)
          batches.add(`${author}/${worker}/${sequence}`)
        }
      }
      // Each batch that its author lists in a committed certificate is in the order; others only where several list them.
      const listed = commits.flatMap(({ vertices }) =>
        vertices.flatMap(({ author, certificate }) =>
          certificate.header.payload.map((e) => ({
            isOwn: e.author === author,
            name: `${e.author}/${e.worker}/${e.sequence}`,
          })),
        ),
      )
      for (const { isOwn, name } of listed) if (isOwn) expect(batches).toContain(name)
      const names = new Set(listed.map(({ name }) => name))
      for (const name of batches) expect(names).toContain(name)
      claimedInVain += names.size - batches.size
      claimed += batches.size - new Set(listed.flatMap(({ isOwn, name }) => (isOwn ? name : []))).size
    }
    expect(claimed).toBeGreaterThan(0)
    expect(claimedInVain).toBeGreaterThan(0)
  })

  test('memory is bounded by gc_depth and by the rounds since the last commit', () => {
    const random = seeded(7)
    const stakes = [1, 1, 1, 1]
    const dag = randomDag({ random, stakes, rounds: 300, equivocation: true })
    const node = new TestNode({ stakes, gcDepth: 5, rule })
    for (const arrival of arrivals(random, dag, { lag: 6 })) {
      node.receive(arrival)
      const top = Math.max(0, ...node.certificates.map(({ header }) => header.round))
      const { certificates, headers } = node.consensus.roundsKept
      expect(certificates).toBeLessThanOrEqual(top - node.consensus.gcRound)
      expect(headers).toBeLessThanOrEqual(top + 1 - (node.commits.at(-1)?.anchor.round ?? 0))
    }
    expect(node.consensus.roundsKept.certificates).toBeLessThan(40)
    expect(JSON.stringify(node.state().ruleState).length).toBeLessThan(1000)
  })

  test('what comes twice changes nothing', () => {
    const random = seeded(11)
    const stakes = [1, 1, 1, 1]
    const options: ConsensusOptions = { stakes, gcDepth: 5, rule }
    const order = arrivals(random, randomDag({ random, stakes, rounds: 20 }), { lag: 9 })
    const twice = order.flatMap((arrival, at) => (at % 3 === 0 ? [arrival, arrival, order[at >> 1]!] : [arrival]))
    expect(runNode(options, twice).log()).toEqual(runNode(options, order).log())
  })
})

describe('negative controls: the harness finds the fork of', () => {
  /** f + 1 headers commit. */
  class TooFewHeaders extends Shoal {
    protected override get headerQuorum(): number {
      return this.stakes.validity
    }
  }

  /** An anchor in every round of an instance, with no votes against it. */
  class AnchorInEveryRound extends Shoal {
    protected override get slotDistance(): number {
      return 1
    }
  }

  /** Who is weak is seen in the local DAG. */
  class WeakByLocalDag extends Shoal {
    private local: AuthoritySet = 0n
    private dag: Dag | undefined

    override next(dag: Dag, headers: HeaderVotes): SubDag | undefined {
      this.dag = dag
      return super.next(dag, headers)
    }

    protected override enter(round: Round): void {
      super.enter(round)
      const authors = Array.from({ length: this.stakes.size }, (_, author) => author)
      const absent = authors.filter((author) => this.dag?.vertex(round - 1, author) === undefined)
      this.local = round > 3 ? absent.slice(0, this.stakes.faulty).reduce((set, a) => set | (1n << BigInt(a)), 0n) : 0n
    }

    protected override get weakSet(): AuthoritySet {
      return this.local
    }
  }

  /** What is old is what is far below the highest round that has arrived, and a sub-dag takes what is not old. */
  class CollectsByArrival extends Shoal {
    private highestRound = 0

    constructor(stakes: Stakes, gcDepth: number) {
      const rule = (): CollectsByArrival => this
      class TakesWhatIsLeft extends CommittedPrefix {
        protected override lowestRound(): Round {
          return rule().gcRound
        }
      }
      super(stakes, 50, undefined, new TakesWhatIsLeft(stakes.size, 50))
      this.depth = gcDepth
    }

    private readonly depth: number

    override next(dag: Dag, headers: HeaderVotes): SubDag | undefined {
      this.highestRound = dag.highestRound
      return super.next(dag, headers)
    }

    override get gcRound(): Round {
      return Math.max(super.gcRound, Math.min(this.highestRound - this.depth, this.decidedRound - 1))
    }
  }

  const controls: Record<string, { makeRule: MakeRule; gcDepth: number }> = {
    'f + 1 headers in place of 2f + 1': {
      makeRule: (stakes, gcDepth, state) => new TooFewHeaders(stakes, gcDepth, state as ShoalState | undefined),
      gcDepth: 50,
    },
    'an anchor in every round of an instance': {
      makeRule: (stakes, gcDepth, state) => new AnchorInEveryRound(stakes, gcDepth, state as ShoalState | undefined),
      gcDepth: 50,
    },
    'a weak set from the local DAG': {
      makeRule: (stakes, gcDepth, state) => new WeakByLocalDag(stakes, gcDepth, state as ShoalState | undefined),
      gcDepth: 50,
    },
    'garbage collection by arrival': {
      makeRule: (stakes, gcDepth) => new CollectsByArrival(stakes, gcDepth),
      gcDepth: 5,
    },
  }

  /** Forks among so many random DAGs, each seen by four nodes. */
  function forks(stakes: readonly number[], gcDepth: number, dags: number, makeRule?: MakeRule): number {
    let found = 0
    for (let seed = 1; seed <= dags * RUNS; seed += 1) {
      const random = seeded(4000 + seed)
      // Phases of slow authors are longer than garbage collection takes: their branches are what it decides about.
      const dag = randomDag({ random, stakes, rounds: 16, equivocation: true, phaseRounds: 4 + 4 * (seed % 3) })
      const lag = [4, 9, 14][(seed >> 2) % 3]!
      const logs = [1, 2, 3, 4].map(() =>
        runNode({ stakes, gcDepth, rule: 'shoal' }, arrivals(random, dag, { lag, lateness: 20 }), makeRule).log(),
      )
      if (fork(logs)) found += 1
    }
    return found
  }

  const DAGS = 120
  test.each(Object.entries(controls))('%s', (_, { makeRule, gcDepth }) => {
    const found = forks([1, 1, 1, 1], gcDepth, DAGS, makeRule)
    if (process.env.CONSENSUS_SHOW) console.log(_, found)
    expect(found).toBeGreaterThan(0)
  })

  test('and none of the rule itself, on the same DAGs', () => {
    expect(forks([1, 1, 1, 1], 50, DAGS)).toBe(0)
    expect(forks([1, 1, 1, 1], 3, DAGS)).toBe(0)
  })
})
