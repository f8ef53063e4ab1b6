/**
 * The processes of a run. One that ends when it was not asked to ends the run: whoever waits for something waits with
 * `orTrouble`, and is told.
 */

import { NarvalError } from '../../shared/errors.js'
import { sleep } from '../lib/sleep.js'
import { Child, type ChildExit, type ChildOptions, describeExit } from './child.js'
import { LOCAL_BLAME_MS } from './limits.js'

export class Family {
  private readonly children: Child[] = []
  private readonly report: (line: string) => void
  private readonly trouble: Promise<never>
  private reject!: (error: Error) => void
  private isEnding = false

  /** @param report shows a line to the user: the last ones of a process that died */
  constructor(report: (line: string) => void) {
    this.report = report
    this.trouble = new Promise((_, reject) => {
      this.reject = reject
    })
    // It may come while nobody waits; the next one who does is told.
    this.trouble.catch(() => {})
  }

  /** A process that has to live until it is told to end. */
  startNode(options: ChildOptions): Child {
    const child = this.start(options)
    void child.exited.then((exit) => this.onDeath(child, exit))
    return child
  }

  /** A process that may end by itself, when its work is done. */
  startClient(options: ChildOptions): Child {
    const child = this.start(options)
    void child.exited.then(async (exit) => {
      if (exit.code === 0 || child.isStopped) return
      // A client that lost its node is heard of before the node's own end is, which is what the user has to know.
      await sleep(LOCAL_BLAME_MS)
      this.onDeath(child, exit)
    })
    return child
  }

  private start(options: ChildOptions): Child {
    const child = new Child(options)
    this.children.push(child)
    return child
  }

  private onDeath(child: Child, exit: ChildExit): void {
    if (this.isEnding) return
    this.isEnding = true
    this.showTail(child)
    this.fail(
      new NarvalError(
        'ERR_CHILD_DIED',
        `${child.name} ended by itself with ${describeExit(exit)}; its last lines are above`,
      ),
    )
  }

  /** Ends the run with this error, if it is the first. */
  fail(error: Error): void {
    this.reject(error)
  }

  orTrouble<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.trouble])
  }

  showTail(child: Child): void {
    for (const line of child.tail) this.report(`${child.name} | ${line}`)
  }

  /** From now on processes are expected to end. */
  expectEnd(): void {
    this.isEnding = true
  }

  /** Kills whoever is left, at once. */
  kill(): void {
    this.expectEnd()
    for (const child of this.children) child.kill('SIGKILL')
  }

  /** Resolves when no process is left. */
  async gone(): Promise<void> {
    await Promise.all(this.children.map((child) => child.exited))
  }
}
