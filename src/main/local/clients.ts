/** The load of a run: one client process for each worker. */
import { formatTcpAddress } from '../../shared/config/address.js'
import { aborted, sleep } from '../lib/sleep.js'
import type { Child } from './child.js'
import type { LocalCommittee } from './committee-files.js'
import type { Family } from './family.js'
import { LOCAL_STOP_DEADLINE_MS } from './limits.js'
import { isRoutine, type LogEvent, parseLogLine } from './log-lines.js'
import { NODE_FILE } from './nodes.js'
import { clientRate, type LocalOptions, startedWorkers, type WorkerName } from './options.js'
import type { Workspace } from './workspace.js'

/** A client that lags behind its schedule when the time is over is stopped; one that is only late has this much longer. */
const OVERTIME_MS = 200

export class Clients {
  firstStartMs: number | undefined
  lastStopMs: number | undefined
  /** Transactions that the kernel took from all clients that have ended. */
  sent = 0
  private readonly children: Child[] = []
  private started = 0
  private onAllStarted: () => void = () => {}
  private readonly options: LocalOptions

  constructor(options: LocalOptions) {
    this.options = options
  }

  start(
    committee: LocalCommittee,
    workspace: Workspace,
    family: Family,
    onEvent: (name: WorkerName, event: LogEvent) => void,
  ): void {
    const workers = startedWorkers(this.options)
    const addresses = workers.map((name) => formatTcpAddress(committee.transactions(name)))
    for (const [index, name] of workers.entries()) {
      const onLine = (line: string): boolean => {
        const event = parseLogLine(line)
        if (event === undefined) return true
        this.take(event)
        onEvent(name, event)
        return !isRoutine(event)
      }
      const options = {
        name: `client-${name.authority}-${name.worker}`,
        args: this.args(addresses[index]!, addresses),
        logFile: workspace.clientLog(name),
        onLine,
      }
      this.children.push(family.startClient(options))
    }
  }

  private args(target: string, nodes: readonly string[]): string[] {
    const { durationS, transactionBytes, unbuffered, warmupS } = this.options
    return [
      NODE_FILE,
      'client',
      target,
      '--size',
      String(transactionBytes),
      '--rate',
      String(clientRate(this.options)),
      ...(durationS === 0 ? [] : ['--duration', String(warmupS + durationS)]),
      ...(unbuffered ? ['--unbuffered'] : []),
      '--nodes',
      ...nodes,
    ]
  }

  private take(event: LogEvent): void {
    if (event.type === 'client-started') {
      this.firstStartMs = Math.min(this.firstStartMs ?? event.timeMs, event.timeMs)
      this.started += 1
      if (this.started === this.children.length) this.onAllStarted()
    } else if (event.type === 'client-sent') {
      this.sent += event.transactions
      this.lastStopMs = Date.now()
    }
  }

  /** Resolves when the last client has begun to send. */
  allStarted(): Promise<void> {
    return new Promise((resolve) => {
      if (this.started === this.children.length) resolve()
      else this.onAllStarted = resolve
    })
  }

  /** Resolves when the time is over, or `stop` is aborted; every client has ended then. */
  async load(stop: AbortSignal): Promise<void> {
    const timeOver = new AbortController()
    const ended = Promise.all(this.children.map((child) => child.exited)).then(() => timeOver.abort())
    const either = AbortSignal.any([stop, timeOver.signal])
    const { durationS, warmupS } = this.options
    await (durationS === 0 ? aborted(either) : sleep((warmupS + durationS) * 1000 + OVERTIME_MS, either))
    await Promise.all(this.children.map((child) => child.stop(LOCAL_STOP_DEADLINE_MS)))
    await ended
  }
}
