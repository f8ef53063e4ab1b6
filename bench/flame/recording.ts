/**
 * Measures a node, and then profiles it.
 *
 * First a window without the profiler: what each thread of the kernel used, the event loops' utilisation, the node's own
 * metrics. Then one with it, which says what the time went into. A profiler that interrupts four threads a thousand times
 * a second costs a good part of what it looks at, so times come from the first window and shares from the second.
 */

import { sleep } from '../../src/main/lib/sleep.js'
import type { Metrics } from '../../src/main/local/metrics-text.js'
import { scrape } from '../../src/main/local/scrape.js'
import type { NodeProcess } from './committee.js'
import { type CpuProfile, threadNameOf } from './cpu-profile.js'
import { FlameError } from './flame-error.js'
import { evaluate, type Inspector, type Session } from './inspector.js'
import { type OsThread, readOsThreads, usedBetween } from './os-threads.js'

/** Between two samples of a thread. */
export const SAMPLE_INTERVAL_US = 1000

/** What was used and counted in a window. */
export interface Window {
  readonly seconds: number
  readonly threads: readonly OsThread[]
}

export interface ThreadRecord {
  /** `main`, `batch-maker`, …; the worker's title where nothing says more. */
  readonly name: string
  /** The kernel's id of the thread; undefined where it gave no answer. */
  readonly tid: number | undefined
  /** Share of the measured window in which the event loop worked; undefined without a loop or an answer. */
  readonly utilisation: number | undefined
  readonly profile: CpuProfile | undefined
  /** Why there is no profile. */
  readonly silence: string | undefined
}

export interface Recording {
  readonly measured: Window
  readonly profiled: Window
  readonly metricsBefore: Metrics
  readonly metricsAfter: Metrics
  readonly threads: readonly ThreadRecord[]
  /** Threads of the kernel that were there before the inspector was. */
  readonly tidsBefore: ReadonlySet<number>
}

interface Thread {
  readonly session: Session
  readonly name: string
  readonly tid: number | undefined
  silence: string | undefined
}

interface LoopTimes {
  readonly idle: number
  readonly active: number
}

/** @throws FlameError when the inspector is of another process, or the node stops answering */
export async function record(
  { pid, metrics }: NodeProcess,
  inspector: Inspector,
  tidsBefore: ReadonlySet<number>,
  seconds: number,
): Promise<Recording> {
  const threads = await Promise.all(inspector.sessions.map((session) => identify(session, pid)))
  const scraped = async (): Promise<Metrics> => {
    const found = await scrape(metrics)
    if (found === undefined) throw new FlameError('the node does not answer for its metrics')
    return found.metrics
  }

  const metricsBefore = await scraped()
  const loopsBefore = await Promise.all(threads.map(loopTimes))
  const measured = await window(pid, seconds)
  const loopsAfter = await Promise.all(threads.map(loopTimes))
  const metricsAfter = await scraped()

  await Promise.all(threads.map((thread) => attempt(thread, start)))
  const profiled = await window(pid, seconds)
  const profiles = await Promise.all(threads.map((thread) => attempt(thread, stop)))

  return {
    measured,
    profiled,
    metricsBefore,
    metricsAfter,
    tidsBefore,
    threads: threads.map(({ name, tid, silence }, index) => ({
      name,
      tid,
      utilisation: utilisation(loopsBefore[index], loopsAfter[index]),
      profile: profiles[index],
      silence,
    })),
  }
}

/** The link `/proc/thread-self` names the thread that reads it, and reading it does not leave the thread. */
async function identify(session: Session, pid: number): Promise<Thread> {
  const thread = { session, name: session.title, tid: undefined as number | undefined, silence: undefined }
  const link = await attempt(thread, () => evaluate<string>(session, "require('fs').readlinkSync('/proc/thread-self')"))
  const [process, , tid] = link?.split('/').map(Number) ?? []
  if (process !== undefined && process !== pid) {
    throw new FlameError(`the inspector is of process ${process}, and the node is ${pid}`)
  }
  thread.tid = tid
  thread.name = (await attempt(thread, nameOf)) ?? session.title
  return thread
}

async function loopTimes({ session, silence }: Thread): Promise<LoopTimes | undefined> {
  if (silence !== undefined) return undefined
  try {
    return await evaluate<LoopTimes>(
      session,
      '(({ idle, active }) => ({ idle, active }))(performance.eventLoopUtilization())',
    )
  } catch {
    return undefined
  }
}

async function window(pid: number, seconds: number): Promise<Window> {
  const before = readOsThreads(pid)
  const startMs = performance.now()
  await sleep(seconds * 1000)
  const threads = usedBetween(before, readOsThreads(pid))
  return { seconds: (performance.now() - startMs) / 1000, threads }
}

/** A thread that does not answer is left out, and the page says so. */
async function attempt<T>(thread: Thread, step: (session: Session) => Promise<T>): Promise<T | undefined> {
  if (thread.silence !== undefined) return undefined
  try {
    return await step(thread.session)
  } catch (error) {
    thread.silence = (error as Error).message
    return undefined
  }
}

async function start(session: Session): Promise<void> {
  await session.send('Profiler.enable')
  await session.send('Profiler.setSamplingInterval', { interval: SAMPLE_INTERVAL_US })
  await session.send('Profiler.start')
}

async function stop(session: Session): Promise<CpuProfile> {
  const { profile } = await session.send<{ profile: CpuProfile }>('Profiler.stop')
  await session.send('Profiler.disable')
  return profile
}

/** A thread that blocks never lets its loop turn: it has been busy all the time, says Node. */
function utilisation(before: LoopTimes | undefined, after: LoopTimes | undefined): number | undefined {
  if (before === undefined || after === undefined || after.idle === before.idle) return undefined
  const active = after.active - before.active
  return active / (active + after.idle - before.idle)
}

/**
 * Piscina's threads are all started with the same file: which they are is told by the functions that they have run. A
 * profile does not tell it of a thread that slept all the while.
 */
export async function nameOf(session: Session): Promise<string> {
  if (session.title === 'main') return 'main'
  const { result } = await session.send<{ result: { url: string }[] }>('Profiler.getBestEffortCoverage')
  return threadNameOf([session.url, ...result.map(({ url }) => url)]) ?? session.title
}
