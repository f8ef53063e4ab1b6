/**
 * The nodes of a run, for each authority that is not left out: one process with its primary and its workers, or one for each
 * of these.
 */
import { fileURLToPath } from 'node:url'
import { formatTcpAddress } from '../../shared/config/address.js'
import { NarvalError } from '../../shared/errors.js'
import { v8FlagsFor } from '../../shared/runtime/v8-flags.js'
import { workerDirectory } from '../../shared/store/authority-directories.js'
import { sleep } from '../lib/sleep.js'
import { type Child, describeExit } from './child.js'
import type { LocalCommittee } from './committee-files.js'
import type { Family } from './family.js'
import { LOCAL_BLAME_MS, LOCAL_BOOT_DEADLINE_MS, LOCAL_STOP_DEADLINE_MS } from './limits.js'
import { isRoutine, type LogEvent, parseLogLine } from './log-lines.js'
import { joinScrapes, type ProcessUse, processUse, type Scrape } from './node-stats.js'
import { canCertify, type LocalOptions, startedAuthorities } from './options.js'
import { health, scrape } from './scrape.js'
import type { Workspace } from './workspace.js'

/** The executable, beside this file in the compiled tree. */
export const NODE_FILE = fileURLToPath(new URL('../../node.js', import.meta.url))

const POLL_MS = 50

/** What a process runs: an authority, its primary, or the worker with this id. */
type Part = 'authority' | 'primary' | number

interface Node {
  readonly authority: number
  /** Its number among the authority's processes. */
  readonly process: number
  readonly part: Part
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
    const parts: Part[] = this.options.split ? ['primary', ...Array(this.options.workers).keys()] : ['authority']
    for (let authority = 0; authority < startedAuthorities(this.options); authority += 1) {
      for (const [process, part] of parts.entries()) this.startPart(authority, process, part, workspace, onEvent)
    }
  }

  private startPart(
    authority: number,
    process: number,
    part: Part,
    workspace: Workspace,
    onEvent: (authority: number, event: LogEvent) => void,
  ): void {
    const booted = new Set<number>()
    const onLine = (line: string): boolean => {
      const said = parseLogLine(line)
      if (said === undefined) return true
      // A worker of its own process does not name itself in each line.
      const event = typeof part === 'number' && 'worker' in said ? { ...said, worker: part } : said
      if (event.type === 'worker-booted') booted.add(event.worker)
      onEvent(authority, event)
      return !isRoutine(event)
    }
    const { logFile, name } = fileOf(authority, part, workspace)
    const child = this.family.startNode({ name, logFile, onLine, args: this.args(authority, process, part, workspace) })
    this.nodes.push({ authority, process, part, child, booted })
  }

  private args(authority: number, process: number, part: Part, workspace: Workspace): string[] {
    const store = workspace.store(authority)
    const address = this.committee.metrics(authority, process)
    return [
      ...v8FlagsFor(globalThis.process.versions.node),
      NODE_FILE,
      'run',
      '--keys',
      workspace.keysFile(authority),
      '--committee',
      workspace.committeeFile,
      '--parameters',
      workspace.parametersFile,
      '--store',
      typeof part === 'number' ? workerDirectory(store, part) : store,
      '--ack-level',
      this.options.ackLevel,
      '--benchmark',
      '--metrics',
      `${address.host}:${address.port}`,
      '--bind',
      '127.0.0.1',
      ...(typeof part === 'number'
        ? ['worker', '--id', String(part), '--primary', 'narval']
        : [part, '--rule', this.options.rule, '--consume', ...this.gatewayArgs(authority)]),
    ]
  }

  private gatewayArgs(authority: number): string[] {
    const { api } = this.options
    return api === undefined ? [] : ['--api', formatTcpAddress({ host: api.host, port: api.port + authority })]
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

  private async state({ authority, booted, part, process }: Node): Promise<string> {
    const workers = part === 'authority' ? this.options.workers : Number(part !== 'primary')
    if (booted.size < workers) return 'it has not booted'
    const { ok, text } = await health(this.committee.metrics(authority, process))
    if (ok || (text !== 'no answer' && !canCertify(this.options))) return 'ready'
    return `health: ${text}`
  }

  /** Each authority's metrics, in their order; undefined where one of its processes does not answer. */
  async scrape(deadlineMs?: number): Promise<(Scrape | undefined)[]> {
    const scrapes = await this.scrapeProcesses(deadlineMs)
    return Array.from({ length: startedAuthorities(this.options) }, (_, authority) =>
      joinScrapes(scrapes.filter((_, index) => this.nodes[index]!.authority === authority)),
    )
  }

  private scrapeProcesses(deadlineMs?: number): Promise<(Scrape | undefined)[]> {
    return Promise.all(
      this.nodes.map(({ authority, process }) => scrape(this.committee.metrics(authority, process), deadlineMs)),
    )
  }

  /** What each process has used since its start. @throws NarvalError ERR_UNREACHABLE */
  async use(): Promise<ProcessUse[]> {
    const scrapes = await this.scrapeProcesses()
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

/** Named as the reference's log files are. */
function fileOf(
  authority: number,
  part: Part,
  workspace: Workspace,
): { readonly name: string; readonly logFile: string } {
  if (part === 'authority') return { name: `authority-${authority}`, logFile: workspace.authorityLog(authority) }
  if (part === 'primary') return { name: `primary-${authority}`, logFile: workspace.primaryLog(authority) }
  return { name: `worker-${authority}-${part}`, logFile: workspace.workerLog({ authority, worker: part }) }
}
