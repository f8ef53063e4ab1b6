/** A process of a floor, as its parent sees it: requests over IPC, in order, one at a time. */
import { type ChildProcess, spawn } from 'node:child_process'
import { v8FlagsFor } from '../../src/shared/runtime/v8-flags.js'
import type { Request } from './messages.js'
import type { NodeOptions } from './options.js'

const STDERR_CHARACTERS_KEPT = 2_000

export class Child {
  readonly name: string
  /** Settles when the process has ended. */
  readonly exited: Promise<void>
  private readonly process: ChildProcess
  private readonly answers: ((answer: unknown) => void)[] = []
  private stderr = ''

  /**
   * @param file the compiled module that it runs
   * @param onDeath called with one line when it ends before it was killed
   */
  constructor(name: string, file: URL, options: NodeOptions, onDeath: (error: Error) => void) {
    this.name = name
    this.process = spawn(
      process.execPath,
      [...v8FlagsFor(process.versions.node), file.pathname, JSON.stringify(options)],
      {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        // Ctrl-C goes to a whole process group; the order of stopping is the parent's.
        detached: true,
      },
    )
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_CHARACTERS_KEPT)
    })
    this.process.on('message', (answer) => this.answers.shift()?.(answer))
    this.exited = new Promise((resolve) => {
      const end = (how: string): void => {
        resolve()
        if (!this.process.killed) onDeath(new Error(`${name} ended by itself (${how}) ${this.lastLine()}`.trim()))
      }
      this.process.once('error', (error) => end(error.message))
      this.process.once('close', (code, signal) => end(signal ?? `code ${code}`))
    })
  }

  /** @returns the answer; never settles if the process dies, which `onDeath` tells */
  ask<Answer>(request: Request): Promise<Answer> {
    return new Promise((resolve) => {
      this.answers.push(resolve as (answer: unknown) => void)
      this.process.send(request)
    })
  }

  kill(): void {
    this.process.kill('SIGKILL')
  }

  private lastLine(): string {
    const lines = this.stderr.split('\n').filter((line) => line.trim() !== '')
    return lines.find((line) => /Error/.test(line)) ?? lines.at(-1) ?? ''
  }
}
