/** Committees without faults but those that are said, for figures: who waits for whom, and how long a batch takes. */
import type { Schedule } from './schedule.js'

/** Nothing happens that is not said. */
const CALM: Partial<Schedule> = {
  rule: 'shoal',
  stakes: [1, 1, 1, 1],
  gcDepth: 50,
  byzantine: new Map(),
  losesStore: undefined,
  losesWorkerStore: undefined,
  allCrashAtMs: undefined,
  dead: new Map(),
  partitions: [],
  links: {},
  dropShare: 0,
  duplicateShare: 0,
  crashShare: 0,
  rareCrashShare: 0,
  historyRoundsBehind: undefined,
  isSteady: true,
  chaosMs: 20_000,
  delayMs: 1,
  flushMs: 2,
  batchEveryMs: 100,
}

const SEVEN = [1, 1, 1, 1, 1, 1, 1]
const stopped = (ms: number, authority = 3): Partial<Schedule> => ({
  frozen: [{ authority, fromMs: 2000, toMs: 2000 + ms, heldMs: ms / 4 }],
  chaosMs: 2000 + ms + 6000,
})
const far = (...entries: [number, number][]): Partial<Schedule> => ({ links: { far: new Map(entries) } })

/** By name. The authority with the highest index is the one that differs. */
export const SCENARIOS: Readonly<Record<string, Partial<Schedule>>> = {
  near: CALM,
  idle: { ...CALM, batchEveryMs: 8000, chaosMs: 200_000 },
  'far 20 ms': { ...CALM, ...far([3, 20]) },
  'far 60 ms': { ...CALM, ...far([3, 60]) },
  'far 150 ms': { ...CALM, ...far([3, 150]) },
  'far 150 ms, gc_depth 10': { ...CALM, ...far([3, 150]), gcDepth: 10 },
  'far 300 ms': { ...CALM, ...far([3, 300]) },
  'far 150 ms, idle': { ...CALM, ...far([3, 150]), batchEveryMs: 8000, chaosMs: 200_000 },
  'two far of seven': { ...CALM, stakes: SEVEN, ...far([5, 80], [6, 150]) },
  'stakes 3 1 3 1, far 150 ms': { ...CALM, stakes: [3, 1, 3, 1], ...far([3, 150]) },
  'all 40 ms': { ...CALM, delayMs: 40 },
  'one dead': { ...CALM, dead: new Map([[3, 5000]]) },
  'two dead of seven': {
    ...CALM,
    stakes: SEVEN,
    dead: new Map([
      [5, 0],
      [6, 5000],
    ]),
  },
  'one far and one dead of seven': { ...CALM, stakes: SEVEN, ...far([6, 150]), dead: new Map([[5, 0]]) },
  'stopped for 20 s': { ...CALM, ...stopped(20_000) },
  'stopped for 20 s, 40 ms apart': { ...CALM, delayMs: 40, ...stopped(20_000) },
  'ten, one stopped for 20 s': { ...CALM, stakes: new Array<number>(10).fill(1), delayMs: 10, ...stopped(20_000, 9) },
  lossy: { ...CALM, links: { lossy: new Map([[3, 0.1]]) } },
}
