/** An authority as a user runs it: a process of its own with a store, a log and clients over TCP. It knows how it ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { v8FlagsFor } from '../../../src/shared/runtime/v8-flags.js'
import { until } from '../until.js'

/** Four nodes that start together, on a machine that has other work. */
export const BOOT_MS = 240_000
const BOOTED = 'worker 0: Worker 0 successfully booted'

export interface AuthorityProcessOptions {
  /** The executable: what a user runs. */
  readonly nodeFile: string
  /** Where the committee's files are, and stores and logs are made. */
  readonly directory: string
  /** In the committee's file. */
  readonly index: number
  readonly transactionsPort: number
  readonly metricsPort: number
}

export class AuthorityProcess {
  readonly store: string
  readonly transactionsPort: number
  readonly index: number
  /** How it ended when nobody had asked it to. */
  readonly ownEnds: string[] = []
  private readonly args: readonly string[]
  private readonly logFile: string
  private child: ChildProcess | undefined
  private ended: Promise<unknown> = Promise.resolve()
  private isEnding = false
  /** Where the log of the present run begins. */
  private logFrom = 0
  private logRead = 0
  private logRest = ''

  constructor({ directory, index, metricsPort, nodeFile, transactionsPort }: AuthorityProcessOptions) {
    this.index = index
    this.transactionsPort = transactionsPort
    this.store = join(directory, `store-${index}`)
    this.logFile = join(directory, `log-${index}`)
    this.args = [
      ...v8FlagsFor(process.versions.node),
      ...[nodeFile, 'run', '--benchmark', '--keys', join(directory, `keys-${index}.json`)],
      ...['--committee', join(directory, 'committee.json'), '--store', this.store, '--bind', '127.0.0.1'],
      ...['--metrics', `127.0.0.1:${metricsPort}`, 'authority'],
    ]
  }

  /** Of all runs. */
  get log(): string {
    return readFileSync(this.logFile, 'utf8')
  }

  get primaryStore(): string {
    return join(this.store, 'primary')
  }

  get workerStore(): string {
    return join(this.store, 'worker-0')
  }

  /** Starts the process, with more flags than usual; `booted` says when it is there. */
  spawn(flags: readonly string[] = []): void {
    const log = openSync(this.logFile, 'a')
    this.logFrom = fstatSync(log).size
    const child = spawn(process.execPath, [...this.args, ...flags], {
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...process.env, NARVAL_CHILD: '1' },
    })
    closeSync(log)
    this.child = child
    this.isEnding = false
    this.ended = once(child, 'exit').then(([code, signal]) => {
      if (!this.isEnding) this.ownEnds.push(`authority ${this.index} ended by itself: ${signal ?? code}`)
    })
  }

  async booted(): Promise<void> {
    const { child } = this
    await until(
      () => `it has booted: ${this.log}`,
      () => {
        if (child?.exitCode !== null) throw new Error(`it ended: ${this.log}`)
        // A process that was killed meanwhile is not waited for.
        return this.isEnding || textOf(this.logFile, this.logFrom).includes(BOOTED)
      },
      BOOT_MS,
    )
  }

  async start(): Promise<void> {
    this.spawn()
    await this.booted()
  }

  kill(): void {
    this.isEnding = true
    this.child?.kill('SIGKILL')
  }

  /** Ends it, and waits until it is gone. Returns its exit code; null if a signal ended it. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.isEnding = true
    this.child?.kill(signal)
    await this.ended
    return this.child?.exitCode ?? null
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.child?.kill(signal)
  }

  /** The lines of the log that were not handed out before. */
  newLines(): string[] {
    const text = textOf(this.logFile, this.logRead)
    this.logRead += Buffer.byteLength(text)
    const lines = (this.logRest + text).split('\n')
    this.logRest = lines.pop()!
    return lines
  }
}

/** What a file that grows has behind a place. */
function textOf(file: string, from: number): string {
  const fd = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(fd).size - from))
    const length = readSync(fd, bytes, 0, bytes.length, from)
    return bytes.toString('utf8', 0, length)
  } finally {
    closeSync(fd)
  }
}
