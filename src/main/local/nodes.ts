/** The nodes of a run: one process for each authority that is not left out, with its primary and its workers. */
import { fileURLToPath } from 'node:url'
import { NarvalError } from '../../shared/errors.js'
import { v8FlagsFor } from '../../shared/runtime/v8-flags.js'
import { sleep } from '../lib/sleep.js'
import { type Child, describeExit } from './child.js'
import type { LocalCommittee } from './committee-files.js'
import type { Family } from './family.js'
import { LOCAL_BLAME_MS, LOCAL_BOOT_DEADLINE_MS, LOCAL_STOP_DEADLINE_MS } from './limits.js'
import { isRoutine, type LogEvent, parseLogLine } from './log-lines.js'
import { type ProcessUse, processUse, type Scrape } from './node-stats.js'
import { canCertify, type LocalOptions, startedAuthorities } from './options.js'
import { health, scrape } from './scrape.js'
import type { Workspace } from './workspace.js'

/** The executable, beside this file in the compiled tree. */
export const NODE_FILE = fileURLToPath(new URL('../../node.js', import.meta.url))

const POLL_MS = 50

interface Node {
  readonly authority: number
  readonly child: Child
  /** Ids of its workers that take transactions: the primary is up before any of them. */
  readonly booted: Set<number>
}

export class Nodes {
  private readonly nodes: Node[] = []
  private readonly committee: LocalCommittee
  private readonly options: LocalOptions
  private readonly family: Family

  constructor(options: LocalOptions, committee: LocalCommittee, family: Family) {
    this.options = options
    this.committee = committee
    this.family = family
  }

  start(workspace: Workspace, onEvent: (authority: number, event: LogEvent) => void): void {
    for (let authority = 0; authority < startedAuthorities(this.options); authority += 1) {
      const booted = new Set<number>()
      const onLine = (line: string): boolean => {
        const event = parseLogLine(line)
        if (event === undefined) return true
        if (event.type === 'worker-booted') booted.add(event.worker)
        onEvent(authority, event)
        return !isRoutine(event)
      }
      const child = this.family.startNode({
        name: `authority-${authority}`,
        args: this.args(authority, workspace),
        logFile: workspace.authorityLog(authority),
        onLine,
      })
      this.nodes.push({ authority, child, booted })
    }
  }

  private args(authority: number, workspace: Workspace): string[] {
    return [
      ...v8FlagsFor(process.versions.node),
      NODE_FILE,
      'run',
      '--keys',
      workspace.keysFile(authority),
      '--committee',
      workspace.committeeFile,
      '--parameters',
      workspace.parametersFile,
      '--store',
      workspace.store(authority),
      '--ack-level',
      this.options.ackLevel,
      '--benchmark',
      '--metrics',
      `127.0.0.1:${this.committee.metrics(authority).port}`,
      '--bind',
      '127.0.0.1',
      'authority',
      '--rule',
      this.options.rule,
      '--consume',
    ]
  }

  /**
   * Resolves when all nodes have booted and are connected to a quorum; where too many are left out for one, when they
   * answer.
   *
   * @throws NarvalError ERR_BOOT_TIMEOUT
   */
  async ready(stop: AbortSignal): Promise<void> {
    const deadlineMs = performance.now() + LOCAL_BOOT_DEADLINE_MS
    for (const node of this.nodes) {
      let state = await this.state(node)
      while (state !== 'ready') {
        if (stop.aborted) return
        if (performance.now() > deadlineMs) {
          this.family.showTail(node.child)
          const seconds = LOCAL_BOOT_DEADLINE_MS / 1000
          throw new NarvalError(
            'ERR_BOOT_TIMEOUT',
            `${node.child.name} is not ready after ${seconds} s (${state}); its last lines are above`,
          )
        }
        await sleep(POLL_MS, stop)
        state = await this.state(node)
      }
    }
  }

  private async state({ authority, booted }: Node): Promise<string> {
    if (booted.size < this.options.workers) return 'it has not booted'
    const { ok, text } = await health(this.committee.metrics(authority))
    if (ok || (text !== 'no answer' && !canCertify(this.options))) return 'ready'
    return `health: ${text}`
  }

  /** Each node's metrics, in the order of the authorities; undefined where one does not answer. */
  scrape(): Promise<(Scrape | undefined)[]> {
    return Promise.all(this.nodes.map(({ authority }) => scrape(this.committee.metrics(authority))))
  }

  /** What each process has used since its start. @throws NarvalError ERR_UNREACHABLE */
  async use(): Promise<ProcessUse[]> {
    const scrapes = await this.scrape()
    // A node that does not answer may be dead. That it died is the better message.
    if (scrapes.includes(undefined)) await sleep(LOCAL_BLAME_MS)
    return scrapes.map((found, index) => {
      if (found !== undefined) return processUse(found.metrics)
      const { child } = this.nodes[index]!
      this.family.showTail(child)
      throw new NarvalError(
        'ERR_UNREACHABLE',
        `${child.name} does not answer for its metrics; its last lines are above`,
      )
    })
  }

  /** Stops all of them, and says which did not end as they should. */
  async stop(): Promise<string[]> {
    const stops = await Promise.all(this.nodes.map((node) => node.child.stop(LOCAL_STOP_DEADLINE_MS)))
    return stops.flatMap((stop, index) => {
      if (stop.code === 0) return []
      const { child } = this.nodes[index]!
      this.family.showTail(child)
      const how = stop.wasKilled
        ? `had to be killed after ${LOCAL_STOP_DEADLINE_MS / 1000} s`
        : `ended with ${describeExit(stop)}`
      return [`${child.name} ${how} when it was stopped; its last lines are above`]
    })
  }
}
