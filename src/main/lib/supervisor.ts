/**
 * Main's supervisor. The main thread is somebody else's process: what throws in a handler of ours there is the failure of
 * the worker, as the death of a thread is, and never an uncaught exception or an unhandled rejection of that process.
 *
 * Everything that the event loop calls passes it: rings, timers, sockets, the network, the link to the primary, requests
 * for metrics, promises that nobody waits for, and the logger that the user has handed in. A test reads the sources for
 * what does not (test/docs/supervised.test.ts).
 */
import { NarvalError } from '../../shared/errors.js'
import type { Logger } from './log.js'

export class Supervisor {
  private readonly onFailure: (error: NarvalError) => void

  /** @param onFailure ends the worker; the first call counts */
  constructor(onFailure: (error: NarvalError) => void) {
    this.onFailure = onFailure
  }

  /** The handler, which does not throw any more; `what` says in a few words what it does. */
  readonly guard =
    <A extends unknown[]>(what: string, handler: (...values: A) => void): ((...values: A) => void) =>
    (...values) => {
      try {
        handler(...values)
      } catch (error) {
        this.fail(what, error)
      }
    }

  /**
   * The same for what a library calls and would keep to itself if it threw: the worker fails, and the library is told
   * too.
   */
  readonly guardCall =
    <A extends unknown[], R>(what: string, call: (...values: A) => R): ((...values: A) => R) =>
    (...values) => {
      try {
        return call(...values)
      } catch (error) {
        this.fail(what, error)
        throw error
      }
    }

  /** All handlers of an object, by their names. */
  guardAll<T extends object>(what: string, handlers: T): T {
    const guarded = Object.entries(handlers).map(([name, handler]) => [
      name,
      this.guard(`${what}, ${name}`, handler as (...values: unknown[]) => void),
    ])
    return Object.fromEntries(guarded) as T
  }

  /** A promise that nobody waits for. That the worker was closed meanwhile is no failure. */
  readonly watch = (what: string, promise: Promise<unknown>): void => {
    promise.catch((error: unknown) => {
      if (!(error instanceof NarvalError && error.code === 'ERR_CLOSED')) this.fail(what, error)
    })
  }

  readonly fail = (what: string, error: unknown): void => {
    if (error instanceof NarvalError) {
      this.onFailure(error)
      return
    }
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.onFailure(new NarvalError('ERR_THREAD_DIED', `the main thread failed in ${what}: ${why}`, { cause: error }))
  }

  /** The user's logger: one that throws, or whose promise rejects, fails the worker. */
  guardLogger(log: Logger): Logger {
    const guarded = (level: keyof Logger): ((text: string) => void) =>
      this.guard(`log.${level}`, (text) => {
        const returned: unknown = log[level](text)
        if (returned instanceof Promise) this.watch(`log.${level}`, returned)
      })
    return {
      error: guarded('error'),
      warn: guarded('warn'),
      info: guarded('info'),
      debug: guarded('debug'),
      trace: guarded('trace'),
    }
  }
}

/** Where nobody supervises, in tests of single stages: what is thrown stays thrown. */
export const unsupervised = new Supervisor((error) => {
  throw error.cause ?? error
})
