/**
 * Whether a primary does what it is there for: sign, and bring batches into the order. Pure rules: what is known is handed
 * in, and what is wrong comes out, by name and with what to do.
 *
 * `ok` is what `/readyz` answers. It is false while the primary starts or closes, may sign nothing, has no quorum, makes no
 * new round, orders nothing, or is so far behind that its certificates come too late for everybody. To start it again would
 * help only where it has failed.
 */
import { shortName } from '../../../shared/config/short-name.js'
import { commandName } from '../../../shared/runtime/command.js'
import {
  ATTESTED_BEHIND_COMMITS,
  BEHIND_ROUNDS,
  FLUSH_SLOW_MS,
  HEARD_GRACE_MS,
  NAMES_SHOWN_MAX,
  ROUND_STILL_MS,
  THREAD_STILL_MS,
} from './limits.js'
import type { Standing } from './progress.js'

export interface PrimaryHealthState extends Standing {
  /** Everything is there, and nothing has asked for the end. */
  readonly isOpen: boolean
  /** Why it cannot go on, once it cannot. */
  readonly failure: string | undefined
  readonly ownStake: number
  /** Of the committee. */
  readonly totalStake: number
  readonly quorumThreshold: number
  readonly gcDepth: number
  /** The other authorities. */
  readonly peers: readonly PrimaryPeerState[]
  readonly isRecovering: boolean
  /** The committee stands, and we may sign above this higher round only. */
  readonly signingHeldAbove: number | undefined
  /** We are behind, and no peer keeps the certificates that we need next. */
  readonly isHistoryGone: boolean
  /** The highest round with a quorum of certificates. */
  readonly quorumRound: number
  /** The highest round that anybody has shown. */
  readonly seenRound: number
  /** How far the order is. */
  readonly decidedRound: number
  readonly lastCommit: number
  /** The commit of the latest checkpoint that a quorum has signed. */
  readonly attestedCommit: number
}

export interface PrimaryPeerState {
  readonly name: string
  readonly stake: number
  /** Our stream to it is there. */
  readonly connected: boolean
  /** Since its last record, in ms. */
  readonly silentMs: number
  /** Why it, or its hello, was refused last; until one is good. */
  readonly refusal: string | undefined
  /** What is missing of it: its vote for our header, its certificate of the next round, how far it saw us. */
  readonly owesVote: boolean
  readonly owesCertificate: boolean
  readonly owesAnswer: boolean
}

export const PRIMARY_PROBLEMS = [
  'failed',
  'not-open',
  'recovering',
  'signing-held',
  'history-gone',
  'stalled',
  'no-quorum',
  'peers-away',
  'behind',
  'not-ordering',
  'not-attested',
  'slow-flush',
  'thread-still',
] as const
export type PrimaryProblemKind = (typeof PRIMARY_PROBLEMS)[number]

export interface PrimaryProblem {
  readonly kind: PrimaryProblemKind
  /** For people. */
  readonly text: string
}

export interface PrimaryHealth {
  readonly ok: boolean
  /** It runs, and takes part in the network. */
  readonly open: boolean
  /** Our stake and that of the primaries to which we have a stream reach the quorum threshold. */
  readonly quorumConnected: boolean
  /** It may sign: its store is known to have all that it has signed. */
  readonly signing: boolean
  /** New rounds get a quorum, and the order follows them. */
  readonly ordering: boolean
  /** It is at most `gc_depth` rounds behind what others have shown. */
  readonly caughtUp: boolean
  /** The store takes writes, and what is written is flushed. */
  readonly storeWritable: boolean
  /** The highest round with a quorum of certificates, the rounds that it is behind, and its last commit. */
  readonly round: number
  readonly behind: number
  readonly commit: number
  /** Names of the authorities that are not connected, or that a stalled round waits for. */
  readonly missing: readonly string[]
  /** For people: what is wrong and what to do. */
  readonly problems: readonly string[]
}

export function primaryHealthOf(state: PrimaryHealthState): PrimaryHealth {
  const problems = primaryProblems(state)
  const has = (...kinds: PrimaryProblemKind[]): boolean => problems.some(({ kind }) => kinds.includes(kind))
  const open = !has('failed', 'not-open', 'thread-still')
  const quorumConnected = connectedStake(state) >= state.quorumThreshold
  const signing = !has('recovering', 'signing-held')
  const ordering = !has('stalled', 'not-ordering', 'history-gone')
  const caughtUp = behindOf(state) <= state.gcDepth
  const storeWritable = !has('failed', 'not-open', 'slow-flush')
  return {
    ok: open && quorumConnected && signing && ordering && caughtUp && storeWritable,
    open,
    quorumConnected,
    signing,
    ordering,
    caughtUp,
    storeWritable,
    round: state.quorumRound,
    behind: behindOf(state),
    commit: state.lastCommit,
    missing: missingOf(state).map(({ name }) => name),
    problems: problems.map(({ text }) => text),
  }
}

/** For `/health`, keys in snake_case. */
export function primaryHealthFields(health: PrimaryHealth): object {
  return {
    ok: health.ok,
    open: health.open,
    quorum_connected: health.quorumConnected,
    signing: health.signing,
    ordering: health.ordering,
    caught_up: health.caughtUp,
    store_writable: health.storeWritable,
    round: health.round,
    behind: health.behind,
    commit: health.commit,
    missing: health.missing,
    problems: health.problems,
  }
}

/** What is wrong, the gravest first. */
export function primaryProblems(state: PrimaryHealthState): readonly PrimaryProblem[] {
  if (state.failure !== undefined) {
    return [{ kind: 'failed', text: `the primary has failed: ${state.failure}` }]
  }
  if (!state.isOpen) return [{ kind: 'not-open', text: 'the primary is starting or closing' }]
  const found: PrimaryProblem[] = []
  const add = (kind: PrimaryProblemKind, text: string | undefined): void => {
    if (text !== undefined) found.push({ kind, text })
  }
  add('thread-still', threadProblem(state))
  add('slow-flush', flushProblem(state))
  add('recovering', recoveryProblem(state))
  add('signing-held', heldProblem(state))
  add('history-gone', historyProblem(state))
  if (state.isHistoryGone) add('peers-away', awayText(state))
  else if (isStalled(state)) add('stalled', stallText(state))
  else if (connectedStake(state) < state.quorumThreshold) add('no-quorum', quorumText(state))
  else add('peers-away', awayText(state))
  add('not-ordering', orderProblem(state))
  add('not-attested', attestedProblem(state))
  if (!state.isHistoryGone) add('behind', behindProblem(state))
  return found
}

function connectedStake({ ownStake, peers }: PrimaryHealthState): number {
  return stakeOf(peers.filter(({ connected }) => connected)) + ownStake
}

function behindOf({ quorumRound, seenRound }: PrimaryHealthState): number {
  return Math.max(0, seenRound - quorumRound)
}

function isStalled({ roundStillMs }: PrimaryHealthState): boolean {
  return roundStillMs >= ROUND_STILL_MS
}

/** Who keeps the next round from its quorum, or is not connected. */
function missingOf(state: PrimaryHealthState): readonly PrimaryPeerState[] {
  const { peers } = state
  const away = peers.filter(({ connected }) => !connected)
  if (!isStalled(state)) return away
  if (peers.some(({ owesVote }) => owesVote)) return peers.filter(({ connected, owesVote }) => !connected || owesVote)
  // Our header is certified, and others' are not. Who is connected may have none because of those that are not.
  if (!isQuorumWithout(away, state)) return away
  const owing = peers.filter(({ connected, owesCertificate }) => !connected || owesCertificate)
  // The same if others stand still: whoever is there is heard when it is asked for certificates.
  const silent = owing.filter(
    ({ connected, silentMs }) => !connected || silentMs >= state.roundStillMs - HEARD_GRACE_MS,
  )
  return isQuorumWithout(silent, state) ? owing : silent
}

function isQuorumWithout(missing: readonly PrimaryPeerState[], state: PrimaryHealthState): boolean {
  return state.totalStake - stakeOf(missing) >= state.quorumThreshold
}

function threadProblem({ threadStillMs }: PrimaryHealthState): string | undefined {
  if (threadStillMs < THREAD_STILL_MS) return undefined
  return `the primary's thread has done nothing for ${seconds(threadStillMs)}: the machine is overloaded, or its disk stands still`
}

function flushProblem({ flushMs }: PrimaryHealthState): string | undefined {
  if (flushMs < FLUSH_SLOW_MS) return undefined
  return `a flush of the primary's store has been on its way for ${seconds(flushMs)}, and nothing is signed before it ends: look at the disk`
}

function recoveryProblem({
  isRecovering,
  ownStake,
  peers,
  quorumThreshold,
  totalStake,
}: PrimaryHealthState): string | undefined {
  if (!isRecovering) return undefined
  const waiting = peers.filter(({ owesAnswer }) => owesAnswer)
  const answered = totalStake - ownStake - stakeOf(waiting)
  return `recovering: the store is new or an older one, and nothing is signed before stake ${quorumThreshold} of the others has said how far it is; it waits for ${quorumThreshold - answered} of ${quorumThreshold}: ${named(waiting)}. If this key has never been used, say so: ${commandName()} fresh`
}

function heldProblem({ quorumRound, signingHeldAbove }: PrimaryHealthState): string | undefined {
  if (signingHeldAbove === undefined) return undefined
  return `it may sign above round ${signingHeldAbove} only, since its store was new or an older one, and the committee stands at round ${quorumRound}: the others have to make the rounds between. If too many of them have lost their stores as well, they never will: see "When too many stores are lost" in docs/operating.md`
}

function historyProblem(state: PrimaryHealthState): string | undefined {
  if (!state.isHistoryGone) return undefined
  const { quorumRound } = state
  return `it cannot catch up: it has the rounds up to ${quorumRound}, the others are ${behindOf(state)} rounds further, and none that is connected keeps the certificates of round ${quorumRound + 1} any more, or the commits from where its log ends. It orders nothing and makes no headers, and what its workers certify waits. Connect an authority that still keeps either, if there is one; else see "Away for too long" in docs/consensus.md`
}

function stallText(state: PrimaryHealthState): string {
  const { quorumRound, quorumThreshold, roundStillMs, totalStake } = state
  const missing = missingOf(state)
  const who =
    missing.length === 0
      ? 'nobody is known to be missing: look at the other primaries'
      : `stake ${stakeOf(missing)} of ${totalStake} is missing, and a quorum takes ${quorumThreshold}: ${named(missing)}. Look at whether these primaries run, at their logs, and at their addresses in the committee file`
  return `round ${quorumRound + 1} has had no quorum for ${seconds(roundStillMs)}, and nothing is ordered: ${who}`
}

function quorumText(state: PrimaryHealthState): string {
  const stake = connectedStake(state)
  return `stake ${stake} is connected, our own ${state.ownStake} included, and a quorum takes ${state.quorumThreshold}: ${named(missingOf(state))}`
}

function awayText({ peers }: PrimaryHealthState): string | undefined {
  const away = peers.filter(({ connected }) => !connected)
  if (away.length === 0) return undefined
  return `stake ${stakeOf(away)} is not connected: ${named(away)}`
}

function orderProblem({ decidedRound, gcDepth, quorumRound }: PrimaryHealthState): string | undefined {
  if (quorumRound - decidedRound <= gcDepth) return undefined
  return `nothing was ordered for ${quorumRound - decidedRound} rounds, though rounds go on: headers carry no batches until it is. Look at who is missing of most rounds, in narval_primary_author_round`
}

function attestedProblem({ attestedCommit, lastCommit }: PrimaryHealthState): string | undefined {
  if (lastCommit - attestedCommit <= ATTESTED_BEHIND_COMMITS) return undefined
  return `no quorum has signed a checkpoint of the last ${lastCommit - attestedCommit} commits: batches are ordered, and nobody can prove that order by the committee file alone. Look at narval_primary_checkpoint_attested_commit of the others, and at their logs`
}

function behindProblem(state: PrimaryHealthState): string | undefined {
  const behind = behindOf(state)
  return behind <= BEHIND_ROUNDS ? undefined : `behind by ${behind} rounds or more: catching up`
}

function stakeOf(peers: readonly PrimaryPeerState[]): number {
  return peers.reduce((sum, { stake }) => sum + stake, 0)
}

function named(peers: readonly PrimaryPeerState[]): string {
  const shown = peers.slice(0, NAMES_SHOWN_MAX).map((peer) => `${shortName(peer.name)} (${why(peer)})`)
  const more = peers.length - shown.length
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function why({ connected, owesAnswer, owesCertificate, owesVote, refusal, silentMs }: PrimaryPeerState): string {
  if (!connected) return refusal === undefined ? 'not connected' : `not connected: ${refusal}`
  const silent = silentMs < ROUND_STILL_MS ? '' : `, silent for ${seconds(silentMs)}`
  if (owesAnswer) return `connected, has not answered${silent}`
  if (owesVote) return `connected, no vote for our header${silent}`
  return `connected${owesCertificate ? ', no certificate' : ''}${silent}`
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}
