/**
 * The processes of a run. One that ends when it was not asked to ends the run: whoever waits for something waits with
 * `orTrouble`, and is told.
 */
import { NarvalError } from '../../shared/errors.js'
import { Child, type ChildExit, type ChildOptions, describeExit } from './child.js'

export class Family {
  readonly #children: Child[] = []
  readonly #report: (line: string) => void
  readonly #trouble: Promise<never>
  #fail!: (error: Error) => void
  #isEnding = false

  /** @param report shows a line to the user: the last ones of a process that died */
  constructor(report: (line: string) => void) {
    this.#report = report
    this.#trouble = new Promise((_, reject) => {
      this.#fail = reject
    })
    // It may come while nobody waits; the next one who does is told.
    this.#trouble.catch(() => {})
  }

  /** @param mayEnd whether the process may end by itself, with this exit */
  start(options: ChildOptions, mayEnd: (exit: ChildExit) => boolean = () => false): Child {
    const child = new Child(options)
    this.#children.push(child)
    void child.exited.then((exit) => {
      if (this.#isEnding || mayEnd(exit)) return
      this.showTail(child)
      this.fail(
        new NarvalError(
          'ERR_CHILD_DIED',
          `${child.name} ended by itself with ${describeExit(exit)}; its last lines are above`,
        ),
      )
    })
    return child
  }

  /** Ends the run with this error, if it is the first. */
  fail(error: Error): void {
    this.#fail(error)
  }

  orTrouble<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#trouble])
  }

  showTail(child: Child): void {
    for (const line of child.tail) this.#report(`${child.name} | ${line}`)
  }

  /** From now on processes are expected to end. */
  expectEnd(): void {
    this.#isEnding = true
  }

  /** Kills whoever is left, at once. */
  kill(): void {
    this.expectEnd()
    for (const child of this.#children) child.kill('SIGKILL')
  }

  /** Resolves when no process is left. */
  async gone(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.exited))
  }
}
