/**
 * The processes of this machine, as Linux shows them in /proc.
 *
 * One that has ended stays there until its parent, or whoever took it over, has asked how: that can take long, and is not
 * the doing of who started it. So it counts as gone.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { until } from './until.js'

interface Status {
  readonly parent: number
  readonly group: number
}

/** Of a process that runs; undefined if there is none, or it has ended. */
function statusOf(pid: number): Status | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name before it may have anything in it.
    const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // The main thread can have ended before the others, which have its files and ports.
    if ((state === 'Z' || state === 'X') && readdirSync(`/proc/${pid}/task`).length < 2) return undefined
    return { parent: Number(parent), group: Number(group) }
  } catch {
    return undefined
  }
}

function processesWhere(holds: (status: Status, pid: number) => boolean): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .map(Number)
    .filter((pid) => {
      const status = statusOf(pid)
      return status !== undefined && holds(status, pid)
    })
}

export function isRunning(pid: number): boolean {
  return statusOf(pid) !== undefined
}

export function childrenOf(pid: number): number[] {
  return processesWhere(({ parent }) => parent === pid)
}

/** Ids of processes with this text on their command line. */
export function processesWith(text: string): number[] {
  return processesWhere((_, pid) => commandOf(pid).some((argument) => argument.includes(text)))
}

/** What a process was started with; nothing if it has ended. */
export function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}

/** Waits until these have ended: who is no child of ours ends when it does, and not when its parent has. */
export async function ended(...pids: number[]): Promise<void> {
  const left = (): number[] => pids.filter(isRunning)
  await until(
    () => `${left().join(', ')} ended: ${left().map((pid) => commandOf(pid).join(' '))}`,
    () => left().length === 0,
  )
}

/** Waits until nobody of this process group is left. */
export async function groupEnded(group: number): Promise<void> {
  const left = (): number[] => processesWhere((status) => status.group === group)
  await until(
    () => `the group ${group} ended: ${left().map((pid) => commandOf(pid).join(' '))}`,
    () => left().length === 0,
  )
}
