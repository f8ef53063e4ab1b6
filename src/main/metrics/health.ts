/** Whether the node does what it is there for: certify batches and store those of others. A pure function. */
import { type LinkState, linkFields } from '../link/link-state.js'

export interface HealthState {
  readonly ownStake: number
  /** Stake of the peers that are connected, and whose ACKs count here. */
  readonly connectedStake: number
  /** What keeps a peer's ACKs from counting, where settings of it or of ours are the cause; for people. */
  readonly peerProblems: readonly string[]
  /** Connected peers that take no batches of ours; for people. */
  readonly streamProblems: readonly string[]
  /** How long the oldest own batch has waited for a quorum, ms; 0 if none does. */
  readonly uncertifiedMs: number
  /** The committee's: `2 · total / 3 + 1`. */
  readonly quorumThreshold: number
  /** The store is open, and no write has failed: false while the node starts or closes. */
  readonly storeOpen: boolean
  /** The store is at `store_bytes_max`. */
  readonly storeFull: boolean
  /** How much of our share of our own store is used, and of a quorum of the others' stores, in thousandths. */
  readonly ownShareUsed: number
  readonly shareUsedAtQuorum: number
  /** `retention_rounds` is 0. */
  readonly keepsAll: boolean
  /** The primary says what is committed, and that gives way to what is not. */
  readonly isOrdered: boolean
  readonly primaryConnected: boolean
  /** Why our own primary, in another process, does not take us; for people. */
  readonly primaryRefusal?: string | undefined
  /** The link to it. */
  readonly link?: LinkState | undefined
  /** That the primary commits nothing, for people; undefined while it does, or has nothing to commit. */
  readonly primaryStill: string | undefined
}

export interface Health {
  /** A quorum is connected, what we seal is certified, and the store takes writes. */
  readonly ok: boolean
  /** Our stake and that of the connected peers whose ACKs count reach the quorum threshold. */
  readonly quorumConnected: boolean
  /** No own batch has waited for its quorum for long. */
  readonly certifying: boolean
  readonly storeWritable: boolean
  readonly storeFull: boolean
  readonly primaryConnected: boolean
  /** The link to a narval primary in another process. */
  readonly link?: LinkState
  /** The primary sends Cleanups while batches are certified. */
  readonly primaryCommitting: boolean
  /** For people: what is wrong and what to do. A primary that is away or still is named, and does not make the node unfit. */
  readonly problems: readonly string[]
}

/** Of a share, in thousandths: from there on it is said. */
export const SHARE_USED_SAID = 750
/** A batch that has waited for its quorum for so long, in ms, does not wait for a slow peer: something is wrong. */
export const UNCERTIFIED_MS_MAX = 10_000

export function healthOf(state: HealthState): Health {
  const stake = state.ownStake + state.connectedStake
  const quorumConnected = stake >= state.quorumThreshold
  const storeWritable = state.storeOpen && !state.storeFull
  const certifying = state.uncertifiedMs <= UNCERTIFIED_MS_MAX
  const problems: string[] = []
  if (!quorumConnected) {
    problems.push(
      `stake ${stake} is connected, our own ${state.ownStake} included, and a quorum takes ${state.quorumThreshold}: ` +
        'check that the other workers run, and their addresses in the committee file',
    )
  }
  if (!certifying) {
    problems.push(
      `the oldest batch has waited ${Math.round(state.uncertifiedMs / 1000)} s for a quorum: look at what the others refuse, in narval_refusals_total and in their logs`,
    )
  }
  problems.push(...state.peerProblems, ...state.streamProblems)
  if (!state.storeOpen) problems.push('the store takes no writes: the node is starting, closing, or a write has failed')
  if (state.storeFull) {
    problems.push(fullText(state))
  }
  problems.push(...shareProblems(state))
  if (!state.primaryConnected) {
    problems.push(state.primaryRefusal ?? 'the primary is not connected: what it is to be told waits')
  }
  if (state.primaryStill !== undefined) problems.push(state.primaryStill)
  return {
    ok: quorumConnected && certifying && storeWritable,
    quorumConnected,
    certifying,
    storeWritable,
    storeFull: state.storeFull,
    primaryConnected: state.primaryConnected,
    ...(state.link && { link: state.link }),
    primaryCommitting: state.primaryStill === undefined,
    problems,
  }
}

/** Before it hurts: clients are slowed down, and nothing is refused yet. */
function shareProblems({ ownShareUsed, shareUsedAtQuorum, storeFull }: HealthState): string[] {
  const problems: string[] = []
  if (shareUsedAtQuorum >= SHARE_USED_SAID) {
    problems.push(
      `${shareUsedAtQuorum / 10} % of our share of the others' stores is used, so batches are made more slowly: our batches are certified, and headers that list them do not get there; see why our primary, or theirs, is behind`,
    )
  }
  if (ownShareUsed >= SHARE_USED_SAID && !storeFull) {
    problems.push(
      `${ownShareUsed / 10} % of our share of our own store is used by batches that no header lists: see why our primary lists none; clients wait when it is full`,
    )
  }
  return problems
}

function fullText({ isOrdered, keepsAll }: HealthState): string {
  const full = isOrdered
    ? 'what is not ordered yet takes all of it, or our own share of it: see why the primary orders nothing (what it orders makes room by itself), or raise store_bytes_max and start again'
    : keepsAll
      ? 'it is full, and nothing is ever deleted, since retention_rounds is 0 (raise store_bytes_max or set retention_rounds, and start again: what is stored is kept, and goes on from there)'
      : 'it is full (raise store_bytes_max or lower retention_rounds)'
  return `the store takes no batches, so clients wait and nothing new is certified or ordered: ${full}, or this process may open no more files (raise ulimit -n); the log says which`
}

/** What `/readyz` answers. */
export interface HealthAnswer {
  readonly ok: boolean
  /** One line. */
  readonly json: string
}

export function answerOf(health: Health): HealthAnswer {
  return { ok: health.ok, json: healthJson(health) }
}

/** As `/health` answers it: one line of JSON, keys in snake_case. */
export function healthJson(health: Health): string {
  return `${JSON.stringify(healthFields(health))}\n`
}

/** The same as an object. */
export function healthFields(health: Health): object {
  return {
    ok: health.ok,
    quorum_connected: health.quorumConnected,
    certifying: health.certifying,
    store_writable: health.storeWritable,
    store_full: health.storeFull,
    primary_connected: health.primaryConnected,
    ...(health.link && { link: linkFields(health.link) }),
    primary_committing: health.primaryCommitting,
    problems: health.problems,
  }
}
