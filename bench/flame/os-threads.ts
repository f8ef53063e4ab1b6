/** What the kernel says of the threads of a process: CPU time, time spent waiting for a core, bytes written. */
import { readdirSync, readFileSync } from 'node:fs'

/** Sums since the thread's start. */
export interface OsThread {
  readonly tid: number
  /** As the kernel calls it; Node 20 leaves all of its threads the name of the process. */
  readonly comm: string
  readonly cpuMs: number
  /** Ready to run, with no core to run on; undefined where the kernel does not keep it. */
  readonly waitMs: number | undefined
  /** Calls that wrote, and their bytes; undefined where we may not know. */
  readonly writes: { readonly calls: number; readonly bytes: number } | undefined
}

/** Linux' clock tick as all of its architectures that Node runs on show it. */
const TICK_MS = 10

/** All threads of the process, in the order in which they were started. @throws when there is no such process */
export function readOsThreads(pid: number): OsThread[] {
  const directory = `/proc/${pid}/task`
  const read = (tid: string, file: string): string | undefined => {
    try {
      return readFileSync(`${directory}/${tid}/${file}`, 'utf8')
    } catch {
      // The thread has ended meanwhile, or the file is not for us.
      return undefined
    }
  }
  return readdirSync(directory)
    .map((tid) => parseOsThread(Number(tid), read(tid, 'stat'), read(tid, 'schedstat'), read(tid, 'io')))
    .filter((thread) => thread !== undefined)
    .sort((a, b) => a.tid - b.tid)
}

/** Reads the files `stat`, `schedstat` and `io` of a thread; undefined without the first. */
export function parseOsThread(
  tid: number,
  stat: string | undefined,
  schedstat: string | undefined,
  io: string | undefined,
): OsThread | undefined {
  // The name is in brackets, and may have brackets and blanks in itself.
  const end = stat?.lastIndexOf(')') ?? -1
  if (stat === undefined || end < 0) return undefined
  const comm = stat.slice(stat.indexOf('(') + 1, end)
  const fields = stat.slice(end + 2).split(' ')
  const [runNs, waitNs] = (schedstat ?? '').split(' ').map(Number)
  const hasSchedstat = runNs !== undefined && waitNs !== undefined && runNs > 0
  const cpuMs = hasSchedstat ? runNs / 1e6 : (Number(fields[11]) + Number(fields[12])) * TICK_MS
  const calls = /^syscw: (\d+)$/m.exec(io ?? '')?.[1]
  const bytes = /^wchar: (\d+)$/m.exec(io ?? '')?.[1]
  const writes = calls === undefined || bytes === undefined ? undefined : { calls: Number(calls), bytes: Number(bytes) }
  return { tid, comm, cpuMs, waitMs: hasSchedstat ? waitNs / 1e6 : undefined, writes }
}

/** What each thread used between two readings; one that was started between them counts from 0, one that ended is lost. */
export function usedBetween(before: readonly OsThread[], after: readonly OsThread[]): OsThread[] {
  const earlier = new Map(before.map((thread) => [thread.tid, thread]))
  return after.map((thread) => {
    const start = earlier.get(thread.tid)
    if (start === undefined) return thread
    return {
      ...thread,
      cpuMs: Math.max(0, thread.cpuMs - start.cpuMs),
      waitMs: thread.waitMs === undefined ? undefined : Math.max(0, thread.waitMs - (start.waitMs ?? 0)),
      writes: thread.writes && {
        calls: thread.writes.calls - (start.writes?.calls ?? 0),
        bytes: thread.writes.bytes - (start.writes?.bytes ?? 0),
      },
    }
  })
}

export type NativeThread = 'libuv-pool' | 'v8-platform' | 'profiler' | 'native-rest'

/** Bytes of one wake-up through an eventfd: who writes no more than these writes no files. */
const WAKE_UP_BYTES = 8

/**
 * What a thread without JavaScript is, from what it did in between two readings. Its name decides if it has one; else
 * whether it wrote files: of a node's native threads only libuv's pool does, since LMDB works there. The threads of V8's
 * platform do not, and the inspector's come last.
 *
 * @param isNew it was started by the inspector or after it
 */
export function nativeThreadOf({ comm, writes }: OsThread, isNew: boolean): NativeThread {
  if (comm.startsWith('v8:Prof') || isNew) return 'profiler'
  if (comm.startsWith('libuv')) return 'libuv-pool'
  if (comm.startsWith('V8Worker') || comm.startsWith('DelayedTask')) return 'v8-platform'
  if (writes === undefined) return 'native-rest'
  return writes.bytes > writes.calls * WAKE_UP_BYTES ? 'libuv-pool' : 'v8-platform'
}
