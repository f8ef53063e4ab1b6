/**
 * Faults on purpose: each is a mistake that somebody could make, or has made, in a primary or in the store around it. The
 * simulator has to find every one of them (`test/threads/primary/sabotage.test.ts`); a check that finds none proves nothing.
 *
 * The product knows nothing of them. A fault changes what a simulated node is handed or hands over, or it puts another
 * function in the place of a method while one simulation runs.
 */
import { Adoption } from '../../../src/threads/primary/adoption.js'
import { CertificatesAggregator } from '../../../src/threads/primary/certificates-aggregator.js'
import { Checkpointer } from '../../../src/threads/primary/checkpointer.js'
import { Claims } from '../../../src/threads/primary/consensus/claims.js'
import { CommittedBatches } from '../../../src/threads/primary/consensus/committed-batches.js'
import { CommittedPrefix } from '../../../src/threads/primary/consensus/committed-prefix.js'
import { Consensus } from '../../../src/threads/primary/consensus/consensus.js'
import type { ConsensusState } from '../../../src/threads/primary/consensus/consensus-state.js'
import { Stakes } from '../../../src/threads/primary/consensus/stakes.js'
import type { Commit, Vertex } from '../../../src/threads/primary/consensus/types.js'
import { Core } from '../../../src/threads/primary/core.js'
import { EvidenceKeeper } from '../../../src/threads/primary/evidence-keeper.js'
import { HeaderWaiter } from '../../../src/threads/primary/header-waiter.js'
import { OwnBatches } from '../../../src/threads/primary/own-batches.js'
import { Pacing } from '../../../src/threads/primary/pacing.js'
import type { HeaderRecord } from '../../../src/threads/primary/records.js'
import type { StoredState, Write } from '../../../src/threads/primary/store/writes.js'
import { Synchronizer } from '../../../src/threads/primary/synchronizer.js'
import type { Send, Turn } from '../../../src/threads/primary/turn.js'
import { SCENARIOS } from './scenarios.js'
import type { Byzantine, Schedule } from './schedule.js'
import type { SimulatedStore } from './store.js'
import { SimulatedWorkers } from './workers.js'

export interface Sabotage {
  /** What becomes of a turn before it is carried out. */
  readonly turn?: (turn: Turn) => Turn
  /** The transactions in which the writes of a turn become durable: a crash can fall between two. */
  readonly transactions?: (writes: readonly Write[], store: SimulatedStore) => readonly (readonly Write[])[]
  /** What the primary is handed at a start. */
  readonly state?: (state: StoredState) => StoredState
  /** Puts other functions in the place of methods. Returns what puts them back. */
  readonly alter?: () => () => void
  /** A check that is left out, so that it is seen what comes of the fault: whether what is sent is durable, or what a primary says of itself. */
  readonly isBlindTo?: 'disk' | 'status'
}

export interface Control {
  readonly sabotage: Sabotage
  /** In which runs it shows. */
  readonly schedule: Partial<Schedule>
  /** By what it is found. */
  readonly found: RegExp
}

const FOUR: Partial<Schedule> = {
  stakes: [1, 1, 1, 1],
  rule: 'shoal',
  losesStore: undefined,
  byzantine: new Map(),
  rareCrashShare: 0,
}
/** Many crashes of all. */
const CRASHES: Partial<Schedule> = { ...FOUR, crashShare: 0.005, rareCrashShare: 0.02 }
const liar = (kind: Byzantine): Partial<Schedule> => ({
  ...FOUR,
  byzantine: new Map([[0, kind]]),
})

/** One dies in the middle of its work. */
const DEAD: Partial<Schedule> = {
  ...FOUR,
  crashShare: 0,
  dead: new Map([[3, 400]]),
  losesWorkerStore: undefined,
  healingMsMax: 25_000,
}

/** Crashes while the batches of one that is dead are claimed, by some in a commit before that in which others do. */
const CLAIMS_AND_CRASHES: Partial<Schedule> = {
  ...DEAD,
  dead: new Map([[3, 4000]]),
  chaosMs: 16_000,
  crashShare: 0.0005,
  rareCrashShare: 0.02,
  delayMs: 10,
  batchEveryMs: 50,
  healingMsMax: 60_000,
}

/** Headers of one that is far fall out of the DAG. */
const FALLING_OUT: Partial<Schedule> = {
  gcDepth: 5,
  links: { far: new Map([[3, 200]]) },
  delayMs: 1,
  dropShare: 0.3,
  crashShare: 0,
  healingMsMax: 20_000,
}

const early = (send: Send): Send => ({ ...send, afterDurable: false })
const without =
  (type: Write['type']) =>
  (turn: Turn): Turn => ({ ...turn, writes: turn.writes.filter((write) => write.type !== type) })

export const CONTROLS: Readonly<Record<string, Control>> = {
  // What is durable before what is sent.
  'headers and votes are sent before the flush': {
    sabotage: { turn: (turn) => ({ ...turn, sends: turn.sends.map(early) }) },
    schedule: CRASHES,
    found: /left authority \d before it was durable/,
  },
  'a vote is not written before it is sent': {
    sabotage: { turn: without('vote') },
    schedule: FOUR,
    found: /a vote left authority \d before it was durable/,
  },
  'a vote is not written, and nobody looks at the disk': {
    sabotage: { turn: without('vote'), isBlindTo: 'disk' },
    schedule: { ...CRASHES, ...liar('equivocates'), crashShare: 0.005 },
    found: /a second vote|a signature of ours that this store does not have/,
  },
  'an own header is not written before it is sent': {
    sabotage: { turn: without('own-header') },
    schedule: FOUR,
    found: /a header left authority \d before it was durable/,
  },
  'an own header is not written, and nobody looks at the disk': {
    sabotage: { turn: without('own-header'), isBlindTo: 'disk' },
    schedule: CRASHES,
    found: /a second header|a signature of ours that this store does not have/,
  },
  'a turn that writes nothing does not wait for the flush of those before': {
    sabotage: { turn: (turn) => (turn.writes.length === 0 ? { ...turn, sends: turn.sends.map(early) } : turn) },
    schedule: { ...FOUR, flushMs: 20, duplicateShare: 0.2, delayMs: 1 },
    found: /left authority \d before it was durable/,
  },
  // What a restart reads.
  'a restart does not read the votes': {
    sabotage: { state: (state) => ({ ...state, votes: [] }) },
    schedule: { ...CRASHES, ...liar('equivocates'), crashShare: 0.005 },
    found: /a second vote|stopped/,
  },
  'a restart does not read the last round that it proposed in': {
    sabotage: { state: ({ ownHeader: _, ...state }) => state },
    schedule: CRASHES,
    found: /a second header|stopped/,
  },
  'a restart does not read own batches, and the worker does not tell of them again': {
    sabotage: {
      state: (state) => ({ ...state, ownBatches: [] }),
      alter: () =>
        instead(SimulatedWorkers.prototype, 'primaryStarted', () => {
          return function (this: SimulatedWorkers, authority) {
            this.sayStore(authority)
          }
        }),
    },
    schedule: CRASHES,
    found: /not ordered/,
  },
  'a restart does not read how far the order is': {
    sabotage: { state: ({ consensus: _, ...state }) => state },
    schedule: CRASHES,
    found: /commit \d+ (at place|behind commit) \d+/,
  },
  'an authority whose store is lost signs at once': {
    sabotage: {
      state: (state) => (state.signing.state === 'above' ? state : { ...state, signing: { state: 'above', round: 0 } }),
    },
    schedule: { ...FOUR, losesStore: { authority: 0, backup: false } },
    found: /a second (header|vote)|stopped/,
  },
  'an authority that goes on from an old backup signs at once': {
    sabotage: {
      state: (state) => (state.signing.state === 'above' ? state : { ...state, signing: { state: 'above', round: 0 } }),
    },
    schedule: { ...FOUR, losesStore: { authority: 0, backup: true } },
    found: /a second (header|vote)|stopped/,
  },
  // What is kept against liars.
  'nothing is kept of two headers of a round': {
    sabotage: { alter: () => instead(EvidenceKeeper.prototype, 'add', () => () => {}) },
    schedule: liar('equivocates'),
    found: /saw two headers of authority 0, and has no evidence/,
  },
  'a header of another round is taken for a second one': {
    sabotage: { alter: () => instead(EvidenceKeeper.prototype, 'otherThan', () => anyOther) },
    schedule: FOUR,
    found: /is not valid|accuses authority \d, which is honest|stopped/,
  },
  // What is in one transaction.
  'the commit log is written after the mark that says how far it is': {
    sabotage: { transactions: (writes) => [writes.map(withoutCommits), writes.filter(isCommits)] },
    schedule: CRASHES,
    found: /commit \d+ (at place|behind commit) \d+/,
  },
  'the mark that says how far the commit log is is written after it': {
    sabotage: {
      transactions: (writes, store) => [
        writes.map((write) => (isCommits(write) ? { ...write, state: positionOf(store) } : write)),
        writes.filter(isCommits).map(withoutCommits),
      ],
    },
    schedule: CRASHES,
    found: /commit \d+ (at place|behind commit) \d+/,
  },
  // What gets a vote.
  'a batch that is not held gets a vote': {
    sabotage: { alter: () => instead(Synchronizer.prototype, 'missingPayload', () => () => []) },
    schedule: liar('lies-about-payload'),
    found: /is ordered, and nobody has it/,
  },
  'a second header of an author and round gets a vote': {
    sabotage: {
      alter: () => instead(Core.prototype as unknown as CoreParts, 'problemOfVoting', () => () => undefined),
    },
    schedule: liar('equivocates'),
    found: /a second vote/,
  },
  'parents are counted, and consensus insists on stake': {
    sabotage: { alter: () => all(countedParents()) },
    schedule: { ...FOUR, stakes: [3, 1, 3, 1], delayMs: 10, crashShare: 0 },
    found: /are no quorum/,
  },
  'stakes are counted as heads': {
    sabotage: { alter: () => instead(Stakes.prototype, 'of', () => () => 1) },
    schedule: { ...FOUR, stakes: [3, 1, 3, 1], dead: new Map([[1, 0]]), crashShare: 0 },
    found: /not ordered|no quorum|forked/,
  },
  // What is adopted.
  'a batch is in the order wherever it is listed': {
    sabotage: {
      alter: () => instead(CommittedBatches.prototype as unknown as BatchParts, 'isFirst', () => () => true),
    },
    schedule: DEAD,
    found: /is in the order twice/,
  },
  'what one authority lists of another is in the order at once': {
    sabotage: { alter: () => instead(Claims.prototype, 'add', () => () => true) },
    schedule: liar('claims'),
    found: /is ordered, and nobody has it/,
  },
  'a restart does not read which batches are claimed': {
    sabotage: {
      state: (state) =>
        state.consensus === undefined
          ? state
          : { ...state, consensus: { ...(state.consensus as ConsensusState), claims: [] } },
    },
    schedule: CLAIMS_AND_CRASHES,
    found: /the order has forked|a second checkpoint|have signed another log|is in the order twice|not ordered/,
  },
  'what one has claimed counts as ordered': {
    sabotage: {
      alter: () =>
        instead(CommittedBatches.prototype, 'has', (has) => {
          return function (this: CommittedBatches, author, worker, sequence) {
            const { byName } = (this as unknown as { claimed: { byName: Map<string, unknown> } }).claimed
            return has.call(this, author, worker, sequence) || byName.has(`${author} ${worker} ${sequence}`)
          }
        }),
    },
    schedule: DEAD,
    found: /not ordered/,
  },
  'batches of a dead author are adopted by nobody': {
    sabotage: { alter: () => instead(Adoption.prototype, 'take', () => () => []) },
    schedule: DEAD,
    found: /not ordered/,
  },
  // What is forgotten, and when.
  'what is too old for the order is judged by what has arrived': {
    sabotage: { alter: () => all(collectedByArrival(3)) },
    schedule: { ...FOUR, dropShare: 0.1, delayMs: 10 },
    found: /the order has forked/,
  },
  'own batches that fell out of the DAG are not proposed again': {
    // Nor does anybody else list them.
    sabotage: {
      alter: () =>
        all([
          instead(OwnBatches.prototype, 'collect', () => () => 0),
          instead(Adoption.prototype, 'take', () => () => []),
        ]),
    },
    schedule: { ...FOUR, ...FALLING_OUT },
    found: /not ordered/,
  },
  'headers wait without a bound': {
    sabotage: { alter: () => instead(HeaderWaiter.prototype, 'wait', waitForEver) },
    schedule: { ...liar('talks-rubbish'), dropShare: 0.1, delayMs: 10 },
    found: /status: headersWaiting/,
  },
  'certificates are kept for ever': {
    sabotage: { alter: () => instead(CertificatesAggregator.prototype, 'collect', () => () => {}) },
    schedule: { ...FOUR, gcDepth: 4 },
    found: /status: certificatesKept/,
  },
  // Checkpoints.
  'ordering stops as soon as one signs another checkpoint': {
    sabotage: {
      alter: () =>
        instead(Checkpointer.prototype as unknown as CheckpointerParts, 'isFork', () => (stake) => stake > 0),
    },
    schedule: { ...FOUR, byzantine: new Map([[0, 'signs-other-checkpoints']]) },
    found: /authority \d stopped: authorities 0, with stake 1 of 4, have signed another log/,
  },
  'the state that is signed is that of the last commit of the turn': {
    sabotage: {
      alter: () =>
        instead(Consensus.prototype as unknown as ConsensusParts, 'decide', (decide) => {
          return function (this: ConsensusParts) {
            const stateOf = (commit: Commit): Commit =>
              commit.stateDigest === undefined ? commit : { ...commit, stateDigest: this.stateDigest() }
            return decide.call(this).map(stateOf)
          }
        }),
    },
    schedule: { ...FOUR, delayMs: 10 },
    found: /a second checkpoint|have signed another log/,
  },
  // Who is waited for.
  'nobody is waited for': {
    sabotage: { alter: () => instead(Pacing.prototype, 'parentsAtMs', () => (_, quorumAtMs) => quorumAtMs) },
    schedule: { ...SCENARIOS['far 150 ms'], chaosMs: 2500, healingMsMax: 5000 },
    found: /not ordered/,
  },
}

type CommitsWrite = Extract<Write, { type: 'commits' }>
const isCommits = (write: Write): write is CommitsWrite => write.type === 'commits'
/** Where the store says that consensus stands. */
const positionOf = (store: SimulatedStore): CommitsWrite['state'] => store.state().consensus as CommitsWrite['state']
const withoutCommits = (write: Write): Write => (write.type === 'commits' ? { ...write, records: [] } : write)

/** Private methods that a fault is in. */
interface BatchParts {
  isFirst(): boolean
}

interface CoreParts {
  problemOfVoting(): unknown
}

interface ConsensusParts {
  decide(): Commit[]
  stateDigest(): Uint8Array
}

interface CheckpointerParts {
  isFork(stake: number): boolean
}

/** Three parents of four are taken for a quorum, whatever their stake. */
function countedParents(): (() => void)[] {
  const { problemOfParents } = Synchronizer.prototype
  const counted = (stakes: Stakes): Stakes => new Stakes(new Array<number>(stakes.size).fill(1))
  return [
    instead(Synchronizer.prototype, 'problemOfParents', () => {
      return function (this: Synchronizer, header) {
        const parts = this as unknown as { stakes: Stakes }
        return problemOfParents.call(Object.assign(Object.create(this), { stakes: counted(parts.stakes) }), header)
      }
    }),
    instead(CertificatesAggregator.prototype, 'add', (add) => {
      return function (this: CertificatesAggregator, certificate, nowMs) {
        const parts = this as unknown as { stakes: Stakes }
        if (parts.stakes.total > parts.stakes.size) parts.stakes = counted(parts.stakes)
        add.call(this, certificate, nowMs)
      }
    }),
  ]
}

function anyOther(this: EvidenceKeeper, { author, id }: HeaderRecord): HeaderRecord | undefined {
  const { headers } = this as unknown as { headers: Map<number, HeaderRecord>[] }
  return [...headers[author]!.values()].find((known) => known.id !== id)
}

/** A sub-dag takes only what is less than `rounds` below the highest round that is here. */
function collectedByArrival(rounds: number): (() => void)[] {
  const bounds = new WeakMap<object, number>()
  return [
    instead(CommittedPrefix.prototype, 'commit', (commit) => {
      return function (this: CommittedPrefix, dag, anchor) {
        bounds.set(this, dag.highestRound - rounds)
        return commit.call(this, dag, anchor)
      }
    }),
    instead(CommittedPrefix.prototype as unknown as PrefixParts, 'lowestRound', (lowestRound) => {
      return function (this: PrefixParts, anchor) {
        return Math.max(lowestRound.call(this, anchor), Math.min(bounds.get(this)!, anchor.round - 1))
      }
    }),
  ]
}

interface PrefixParts {
  lowestRound(anchor: Vertex): number
}

/** Each header under a key of its own. */
function waitForEver(wait: HeaderWaiter['wait']): HeaderWaiter['wait'] {
  let waited = 1000
  return function (this: HeaderWaiter, header, missing, turn) {
    const replaced = wait.call(this, header, missing, turn)
    const { waiting } = this as unknown as { waiting: Map<number, unknown> }
    waiting.set(waited, waiting.get(header.author))
    waiting.delete(header.author)
    waited += 1
    return replaced
  }
}

/** @param make of the method that is there, the one that takes its place */
function instead<T extends object, K extends keyof T>(prototype: T, name: K, make: (method: T[K]) => T[K]): () => void {
  const method = prototype[name]
  prototype[name] = make(method)
  return () => {
    prototype[name] = method
  }
}

function all(putBack: readonly (() => void)[]): () => void {
  return () => {
    for (const each of putBack) each()
  }
}
