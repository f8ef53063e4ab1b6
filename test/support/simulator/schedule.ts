/** What happens in one run, as a function of its seed: the committee, its faults, and how the network behaves. */

import type { RuleName } from '../../../src/threads/primary/consensus/rule.js'
import { seeded } from '../random.js'

export type Random = () => number

export const BYZANTINE = [
  'silent',
  'equivocates',
  'lies-about-payload',
  'lies-about-time',
  'talks-rubbish',
  'forgets',
] as const
export type Byzantine = (typeof BYZANTINE)[number]

/** A fault of the node around the primary. The checks must find each (`simulator.test.ts`). */
export type Sabotage =
  | 'sends-before-durable'
  | 'forgets-votes'
  | 'forgets-own-header'
  | 'forgets-own-batches'
  | 'ignores-amnesia'

export interface Schedule {
  readonly seed: number
  readonly random: Random
  readonly rule: RuleName
  readonly stakes: readonly number[]
  readonly gcDepth: number
  /** By authority, for those that lie. */
  readonly byzantine: ReadonlyMap<number, Byzantine>
  /** How long there are faults, in ms. After it everything is healed. */
  readonly chaosMs: number
  readonly delayMs: number
  readonly dropShare: number
  readonly duplicateShare: number
  /** Chance of a crash at each step that a crash could fall between. */
  readonly crashShare: number
  /** An authority that loses its store, or gets an old one, at its first crash. */
  readonly losesStore: { readonly authority: number; readonly backup: boolean } | undefined
  /** When all crash at once, in ms. */
  readonly allCrashAtMs: number | undefined
  readonly partitions: readonly Partition[]
  readonly flushMs: number
  readonly batchEveryMs: number
  readonly sabotage?: Sabotage
  /** Clocks that are wrong for a while. */
  readonly clockSteps?: readonly ClockStep[]
}

export interface ClockStep {
  readonly authorities: readonly number[]
  readonly fromMs: number
  readonly toMs: number
  readonly byMs: number
}

export interface Partition {
  readonly fromMs: number
  readonly toMs: number
  /** By authority: those of different groups do not hear each other. */
  readonly groups: readonly number[]
}

const COMMITTEES = [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [3, 1, 3, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [1]]

export function scheduleOf(seed: number, given: Partial<Schedule> = {}): Schedule {
  const random = seeded(seed)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const rule = given.rule ?? pick<RuleName>(['shoal', 'shoal', 'shoal', 'tusk', 'bullshark'])
  const stakes = given.stakes ?? pick(COMMITTEES)
  const chaosMs = 500 + random() * 3500
  const total = stakes.reduce((sum, stake) => sum + stake, 0)
  const faulty = total - (Math.floor((2 * total) / 3) + 1)
  // One that loses its store is one of those that lie: what it signed before is gone.
  const who = Math.floor(random() * stakes.length)
  const mayFail = stakes[who]! <= faulty
  const kind = random()
  const byzantine = new Map<number, Byzantine>()
  if (mayFail && kind < 0.5) byzantine.set(who, pick(BYZANTINE))
  const losesStore = mayFail && kind >= 0.5 && kind < 0.75 ? { authority: who, backup: random() < 0.4 } : undefined
  return {
    seed,
    random,
    rule,
    stakes,
    gcDepth: rule === 'shoal' ? 4 + Math.floor(random() * 12) : 12 + Math.floor(random() * 12),
    byzantine,
    chaosMs,
    delayMs: pick([1, 3, 10, 40]),
    dropShare: pick([0, 0, 0.02, 0.1, 0.3]),
    duplicateShare: pick([0, 0.05, 0.2]),
    crashShare: pick([0, 0.0005, 0.002, 0.005]),
    partitions: partitionsOf(random, stakes.length, chaosMs),
    flushMs: pick([0, 1, 5, 20]),
    batchEveryMs: pick([20, 50, 200]),
    allCrashAtMs: random() < 0.2 ? random() * chaosMs : undefined,
    losesStore,
    ...given,
  }
}

function partitionsOf(random: Random, authorities: number, chaosMs: number): Partition[] {
  const count = Math.floor(random() * 4)
  return Array.from({ length: count }, () => {
    const fromMs = random() * chaosMs
    const groups = Array.from({ length: authorities }, () => (random() < 0.4 ? 1 : 0))
    return { fromMs, toMs: Math.min(chaosMs, fromMs + random() * random() * chaosMs), groups }
  })
}
