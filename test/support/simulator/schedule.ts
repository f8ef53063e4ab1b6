/** What happens in one run, as a function of its seed: the committee, its faults, and how the network behaves. */

import type { RuleName } from '../../../src/threads/primary/consensus/rule.js'
import { seeded } from '../random.js'
import type { Sabotage } from './sabotage.js'

export type Random = () => number

export const BYZANTINE = [
  'silent',
  'equivocates',
  'lies-about-payload',
  'lies-about-time',
  'talks-rubbish',
  'forgets',
  'holds-back',
  'claims',
  'signs-other-checkpoints',
] as const
export type Byzantine = (typeof BYZANTINE)[number]

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
  /** How long a healed committee may take until everything is ordered everywhere, in ms. */
  readonly healingMsMax: number
  /** The usual time of a message on its way, in ms, and the share that is lost, where `links` says nothing else. */
  readonly delayMs: number
  readonly dropShare: number
  readonly links: Links
  /** Messages and flushes take nearly the same time always, and each worker gets each batch: for figures. */
  readonly isSteady: boolean
  /** By authority: when it goes down for good, in ms; 0 if it never starts. */
  readonly dead: ReadonlyMap<number, number>
  /** An authority whose worker loses what it has of the others' batches, and when, in ms. */
  readonly losesWorkerStore: { readonly authority: number; readonly atMs: number } | undefined
  readonly duplicateShare: number
  /** Chance of a crash at each step that a crash could fall between. */
  readonly crashShare: number
  /** The same at a start, and at the flush of what is seldom written: such steps are few among those of all messages. */
  readonly rareCrashShare: number
  /** Chance for these crashes: a stream of its own, so that the rest of a run stays as it is without them. */
  readonly rareRandom: Random
  /** An authority that loses its store, or gets an old one, at its first crash. */
  readonly losesStore: { readonly authority: number; readonly backup: boolean } | undefined
  /** When all crash at once, in ms. */
  readonly allCrashAtMs: number | undefined
  readonly partitions: readonly Partition[]
  readonly flushMs: number
  readonly batchEveryMs: number
  /** What is wrong on purpose. */
  readonly sabotage?: Sabotage
  /** For how long one that holds back its certificates does so, in ms. */
  readonly holdsBackMs: number
  /** Clocks that are wrong for a while. */
  readonly clockSteps?: readonly ClockStep[]
  /** So many rounds behind, an authority takes the log itself; undefined for the product's limit, which no run comes to. */
  readonly historyRoundsBehind: number | undefined
  /** Processes that are stopped for a while. */
  readonly frozen?: readonly Freeze[]
}

export interface Freeze {
  readonly authority: number
  readonly fromMs: number
  readonly toMs: number
  /** What peers say later than this after the stop is lost, in ms: their streams have ended. */
  readonly heldMs: number
}

export interface Link {
  readonly delayMs: number
  readonly dropShare: number
}

/** What is different about the links of some authorities, one way and the other. */
export interface Links {
  /** By authority: the time of each message from it and to it, in ms. */
  readonly far?: ReadonlyMap<number, number>
  /** By authority: the share that is lost on its way from it and to it. */
  readonly lossy?: ReadonlyMap<number, number>
  /** By sender, and then by receiver: what the usual time is multiplied by. */
  readonly factors?: readonly (readonly number[])[]
}

/** The link from one authority to another. Of two that are far, the farther one counts. */
export function linkOf({ delayMs, dropShare, links }: Schedule, from: number, to: number): Link {
  const { factors, far, lossy } = links
  const farMs = Math.max(far?.get(from) ?? 0, far?.get(to) ?? 0)
  const lost = Math.max(lossy?.get(from) ?? 0, lossy?.get(to) ?? 0)
  const usualMs = delayMs * (factors?.[from]?.[to] ?? 1)
  return { delayMs: Math.max(farMs, usualMs), dropShare: Math.max(lost, dropShare) }
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
  const dead = new Map<number, number>()
  if (mayFail && kind >= 0.85) dead.set(who, pick([0, random() * chaosMs]))
  // A second one, where the committee stands two.
  const second = (who + 1 + Math.floor(random() * (stakes.length - 1))) % stakes.length
  if (mayFail && second !== who && stakes[who]! + stakes[second]! <= faulty) {
    if (random() < 0.5) byzantine.set(second, pick(BYZANTINE))
    else dead.set(second, pick([0, random() * chaosMs]))
  }
  return {
    seed,
    random,
    rule,
    stakes,
    gcDepth: rule === 'shoal' ? 4 + Math.floor(random() * 12) : 12 + Math.floor(random() * 12),
    byzantine,
    chaosMs,
    healingMsMax: 60_000,
    delayMs: pick([1, 3, 10, 40]),
    dropShare: pick([0, 0, 0.02, 0.1, 0.3]),
    links: linksOf(random, stakes.length),
    isSteady: false,
    dead,
    losesWorkerStore:
      random() < 0.15 ? { authority: Math.floor(random() * stakes.length), atMs: random() * chaosMs } : undefined,
    duplicateShare: pick([0, 0.05, 0.2]),
    holdsBackMs: pick([5, 50, 300, 2000]),
    ...crashesOf(seed, pick([0, 0.0005, 0.002, 0.005])),
    partitions: partitionsOf(random, stakes.length, chaosMs),
    flushMs: pick([0, 1, 5, 20]),
    batchEveryMs: pick([20, 50, 200]),
    allCrashAtMs: random() < 0.2 ? random() * chaosMs : undefined,
    losesStore,
    historyRoundsBehind: undefined,
    ...(Object.keys(given).every((key) => key === 'rule') && farBehind(seed, stakes.length)),
    ...withoutOthers(given),
  }
}

/** Who says which authority is faulty has the others without faults: together they would be too many. */
function withoutOthers(given: Partial<Schedule>): Partial<Schedule> {
  const saysFaults =
    given.byzantine !== undefined ||
    given.losesStore !== undefined ||
    given.clockSteps !== undefined ||
    given.frozen !== undefined
  return saysFaults ? { dead: new Map(), ...given } : given
}

function crashesOf(seed: number, crashShare: number): Pick<Schedule, 'crashShare' | 'rareCrashShare' | 'rareRandom'> {
  const rareRandom = seeded(seed + 2 ** 31)
  const share = rareRandom()
  return { crashShare, rareCrashShare: crashShare === 0 || share < 0.4 ? 0 : share / 20, rareRandom }
}

/**
 * In some of the runs of which nothing is given one authority hears nothing for so long that it takes the log itself. By a
 * stream of its own, so that all other runs stay as they were.
 */
function farBehind(seed: number, authorities: number): Partial<Schedule> {
  const random = seeded(seed + 2 ** 30)
  if (random() >= 0.15 || authorities === 1) return {}
  const chaosMs = 6000 + random() * 6000
  const fromMs = random() * 1500
  const who = Math.floor(random() * authorities)
  const groups = Array.from({ length: authorities }, (_, authority) => (authority === who ? 1 : 0))
  return {
    chaosMs,
    // Of lossy and slow committees there are enough: here the others are to go on.
    ...{ delayMs: random() < 0.5 ? 1 : 3, dropShare: random() < 0.5 ? 0 : 0.02, flushMs: 1, batchEveryMs: 50 },
    historyRoundsBehind: 5 + Math.floor(random() * 6),
    partitions: [{ fromMs, toMs: fromMs + (0.5 + 0.4 * random()) * (chaosMs - fromMs), groups }],
  }
}

function linksOf(random: Random, authorities: number): Links {
  const kind = random()
  const who = Math.floor(random() * authorities)
  if (kind < 0.15) return { far: new Map([[who, 20 + random() * 180]]) }
  if (kind < 0.25) return { lossy: new Map([[who, 0.2 + random() * 0.5]]) }
  if (kind >= 0.4) return {}
  const factor = (): number => 0.2 + 5 * random() * random()
  return { factors: Array.from({ length: authorities }, () => Array.from({ length: authorities }, factor)) }
}

function partitionsOf(random: Random, authorities: number, chaosMs: number): Partition[] {
  const count = Math.floor(random() * 4)
  return Array.from({ length: count }, () => {
    const fromMs = random() * chaosMs
    const groups = Array.from({ length: authorities }, () => (random() < 0.4 ? 1 : 0))
    return { fromMs, toMs: Math.min(chaosMs, fromMs + random() * random() * chaosMs), groups }
  })
}
