/** The committee under load: `narval local` as a user runs it, and the process of one of its nodes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { parseMetricsAddress } from '../../src/main/http/http-address.js'
import { sleep } from '../../src/main/lib/sleep.js'
import { sumOf } from '../../src/main/local/metrics-text.js'
import type { Result } from '../../src/main/local/result.js'
import { scrape } from '../../src/main/local/scrape.js'
import type { TcpAddress } from '../../src/shared/config/address.js'
import { FlameError } from './flame-error.js'
import type { FlameOptions } from './options.js'
import { ROOT } from './project.js'

/** The executable that a user runs. */
export const NODE_FILE = join(ROOT, 'dist/node.js')

const BOOT_DEADLINE_MS = 90_000
const INSPECTOR_DEADLINE_MS = 10_000
const STOP_DEADLINE_MS = 60_000
const POLL_MS = 50
/** Load beyond the two windows; it is stopped when they are over, and ends by itself if nobody is left to stop it. */
const SPARE_S = 60

export interface NodeProcess {
  readonly pid: number
  readonly metrics: TcpAddress
  /** Its standard error. */
  readonly log: string
}

export class Committee {
  /** Rejects when the committee ends before it was asked to. */
  readonly trouble: Promise<never>
  private readonly child: ChildProcess
  private readonly exited: Promise<void>
  private isStopping = false
  private stdout = ''
  private stderr = ''

  constructor(options: FlameOptions) {
    const { nodes, rate, size, ackLevel, warmup, seconds } = options
    const flags = { nodes, rate, size, 'ack-level': ackLevel, duration: warmup + 2 * seconds + SPARE_S }
    this.child = spawn(
      process.execPath,
      [NODE_FILE, 'local', '--json', ...Object.entries(flags).flatMap(([key, value]) => [`--${key}`, String(value)])],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        // A terminal's Ctrl-C goes to a whole group; the order of stopping is ours.
        detached: true,
        // Its processes inherit it: an inspector that is asked for takes any free port, and not the one that all take.
        env: { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --inspect-port=127.0.0.1:0`.trim() },
      },
    )
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.exited = new Promise((resolve) => this.child.once('close', () => resolve()))
    this.trouble = new Promise((_, reject) => {
      this.child.once('error', (error) => reject(new FlameError(`cannot start the committee: ${error.message}`)))
      void this.exited.then(() => {
        if (!this.isStopping) reject(new FlameError(`the committee ended by itself: ${this.lastLine()}`))
      })
    })
    this.trouble.catch(() => {})
  }

  private lastLine(): string {
    return this.stderr.trim().split('\n').at(-1) ?? ''
  }

  /** Resolves with the node when it certifies what its client sends. @throws FlameError when it does not come to that */
  async loadedNode(index: number): Promise<NodeProcess> {
    const deadlineMs = performance.now() + BOOT_DEADLINE_MS
    while (performance.now() < deadlineMs) {
      const node = findNode(this.child.pid!, index)
      const found = node && (await scrape(node.metrics))
      if (found !== undefined && sumOf(found.metrics, 'narval_transactions_certified_total') > 0) return node!
      await sleep(POLL_MS)
    }
    throw new FlameError(`node ${index} certified nothing within ${BOOT_DEADLINE_MS / 1000} s`)
  }

  /** Asks the committee to stop. @returns what it measured of itself, if it came to that */
  async stop(): Promise<Result | undefined> {
    this.isStopping = true
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_DEADLINE_MS)
    this.interrupt()
    await this.exited
    clearTimeout(timer)
    const line = this.stdout.trim().split('\n').at(-1) ?? ''
    return line.startsWith('{') ? (JSON.parse(line) as Result) : undefined
  }

  /** What Ctrl-C does: the first asks for an orderly end, a second one ends it at once, its files and processes as well. */
  interrupt(): void {
    this.isStopping = true
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGINT')
  }
}

/** Opens the inspector of the process. @returns its address, which nobody but this process can have printed there */
export async function openInspector({ pid, log }: NodeProcess): Promise<string> {
  process.kill(pid, 'SIGUSR1')
  const deadlineMs = performance.now() + INSPECTOR_DEADLINE_MS
  while (performance.now() < deadlineMs) {
    const text = existsSync(log) ? readFileSync(log, 'utf8') : ''
    const failure = /^Starting inspector on .* failed: .*$/m.exec(text)?.[0]
    if (failure !== undefined) throw new FlameError(`the node cannot be inspected: ${failure}`)
    const url = [...text.matchAll(/^Debugger listening on (ws:\S+)$/gm)].at(-1)?.[1]
    if (url !== undefined) return url
    await sleep(POLL_MS)
  }
  throw new FlameError(`the node opened no inspector within ${INSPECTOR_DEADLINE_MS / 1000} s of SIGUSR1`)
}

function findNode(parent: number, index: number): NodeProcess | undefined {
  for (const pid of childrenOf(parent)) {
    const node = nodeOfCommand(pid, readFileOf(pid, 'cmdline').split('\0'))
    if (node !== undefined && node.index === index) return node
  }
  return undefined
}

/** What the arguments of a process say of the node in it; undefined for one that is none. */
export function nodeOfCommand(pid: number, args: readonly string[]): (NodeProcess & { index: number }) | undefined {
  const flag = (name: string): string => args[args.indexOf(name) + 1] ?? ''
  if (!args.includes('run') || !args.includes('authority')) return undefined
  const keys = flag('--keys')
  const index = /^\.node-(\d+)\.json$/.exec(basename(keys))?.[1]
  const metrics = parseMetricsAddress(flag('--metrics'))
  if (index === undefined || metrics === undefined) return undefined
  return { pid, index: Number(index), metrics, log: join(dirname(keys), 'logs', `authority-${index}.log`) }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const stat = readFileOf(pid, 'stat')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
    })
}

function readFileOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    // It has ended meanwhile.
    return ''
  }
}
