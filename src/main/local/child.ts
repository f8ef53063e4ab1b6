/**
 * A process of the committee: a node or a client.
 *
 * Its stderr goes to a log file and, line by line, to whoever measures. It has a process group of its own, since a
 * terminal sends Ctrl-C to a whole group and the order of stopping is ours; and an IPC channel, whose end tells it that
 * we are gone, even by kill -9.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, renameSync, writeSync } from 'node:fs'
import { LOCAL_LOG_BYTES_MAX, LOCAL_LOG_TAIL_LINES } from './limits.js'
import { LineSplitter } from './log-lines.js'

export interface ChildOptions {
  /** `worker-0-0`, `client-0-0`. */
  readonly name: string
  /** Arguments of node: flags, file, and the file's own. */
  readonly args: readonly string[]
  readonly logFile: string
  /** @returns whether the line says what happened, and is worth showing if the process dies */
  readonly onLine: (line: string) => boolean
}

export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class Child {
  readonly name: string
  /** Settles when the process has ended and its last line was handed over. */
  readonly exited: Promise<ChildExit>
  private readonly process: ChildProcess
  private readonly lastLines: string[] = []
  private exit: ChildExit | undefined
  private isToldToStop = false

  constructor(options: ChildOptions) {
    this.name = options.name
    this.process = spawn(process.execPath, options.args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, NARVAL_CHILD: '1' },
      detached: true,
    })
    const log = new LogFile(options.logFile)
    const splitter = new LineSplitter()
    const take = (lines: readonly string[]): void => {
      for (const line of lines) {
        if (!options.onLine(line)) continue
        this.lastLines.push(line)
        if (this.lastLines.length > LOCAL_LOG_TAIL_LINES) this.lastLines.shift()
      }
    }
    const stderr = this.process.stderr!
    stderr.setEncoding('utf8')
    stderr.on('data', (text: string) => {
      log.write(text)
      take(splitter.push(text))
    })
    this.exited = new Promise((resolve) => {
      const end = (exit: ChildExit): void => {
        if (this.exit !== undefined) return
        take(splitter.end())
        log.close()
        this.exit = exit
        resolve(exit)
      }
      this.process.once('error', (error) => {
        this.lastLines.push(`cannot start: ${error.message}`)
        end({ code: null, signal: null })
      })
      this.process.once('close', (code, signal) => end({ code, signal }))
    })
  }

  get isRunning(): boolean {
    return this.exit === undefined
  }

  /** It was told to stop, and did not live long enough to do so in order: it was still being loaded. */
  get isStopped(): boolean {
    return this.isToldToStop && this.exit?.signal === 'SIGTERM'
  }

  /** The last lines of its log, without those that are only measured. */
  get tail(): readonly string[] {
    return this.lastLines
  }

  /** Asks the process to stop, or kills it with all that it started. Does nothing to one that has ended. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    const { pid } = this.process
    if (!this.isRunning || pid === undefined) return
    if (signal === 'SIGTERM') this.process.kill(signal)
    else killGroup(pid)
  }

  /**
   * Asks it to stop, and kills it if it does not within the deadline.
   *
   * @returns how it ended, and whether it had to be killed
   */
  async stop(deadlineMs: number): Promise<ChildExit & { readonly wasKilled: boolean }> {
    let wasKilled = false
    this.isToldToStop = true
    this.kill('SIGTERM')
    const timer = setTimeout(() => {
      wasKilled = true
      this.kill('SIGKILL')
    }, deadlineMs)
    const exit = await this.exited
    clearTimeout(timer)
    return { ...exit, wasKilled }
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has just ended, and nobody of its group is left.
  }
}

/** `code 1`, `signal SIGKILL`. */
export function describeExit(exit: ChildExit): string {
  if (exit.signal !== null) return `signal ${exit.signal}`
  return exit.code === null ? 'no start' : `code ${exit.code}`
}

/** A log that starts anew when it is full, the full one kept beside it as `….old`. A disk that is full ends it. */
class LogFile {
  private readonly path: string
  private fd: number | undefined
  private bytes = 0

  constructor(path: string) {
    this.path = path
    this.fd = openSync(path, 'w')
  }

  write(text: string): void {
    if (this.fd === undefined) return
    try {
      if (this.bytes > LOCAL_LOG_BYTES_MAX) this.rotate(this.fd)
      this.bytes += writeSync(this.fd, text)
    } catch {
      this.close()
    }
  }

  private rotate(fd: number): void {
    closeSync(fd)
    this.fd = undefined
    renameSync(this.path, `${this.path}.old`)
    this.fd = openSync(this.path, 'w')
    this.bytes = 0
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd)
    this.fd = undefined
  }
}
