/** The executable as a process of its own, with its log, which ends with the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { v8FlagsFor } from '../../src/shared/runtime/v8-flags.js'
import { until } from './until.js'

const NODE_FILE = new URL('../../dist/node.js', import.meta.url).pathname
export const NODE = [...v8FlagsFor(process.versions.node), NODE_FILE]

export class NodeRun {
  log = ''
  readonly child: ChildProcess
  readonly ended: Promise<unknown>

  /** @param command what it is run with: `node` unless given */
  constructor(args: readonly string[], command: readonly string[] = [process.execPath]) {
    const [program, ...before] = command
    this.child = spawn(program!, [...before, ...NODE, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.log += text
    })
    // With all that it has said.
    this.ended = once(this.child, 'close')
    onTestFinished(async () => {
      this.child.kill('SIGKILL')
      await this.ended
    })
  }

  async says(text: string): Promise<void> {
    await until(
      () => `it says ${text}: ${this.log}`,
      () => this.log.includes(text),
      60_000,
    )
  }

  /** How often it says so. */
  count(text: string): number {
    return this.log.split(text).length - 1
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.child.kill(signal)
    await this.ended
  }
}
