/** What is wrong with the application, if anything. Pure. */
import { APPLY_STILL_MS, FAILURE_CHARS_MAX, LAG_PART_MAX } from './limits.js'

export interface ApplicationState {
  readonly isRunning: boolean
  /** What it failed with, if it was stopped. */
  readonly failure: string | undefined
  /** Undefined until it has said it. */
  readonly lastApplied: number | undefined
  /** Of the log. */
  readonly lastCommit: number
  /** The first commit of which batches are kept; 0 or 1 while nothing was deleted. */
  readonly firstKept: number
  /** Commits of which batches are kept at most, as it is set; Infinity if only bytes are. */
  readonly commitsKept: number
  /** How long it has been within `apply`, in ms. */
  readonly applyingMs: number
  /** It is within `apply`, and waits for a batch. */
  readonly isWaitingForBytes: boolean
}

/** The kinds of problems, the gravest first. */
export const APPLICATION_PROBLEMS = ['stopped', 'hangs', 'ahead', 'lags'] as const

export interface ApplicationProblem {
  readonly kind: (typeof APPLICATION_PROBLEMS)[number]
  /** For people: what it is, and what to do. */
  readonly text: string
  /** The application does not go on. */
  readonly isGrave: boolean
}

/** Commits of the log that are not applied. */
export function lagOf({ lastApplied = 0, lastCommit }: Pick<ApplicationState, 'lastApplied' | 'lastCommit'>): number {
  return Math.max(0, lastCommit - lastApplied)
}

/** Commits of which batches are kept; Infinity while nothing was deleted, and only bytes say when something will be. */
function keptOf({ commitsKept, firstKept, lastCommit }: ApplicationState): number {
  return Math.min(commitsKept, firstKept > 1 ? lastCommit - firstKept + 1 : Number.POSITIVE_INFINITY)
}

/** Commits until batches are deleted that are not applied; Infinity while that cannot be known. */
export function roomOf(state: ApplicationState): number {
  return Math.max(0, keptOf(state) - lagOf(state))
}

export function applicationProblem(state: ApplicationState): ApplicationProblem | undefined {
  const { applyingMs, failure, isRunning, isWaitingForBytes, lastApplied, lastCommit } = state
  const grave = (kind: ApplicationProblem['kind'], text: string): ApplicationProblem => ({ kind, text, isGrave: true })
  const next = (lastApplied ?? 0) + 1
  if (!isRunning) {
    if (failure === undefined) return undefined
    const why = failure.slice(0, FAILURE_CHARS_MAX)
    return grave('stopped', `the application is stopped, and the order goes on without it: ${why}`)
  }
  // A batch that is not here is named by itself.
  if (applyingMs >= APPLY_STILL_MS && !isWaitingForBytes) {
    const seconds = Math.floor(applyingMs / 1000)
    return grave('hangs', `the application has been at commit ${next} for ${seconds} s: look at what it waits for`)
  }
  if (lastApplied === undefined) return undefined
  if (lastApplied > lastCommit) {
    const what = `the application has commit ${lastApplied}, and the log ends at ${lastCommit}`
    return {
      kind: 'ahead',
      text: `${what}: it waits until the log is there. If the log does not come nearer, the state is of another committee`,
      isGrave: false,
    }
  }
  const lag = lagOf(state)
  if (lag > LAG_PART_MAX * keptOf(state)) {
    return {
      kind: 'lags',
      text: `the application is ${lag} commits behind, and ${roomOf(state)} commits more until batches are deleted that it has not applied: make it faster, or raise retention_commits and retention_bytes`,
      isGrave: false,
    }
  }
  return undefined
}
