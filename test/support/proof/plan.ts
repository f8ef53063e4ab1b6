/** What a proof does to its committee, round by round: it follows from the seed alone. Pure. */
import { seeded } from '../random.js'
import { AUTHORITIES } from './committee.js'

export const DISTURBANCES = ['kill-one', 'kill-quorum', 'kill-all', 'late-start', 'freeze'] as const
export type Disturbance = (typeof DISTURBANCES)[number]

export interface RoundPlan {
  readonly what: Disturbance
  /** In the order in which they are killed, or stopped. */
  readonly victims: readonly number[]
  /** Under load, before anything is done to them. */
  readonly waitMs: number
  /** From one victim's kill to the next one's. */
  readonly spreadMs: number
  readonly downMs: number
  /** By victim, in the order of their starts: how long after the first of them each is started. */
  readonly startAfterMs: readonly number[]
  /** The first victim is killed once more so long after its start, while it boots or catches up; undefined if not. */
  readonly killedAgainMs: number | undefined
}

export interface PlanOptions {
  readonly seed: number
  readonly rounds: number
  readonly kinds: readonly Disturbance[]
}

const WAIT_MS_MAX = 3_000
const SPREAD_MS_MAX = 400
const DOWN_MS_MAX = 2_500
const START_SPREAD_MS_MAX = 500
const LATE_MS_MIN = 2_000
const LATE_MS_MAX = 6_000
const KILLED_AGAIN_MS_MAX = 2_500
const QUORUM = 3

/** Each kind comes once before any comes again. */
export function planOf({ kinds, rounds, seed }: PlanOptions): RoundPlan[] {
  const random = seeded(seed)
  const plan: RoundPlan[] = []
  let deck: Disturbance[] = []
  while (plan.length < rounds) {
    if (deck.length === 0) deck = shuffled(kinds, random)
    plan.push(roundOf(deck.pop()!, random))
  }
  return plan
}

function roundOf(what: Disturbance, random: () => number): RoundPlan {
  const upTo = (max: number): number => Math.floor(random() * max)
  const all = shuffled(AUTHORITIES, random)
  const counts: Readonly<Record<Disturbance, number>> = {
    'kill-one': 1,
    'kill-quorum': QUORUM,
    'kill-all': all.length,
    'late-start': random() < 0.5 ? QUORUM : all.length,
    freeze: 1,
  }
  const victims = all.slice(0, counts[what])
  const startAfterMs = victims.map((_, n) => (n === 0 ? 0 : upTo(START_SPREAD_MS_MAX)))
  if (what === 'late-start') startAfterMs[victims.length - 1] = LATE_MS_MIN + upTo(LATE_MS_MAX - LATE_MS_MIN)
  return {
    what,
    victims,
    waitMs: upTo(WAIT_MS_MAX),
    // Often at once.
    spreadMs: random() < 0.5 ? 0 : upTo(SPREAD_MS_MAX),
    downMs: upTo(DOWN_MS_MAX),
    startAfterMs,
    killedAgainMs: what !== 'freeze' && random() < 0.4 ? upTo(KILLED_AGAIN_MS_MAX) : undefined,
  }
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const left = [...values]
  const drawn: T[] = []
  while (left.length > 0) drawn.push(...left.splice(Math.floor(random() * left.length), 1))
  return drawn
}
