/**
 * All that consensus knows of the committed prefix. With it and the certificates above `gcRound` a restarted node goes on
 * as if it had not stopped. It is plain JSON; the commit log writes it in the transaction of the commits that led to it.
 */
import { z } from 'zod'
import { COMMITTEE_SIZE_MAX } from '../../../shared/constants.js'
import { NarvalError } from '../../../shared/errors.js'
import type { BullsharkState } from './bullshark.js'
import type { ClaimsState } from './claims.js'
import type { CommittedBatchesState } from './committed-batches.js'
import { CLAIMS_MAX, COMMITTED_RUNS_MAX } from './limits.js'
import { RULE_NAMES, type RuleName } from './rule.js'
import type { ShoalState } from './shoal.js'
import type { TuskState } from './tusk.js'

export interface ConsensusState {
  readonly rule: RuleName
  readonly gcDepth: number
  readonly stakes: readonly number[]
  /** Index and timestamp of the last commit; 0 before the first. */
  readonly index: number
  readonly timestamp: number
  readonly ruleState: Readonly<Record<string, unknown>>
  /** Batches of others that authorities claim to hold, and that are not in the order. */
  readonly claims: ClaimsState
  readonly batches: CommittedBatchesState
}

/** What of it is written anew with each commit: it is small, where the committed sequences need not be. */
export type ConsensusPosition = Omit<ConsensusState, 'batches'>

const whole = z.int().min(0)
const byAuthor = z.array(whole).max(COMMITTEE_SIZE_MAX)
const authors = z.string().regex(/^[0-9a-f]{1,64}$/)
const prefix = { gcRound: whole, committed: z.array(z.tuple([whole, authors])), lastRounds: byAuthor }
const sequence = z.string().regex(/^[0-9a-f]{1,16}$/)
const digest = z.base64().max(44)
const runs = z.string().regex(/^[0-9a-f]{1,16}(-[0-9a-f]{1,16})?( [0-9a-f]{1,16}(-[0-9a-f]{1,16})?)*$/)

const ruleStates = {
  shoal: z.strictObject({
    ...prefix,
    round: whole.min(1),
    rank: whole.max(COMMITTEE_SIZE_MAX - 1),
    streaks: byAuthor,
    penalties: byAuthor,
    lagging: authors,
    weak: authors,
  }) satisfies z.ZodType<ShoalState>,
  tusk: z.strictObject({ lastCommitted: byAuthor }) satisfies z.ZodType<TuskState>,
  bullshark: z.strictObject({ ...prefix, lastLeaderRound: whole }) satisfies z.ZodType<BullsharkState>,
} satisfies Record<RuleName, z.ZodType>

const schema = z.strictObject({
  rule: z.enum(RULE_NAMES),
  gcDepth: whole,
  stakes: byAuthor,
  index: whole,
  timestamp: whole,
  ruleState: z.record(z.string(), z.unknown()),
  // Stores from before there were claims have none.
  claims: z
    .array(z.tuple([whole, whole, whole, sequence, digest]))
    .max(CLAIMS_MAX)
    .default([]),
  batches: z.array(z.tuple([whole, whole, runs.max(34 * COMMITTED_RUNS_MAX)])),
})

/** What the state must have been written under. */
export type ConsensusSettings = Pick<ConsensusState, 'rule' | 'gcDepth' | 'stakes'>

/**
 * The state that this value, read from a store, is. Errors: `ERR_STORE_DAMAGED` if it is none, `ERR_STORE_SETTINGS` if it
 * is of another rule, `gc_depth` or committee, under which the order would go on as another one.
 */
export function checkConsensusState(value: unknown, settings: ConsensusSettings): ConsensusState {
  const state = checked(schema, value, 'the state')
  for (const key of ['rule', 'gcDepth', 'stakes'] as const) {
    const [found, expected] = [JSON.stringify(state[key]), JSON.stringify(settings[key])]
    if (found === expected) continue
    throw new NarvalError(
      'ERR_STORE_SETTINGS',
      `the commits in the store were made with ${key} ${found}, this node has ${expected}: ` +
        'all authorities of a committee must order by the same rule, for as long as the log lasts',
    )
  }
  for (const [claimant, author] of state.claims) {
    if (Math.max(claimant, author) >= state.stakes.length)
      throw damaged(`a claim of authority ${claimant} for ${author}`)
  }
  const type: z.ZodType<Record<string, unknown>> = ruleStates[state.rule]
  const ruleState = checked(type, state.ruleState, `the state of ${state.rule}`)
  for (const [key, list] of Object.entries(ruleState)) {
    if (key !== 'committed' && Array.isArray(list) && list.length !== state.stakes.length) {
      throw damaged(`${key} has ${list.length} entries, the committee ${state.stakes.length}`)
    }
  }
  return { ...state, ruleState }
}

function checked<T>(type: z.ZodType<T>, value: unknown, what: string): T {
  const result = type.safeParse(value)
  if (result.success) return result.data
  const [problem] = result.error.issues
  throw damaged(`${what}: ${problem!.path.join('.') || 'value'}: ${problem!.message}`)
}

function damaged(problem: string): NarvalError {
  return new NarvalError('ERR_STORE_DAMAGED', `what consensus knows of its commits cannot be read: ${problem}`)
}
