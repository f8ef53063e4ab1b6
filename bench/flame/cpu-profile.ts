/** From a CPU profile of V8 to a tree for the page: which samples count, and whose they are. */
import { type CallFrame, describeFrame, type Frame, type FrameKind } from './frames.js'
import { isAsleep, type Stage, stageOfFrame, stageWithoutRule } from './stages.js'

/** What `Profiler.stop` gives; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly startTime: number
  readonly endTime: number
  /** The node that each sample found, and the time since the sample before it. */
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export interface ProfileNode {
  readonly id: number
  readonly callFrame: CallFrame
  readonly children?: readonly number[]
}

/** A function where it was called from; `value` is its samples and those of all that it called. */
export interface FlameNode {
  readonly name: string
  readonly where: string
  readonly kind: FrameKind
  readonly stage: Stage
  self: number
  value: number
  readonly children: FlameNode[]
}

export interface FoldedProfile {
  /** The thread; its children are what its event loop called. */
  readonly root: FlameNode
  /** Samples in all, those that found the thread awake, and those of the latter that count. */
  readonly samples: number
  readonly awake: number
  readonly counted: number
  /** Whether late samples had to be counted because there were too few others. */
  readonly countsLate: boolean
}

/**
 * A sample that comes later than this after its time was waiting for a core with its thread.
 *
 * The signal that takes a sample waits while its thread is off the processor, and then finds it where it was taken off:
 * mostly in a system call that woke another thread. On busy cores that doubles the share of socket writes and of
 * wake-ups; without late samples the shares are those that a profiler of CPU time finds.
 */
export const SAMPLE_LATE_US = 100
/** With fewer samples than this, all count. */
const COUNTED_MIN = 50

/** @param intervalUs the interval that the profiler was asked for */
export function foldProfile(profile: CpuProfile, thread: string, intervalUs: number): FoldedProfile {
  const asleep = new Set(profile.nodes.filter(({ callFrame }) => isAsleep(callFrame)).map(({ id }) => id))
  const awake = [...profile.samples.keys()].filter((index) => !asleep.has(profile.samples[index]!))
  const lateUs = paceUs(profile, awake, intervalUs) + SAMPLE_LATE_US
  const punctual = awake.filter((index) => profile.timeDeltas[index]! <= lateUs)
  const countsLate = punctual.length < COUNTED_MIN && punctual.length < awake.length
  const root = foldTree(profile, thread, samplesOf(profile, countsLate ? awake : punctual))
  return { root, samples: profile.samples.length, awake: awake.length, counted: root.value, countsLate }
}

/**
 * The time between two samples where no core is waited for. The profiler sleeps at least its interval; how much longer
 * is the machine's: one that has nothing else to do sleeps deeper, a virtual one most of all. A quarter of the samples
 * come no later.
 */
function paceUs({ timeDeltas }: CpuProfile, awake: readonly number[], intervalUs: number): number {
  const deltas = awake.map((index) => timeDeltas[index]!).sort((a, b) => a - b)
  return Math.max(intervalUs, deltas[Math.floor(deltas.length / 4)] ?? intervalUs)
}

/** How many of these samples found each node. */
function samplesOf({ samples }: CpuProfile, counted: readonly number[]): Map<number, number> {
  const found = new Map<number, number>()
  for (const index of counted) found.set(samples[index]!, (found.get(samples[index]!) ?? 0) + 1)
  return found
}

function foldTree(profile: CpuProfile, thread: string, selfOf: ReadonlyMap<number, number>): FlameNode {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const root: FlameNode = { name: thread, where: '', kind: 'node', stage: 'loop', self: 0, value: 0, children: [] }
  const visit = (node: ProfileNode, parent: FlameNode, decided: Stage | undefined, isBelowNode: boolean): void => {
    const frame = describeFrame(node.callFrame)
    const stage = stageOfFrame(frame) ?? decided
    const into = childOf(parent, nameNative(frame, parent), stage ?? stageWithoutRule(frame, isBelowNode))
    into.self += selfOf.get(node.id) ?? 0
    for (const id of node.children ?? []) visit(nodes.get(id)!, into, stage, isBelowNode || frame.kind === 'node')
  }
  const called = new Set(profile.nodes.flatMap(({ children }) => children ?? []))
  for (const top of profile.nodes.filter(({ id }) => !called.has(id))) {
    for (const id of top.children ?? []) visit(nodes.get(id)!, root, undefined, false)
  }
  addUp(root)
  return root
}

/**
 * A function of an add-on. They all enter through one and the same function of Node-API, and V8 calls them by the name of
 * whichever it met first.
 */
function nameNative(frame: Frame, caller: FlameNode): Frame {
  return frame.kind === 'native' && caller.kind === 'dependency' ? { ...frame, name: '(add-on)' } : frame
}

/** The same function under the same caller is one, however often V8 has compiled it. */
function childOf(parent: FlameNode, { name, where, kind }: Frame, stage: Stage): FlameNode {
  const found = parent.children.find((child) => child.name === name && child.where === where && child.stage === stage)
  if (found !== undefined) return found
  const child: FlameNode = { name, where, kind, stage, self: 0, value: 0, children: [] }
  parent.children.push(child)
  return child
}

/** Sums up, drops what no sample was in, and puts the largest first. */
function addUp(node: FlameNode): number {
  node.value = node.self
  for (const child of node.children) node.value += addUp(child)
  const kept = node.children.filter((child) => child.value > 0).sort((a, b) => b.value - a.value)
  node.children.splice(0, node.children.length, ...kept)
  return node.value
}

/** Calls `visit` with the node and everything below it. */
export function walk(node: FlameNode, visit: (node: FlameNode) => void): void {
  visit(node)
  for (const child of node.children) walk(child, visit)
}

/** Samples by stage. */
export function byStage(root: FlameNode): Map<Stage, number> {
  const stages = new Map<Stage, number>()
  walk(root, ({ stage, self }) => {
    if (self > 0) stages.set(stage, (stages.get(stage) ?? 0) + self)
  })
  return stages
}

/** Names a thread by the files that its functions are in, as `batch-maker` for `…/threads/batch-maker/…`. */
export function threadNameOf(urls: Iterable<string>): string | undefined {
  for (const url of urls) {
    const name = /\/threads\/([a-z-]+)\//.exec(url)?.[1]
    if (name !== undefined) return name
  }
  return undefined
}
