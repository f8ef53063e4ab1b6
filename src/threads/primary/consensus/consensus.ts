/**
 * Consensus: certificates and headers in, commits out. A pure function of what it is given: it has no clock, no I/O, no
 * chance, and no fractions. Two nodes that are given the same certificates, in whatever order, give the same commits, up
 * to how far each of them is.
 *
 * It is given only what is verified, parents first: a header or a certificate comes when the certificates of its parents
 * have been given, or are of a round at or below `gcRound`. What comes twice, or too late, changes nothing.
 *
 * ```
 *  addCertificate ──▶ Dag ────────────┐
 *                                     ├──▶ Rule ──▶ sub-dag ──▶ batches, timestamp, index ──▶ Commit
 *  addHeader ───────▶ HeaderVotes ────┘
 * ```
 */
import { choiceArgument, integerArgument } from '../../../shared/arguments.js'
import { assert } from '../../../shared/assert.js'
import { ROUNDS_MAX } from '../../../shared/config/limits.js'
import { CHECKPOINT_INTERVAL } from '../../../shared/wire/primary/limits.js'
import { Bullshark, type BullsharkState } from './bullshark.js'
import type { ClaimedEntry } from './claims.js'
import { commitTimestamp } from './commit-timestamp.js'
import { CommittedBatches } from './committed-batches.js'
import {
  type ConsensusPosition,
  type ConsensusSettings,
  type ConsensusState,
  checkConsensusState,
} from './consensus-state.js'
import { Dag } from './dag.js'
import { CertificateEquivocationError, type HeaderEquivocation } from './equivocation.js'
import { HeaderVotes } from './header-votes.js'
import { CONSENSUS_GC_DEPTH_MIN } from './limits.js'
import { RULE_NAMES, type Rule, type RuleName, type RuleState } from './rule.js'
import { Shoal, type ShoalState } from './shoal.js'
import { Stakes } from './stakes.js'
import { stateDigest } from './state-digest.js'
import { Tusk, type TuskState } from './tusk.js'
import type { AuthorityIndex, Certificate, Commit, Header, Round, SubDag } from './types.js'

export interface ConsensusOptions {
  /** By authority index, each a whole number from 1 to 2³² − 1. */
  readonly stakes: readonly number[]
  /** Rounds below an anchor that its sub-dag may take, the anchor's own included: the same on all nodes. */
  readonly gcDepth: number
  /** The same on all nodes. */
  readonly rule: RuleName
}

export type MakeRule = (stakes: Stakes, gcDepth: number, state?: RuleState) => Rule

const MAKE_RULE: Readonly<Record<RuleName, MakeRule>> = {
  shoal: (stakes, gcDepth, state) => new Shoal(stakes, gcDepth, state as ShoalState | undefined),
  tusk: (stakes, gcDepth, state) => new Tusk(stakes, gcDepth, state as TuskState | undefined),
  bullshark: (stakes, gcDepth, state) => new Bullshark(stakes, gcDepth, state as BullsharkState | undefined),
}

export interface HeaderOutcome {
  readonly commits: readonly Commit[]
  /** The author has signed another header of that round. */
  readonly equivocation?: HeaderEquivocation
}

export class Consensus {
  private readonly settings: ConsensusSettings
  private readonly stakes: Stakes
  private readonly rule: Rule
  private readonly dag: Dag
  private readonly headers: HeaderVotes
  private readonly batches: CommittedBatches
  private index: number
  private timestamp: number
  /** The rule's state as it was right after the last commit: since then it may have passed anchors that add nothing. */
  private committedState: RuleState
  /** Why nothing is ordered any more. */
  private stopped: CertificateEquivocationError | undefined

  /**
   * @param state what `snapshot` gave before the node stopped, as read from its store; the certificates above `gcRound`
   *   are given again after that, in any order that has parents first
   * @throws TypeError, RangeError, ERR_STORE_DAMAGED, ERR_STORE_SETTINGS
   */
  constructor(options: ConsensusOptions, state?: unknown, makeRule?: MakeRule) {
    const { stakes } = options
    const gcDepth = integerArgument('gcDepth', options.gcDepth, CONSENSUS_GC_DEPTH_MIN, ROUNDS_MAX)
    const rule = choiceArgument('rule', options.rule, RULE_NAMES)
    this.stakes = new Stakes(stakes)
    this.settings = { rule, gcDepth, stakes: [...stakes] }
    const restored = state === undefined ? undefined : checkConsensusState(state, this.settings)
    this.rule = (makeRule ?? MAKE_RULE[rule])(this.stakes, gcDepth, restored?.ruleState)
    this.dag = new Dag(this.stakes, this.rule.gcRound)
    this.headers = new HeaderVotes(this.stakes)
    this.headers.forget(this.rule.decidedRound)
    this.batches = new CommittedBatches(this.stakes, restored?.batches, restored?.claims)
    this.index = restored?.index ?? 0
    this.timestamp = restored?.timestamp ?? 0
    this.committedState = this.rule.snapshot()
  }

  /** Certificates of rounds at or below it are too late, and parents of these rounds are not asked for. */
  get gcRound(): Round {
    return this.dag.gcRound
  }

  /** All anchors of rounds up to it are decided: how far the order is. */
  get decidedRound(): Round {
    return this.rule.decidedRound
  }

  /** The index of the last commit; 0 before the first. */
  get lastIndex(): number {
    return this.index
  }

  /** Rounds that are in memory: those above `gcRound` that have certificates, and those of headers that are asked for. */
  get roundsKept(): { readonly certificates: number; readonly headers: number } {
    return { certificates: this.dag.size, headers: this.headers.size }
  }

  /**
   * A verified certificate, each of whose parents was given or is of a round at or below `gcRound`.
   *
   * @throws CertificateEquivocationError its author has another certificate of that round. From then on every call throws it
   */
  addCertificate(certificate: Certificate): readonly Commit[] {
    this.begin(certificate.header)
    try {
      return this.dag.add(certificate) ? this.decide() : []
    } catch (error) {
      if (error instanceof CertificateEquivocationError) this.stopped = error
      throw error
    }
  }

  /** A header with a valid signature and a quorum of parents, under the same condition. It need not be certified. */
  addHeader(header: Header): HeaderOutcome {
    this.begin(header)
    const equivocation = this.headers.add(header, this.dag)
    return equivocation === undefined ? { commits: this.decide() } : { commits: [], equivocation }
  }

  /** Whether no later commit has the vertex of this round and author: it is committed, or never will be. */
  isOver(round: Round, author: AuthorityIndex): boolean {
    return this.rule.isOver(round, author)
  }

  /** Whether a commit has a batch of this worker's sequence: none of that sequence will be in a later one. */
  hasBatch(author: AuthorityIndex, worker: number, sequence: bigint): boolean {
    return this.batches.has(author, worker, sequence)
  }

  /** Whether this authority has listed a batch of another that is not in the order, and that still counts. */
  isClaimed(claimant: AuthorityIndex, entry: ClaimedEntry): boolean {
    return this.batches.isClaimed(claimant, entry)
  }

  /** The highest sequence of this worker that a commit has; 0 if none has any. */
  highestSequence(author: AuthorityIndex, worker: number): bigint {
    return this.batches.highest(author, worker)
  }

  /**
   * What a restart needs of the committed prefix, as JSON has it: as it was right after the last commit that was given. So it
   * follows from the commits alone, and is the same on all honest authorities with the same last commit.
   */
  snapshot(): ConsensusState {
    return { ...this.position(), batches: this.batches.snapshot() }
  }

  /** The same without the committed sequences, of which each commit says what it changed (`runChanges`). */
  position(): ConsensusPosition {
    const [ruleState, claims] = [this.committedState, this.batches.claims()]
    return { ...this.settings, index: this.index, timestamp: this.timestamp, ruleState, claims }
  }

  /** The digest of `snapshot`: what a checkpoint of the last commit says of it. */
  stateDigest(): Uint8Array {
    return stateDigest(this.position(), this.batches.digests())
  }

  private begin({ author, round, createdAt }: Header): void {
    if (this.stopped !== undefined) throw this.stopped
    assert(Number.isSafeInteger(round) && round >= 1, `round ${round}: genesis is not handed in`)
    assert(Number.isInteger(author) && author >= 0 && author < this.stakes.size, 'an author of the committee')
    assert(Number.isSafeInteger(createdAt) && createdAt >= 0, 'a time in whole ms')
  }

  private decide(): Commit[] {
    const commits: Commit[] = []
    for (let next = this.rule.next(this.dag, this.headers); next; next = this.rule.next(this.dag, this.headers)) {
      commits.push(this.commit(next))
    }
    return commits
  }

  private commit(subDag: SubDag): Commit {
    this.index += 1
    this.timestamp = commitTimestamp(this.dag, subDag.anchor, this.stakes, this.timestamp)
    this.dag.collect(this.rule.gcRound)
    this.headers.forget(this.rule.decidedRound)
    this.committedState = this.rule.snapshot()
    const { index, timestamp } = this
    const commit = { ...subDag, index, timestamp, ...this.batches.take(subDag.vertices) }
    if (index % CHECKPOINT_INTERVAL !== 0) return commit
    const state = { position: this.position(), runs: [...this.batches.digests()] }
    return { ...commit, state, stateDigest: stateDigest(state.position, state.runs) }
  }
}
