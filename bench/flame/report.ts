/** From a recording to what is shown: CPU of each thread, of each stage, of each function, and the trees. */
import { byLabel, sumOf } from '../../src/main/local/metrics-text.js'
import { byStage, type FlameNode, type FoldedProfile, foldProfile } from './cpu-profile.js'
import { type NativeThread, nativeThreadOf, type OsThread } from './os-threads.js'
import { type Recording, SAMPLE_INTERVAL_US, type ThreadRecord } from './recording.js'
import { STAGES, type Stage } from './stages.js'

/** A thread of JavaScript, or all native ones of a kind. All times are milliseconds in a second of the window. */
export interface ThreadReport {
  readonly name: string
  readonly isNative: boolean
  readonly cpu: number
  /** Ready to run, without a core. */
  readonly waiting: number | undefined
  /** Share of the time that its event loop worked, by Node; of the last second, by the thread itself, where it has none. */
  readonly utilisation: number | undefined
  readonly folded: FoldedProfile | undefined
  /** Share of its CPU that went into collections on the thread itself, by its samples. */
  readonly gcShare: number | undefined
  /** Full collections in the measured window, and the time of all, as the thread counts them. */
  readonly gcMajor: number | undefined
  readonly gcTime: number | undefined
  readonly silence: string | undefined
}

export interface FunctionReport {
  readonly name: string
  readonly where: string
  readonly thread: string
  readonly stage: Stage
  /** Milliseconds of CPU in a second, without what it called. */
  readonly cpu: number
}

export interface Report {
  readonly threads: readonly ThreadReport[]
  /** Milliseconds of CPU in a second, by stage and then by thread. Stages without any are missing. */
  readonly stages: ReadonlyMap<Stage, ReadonlyMap<string, number>>
  readonly functions: readonly FunctionReport[]
  /** Of the node in the measured window, and of it while it was profiled, the profiler's own threads included. */
  readonly cpu: number
  readonly cpuProfiled: number
  /** Of transactions in own batches that were certified, a second. */
  readonly bytesPerS: number
  readonly transactionsPerS: number
}

const NATIVE: readonly Exclude<NativeThread, 'profiler'>[] = ['libuv-pool', 'v8-platform', 'native-rest']
const NATIVE_NAMES = { 'libuv-pool': 'libuv’s pool', 'v8-platform': 'V8’s own', 'native-rest': 'other native' } as const
const ORDER = ['main', 'batch-maker', 'processor', 'quorum-waiter']
const FUNCTIONS_MAX = 25

export function toReport(recording: Recording): Report {
  const { measured, profiled, metricsBefore, metricsAfter } = recording
  const perS = (name: string): number => (sumOf(metricsAfter, name) - sumOf(metricsBefore, name)) / measured.seconds
  const threads = [
    ...recording.threads.map((thread) => scriptThread(recording, thread)).sort((a, b) => rank(a.name) - rank(b.name)),
    ...nativeThreads(recording),
  ]
  return {
    threads,
    stages: stagesOf(threads),
    functions: functionsOf(threads),
    cpu: sum(threads.map(({ cpu }) => cpu)),
    cpuProfiled: sum(profiled.threads.map(({ cpuMs }) => cpuMs)) / profiled.seconds,
    bytesPerS: perS('narval_transaction_bytes_certified_total'),
    transactionsPerS: perS('narval_transactions_certified_total'),
  }
}

function rank(name: string): number {
  const index = ORDER.indexOf(name)
  return index < 0 ? ORDER.length : index
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function scriptThread(recording: Recording, thread: ThreadRecord): ThreadReport {
  const { measured, metricsBefore, metricsAfter } = recording
  const { name, profile } = thread
  const use = measured.threads.find(({ tid }) => tid === thread.tid)
  const folded = profile && foldProfile(profile, name, SAMPLE_INTERVAL_US)
  const grown = (metric: string): number | undefined => {
    const after = byLabel(metricsAfter, metric, 'thread').get(name)
    return after === undefined ? undefined : after - (byLabel(metricsBefore, metric, 'thread').get(name) ?? 0)
  }
  const gcSeconds = grown('narval_gc_seconds_total')
  return {
    name,
    isNative: false,
    cpu: (use?.cpuMs ?? 0) / measured.seconds,
    waiting: use?.waitMs === undefined ? undefined : use.waitMs / measured.seconds,
    utilisation: thread.utilisation ?? byLabel(metricsAfter, 'narval_thread_utilisation', 'thread').get(name),
    folded,
    gcShare: folded && folded.counted > 0 ? (byStage(folded.root).get('gc') ?? 0) / folded.counted : undefined,
    gcMajor: grown('narval_gc_major_total'),
    gcTime: gcSeconds === undefined ? undefined : (gcSeconds * 1000) / measured.seconds,
    silence: thread.silence,
  }
}

function nativeThreads({ measured, threads, tidsBefore }: Recording): ThreadReport[] {
  const known = new Set(threads.map(({ tid }) => tid))
  const byKind = new Map<NativeThread, OsThread[]>()
  for (const thread of measured.threads) {
    if (known.has(thread.tid)) continue
    const kind = nativeThreadOf(thread, !tidsBefore.has(thread.tid))
    byKind.set(kind, [...(byKind.get(kind) ?? []), thread])
  }
  return NATIVE.flatMap((kind) => {
    const found = byKind.get(kind) ?? []
    const cpu = sum(found.map(({ cpuMs }) => cpuMs)) / measured.seconds
    if (cpu === 0) return []
    const waits = found.map(({ waitMs }) => waitMs).filter((waitMs) => waitMs !== undefined)
    return {
      name: NATIVE_NAMES[kind],
      isNative: true,
      cpu,
      waiting: waits.length === 0 ? undefined : sum(waits) / measured.seconds,
      utilisation: undefined,
      folded: undefined,
      gcShare: undefined,
      gcMajor: undefined,
      gcTime: undefined,
      silence: undefined,
    }
  })
}

/** Milliseconds of CPU in a second that a sample of the thread stands for. */
export function cpuPerSample({ cpu, folded }: ThreadReport): number {
  return folded === undefined || folded.counted === 0 ? 0 : cpu / folded.counted
}

function stagesOf(threads: readonly ThreadReport[]): Map<Stage, Map<string, number>> {
  const stages = new Map<Stage, Map<string, number>>()
  const add = (stage: Stage, thread: string, cpu: number): void => {
    if (cpu === 0) return
    const row = stages.get(stage) ?? new Map<string, number>()
    stages.set(stage, row.set(thread, (row.get(thread) ?? 0) + cpu))
  }
  for (const thread of threads) {
    const perSample = cpuPerSample(thread)
    const native = NATIVE.find((kind) => NATIVE_NAMES[kind] === thread.name)
    if (thread.isNative && native !== undefined) add(native, thread.name, thread.cpu)
    else if (perSample === 0) add('unsampled', thread.name, thread.cpu)
    else for (const [stage, samples] of byStage(thread.folded!.root)) add(stage, thread.name, samples * perSample)
  }
  const order = Object.keys(STAGES) as Stage[]
  return new Map([...stages].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)))
}

/** The functions with the most CPU of their own, each once per thread; a native one stands with who called it. */
function functionsOf(threads: readonly ThreadReport[]): FunctionReport[] {
  const functions = threads.flatMap((thread) => {
    const { folded, name } = thread
    if (folded === undefined) return []
    const perSample = cpuPerSample(thread)
    const found = new Map<string, FunctionReport>()
    const visit = (node: FlameNode, caller: string): void => {
      const where = node.where !== '' || caller === '' ? node.where : `in ${caller}`
      const key = `${node.name} ${where} ${node.stage}`
      const cpu = (found.get(key)?.cpu ?? 0) + node.self * perSample
      if (node.self > 0) found.set(key, { name: node.name, where, thread: name, stage: node.stage, cpu })
      const next = node.where === '' ? caller : `${node.name}, ${node.where}`
      for (const child of node.children) visit(child, next)
    }
    visit(folded.root, '')
    return [...found.values()]
  })
  return functions.sort((a, b) => b.cpu - a.cpu).slice(0, FUNCTIONS_MAX)
}

/** The tree in milliseconds of CPU a second instead of samples. */
export function scaled(root: FlameNode, perSample: number): FlameNode {
  const copy = (node: FlameNode): FlameNode => ({
    ...node,
    self: node.self * perSample,
    value: node.value * perSample,
    children: node.children.map(copy),
  })
  return copy(root)
}
