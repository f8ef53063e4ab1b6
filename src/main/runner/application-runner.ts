/**
 * Runs the application: hands it the commits of the log behind the last one that its state has, one at a time and in order.
 *
 * ```
 *  app.lastApplied() ──▶ commits({ after }) ──▶ apply, awaited ──▶ lastApplied: receipts, metrics, health ──▶ the next
 *                              ▲                   │
 *           the log: nobody waits for us           └─▶ throws: the run is over, and health says so
 * ```
 *
 * The order waits for nobody: an application that is slow falls behind in the log, takes no memory by it, and is told by
 * health before retention has deleted what it has not applied. What it has applied is what it says at the next start.
 */
import { NarvalError } from '../../shared/errors.js'
import type { LastApplied } from '../../shared/memory/last-applied.js'
import { sha256 } from '../../shared/wire/primary/sha256.js'
import type { CommitsOptions, OrderedCommit } from '../authority/commits.js'
import { sleep } from '../lib/sleep.js'
import {
  applicationArgument,
  type CheckedApplication,
  type CheckedRunOptions,
  indexReturned,
  refusalOf,
  runArgument,
} from './application.js'
import { AppliedCommit } from './applied-commit.js'
import { APPLY_CLOSE_MS, REASON_CHARS_MAX } from './limits.js'
import { RecentTransactions } from './recent-transactions.js'
import { type ApplicationProblem, type ApplicationState, applicationProblem } from './runner-health.js'

export interface ApplicationRunnerDependencies {
  /** The order, as `Authority.commits` gives it. */
  readonly commits: (options: CommitsOptions) => AsyncGenerator<OrderedCommit, void, undefined>
  readonly lastApplied: LastApplied
  /** The index of the last commit of the log. */
  readonly lastCommit: () => number
  /** The first commit of which batches are kept. */
  readonly firstKept: () => number
  /** Commits of which batches are kept at most; Infinity if only bytes are limited. */
  readonly commitsKept: number
  readonly log: { error(text: string): void; info(text: string): void }
}

/** What has happened since the start. */
export interface ApplicationCounts {
  commits: number
  duplicates: number
  refused: number
}

/** A run of an application. */
interface Run {
  readonly app: CheckedApplication
  readonly options: CheckedRunOptions
  /** What is being applied. */
  applying: { readonly commit: AppliedCommit; readonly sinceMs: number } | undefined
  /** Never rejects. */
  ended: Promise<void>
}

export class ApplicationRunner {
  readonly counts: ApplicationCounts = { commits: 0, duplicates: 0, refused: 0 }
  /** Told how long each commit took to apply. */
  onApplied: (seconds: number) => void = () => {}
  private readonly dependencies: ApplicationRunnerDependencies
  private readonly closing = new AbortController()
  private current: Run | undefined
  private failure: string | undefined

  constructor(dependencies: ApplicationRunnerDependencies) {
    this.dependencies = dependencies
  }

  /** Whether an application runs, or has run. */
  get isKnown(): boolean {
    return this.dependencies.lastApplied.index !== undefined || this.current !== undefined || this.failure !== undefined
  }

  get isRunning(): boolean {
    return this.current !== undefined
  }

  /** For health and metrics. */
  get state(): ApplicationState {
    const { commitsKept, firstKept, lastApplied, lastCommit } = this.dependencies
    const applying = this.current?.applying
    return {
      isRunning: this.isRunning,
      failure: this.failure,
      lastApplied: lastApplied.index,
      lastCommit: lastCommit(),
      firstKept: firstKept(),
      commitsKept,
      applyingMs: applying === undefined ? 0 : performance.now() - applying.sinceMs,
      isWaitingForBytes: applying?.commit.isWaiting === true,
    }
  }

  get problem(): ApplicationProblem | undefined {
    return this.isKnown ? applicationProblem(this.state) : undefined
  }

  /**
   * Runs it until the end: resolves when the authority is closed.
   *
   * @throws TypeError, RangeError at once, of what is wrong in the arguments; rejects as `Authority.run` says
   */
  async run(app: unknown, options: unknown): Promise<void> {
    const checked = { app: applicationArgument(app), options: runArgument(options) }
    if (this.closing.signal.aborted) throw this.closing.signal.reason
    if (this.current !== undefined) throw new NarvalError('ERR_BUSY', 'an application runs already')
    const run: Run = { ...checked, applying: undefined, ended: Promise.resolve() }
    this.current = run
    this.failure = undefined
    const running = this.follow(run)
    run.ended = running.catch(() => {})
    try {
      await running
      if (!this.closing.signal.aborted) run.options.signal?.throwIfAborted()
    } catch (error) {
      if (this.isEnd(error, run)) {
        run.options.signal?.throwIfAborted()
        return
      }
      throw this.fail(error)
    } finally {
      this.current = undefined
    }
  }

  /** Asks the application whether a transaction is worth ordering. @throws NarvalError ERR_TRANSACTION_REFUSED */
  admit(transaction: unknown): void {
    const check = this.current?.app.check
    if (check === undefined) return
    const reason = refusalOf(check, transaction)
    if (reason === undefined) return
    this.counts.refused += 1
    throw new NarvalError('ERR_TRANSACTION_REFUSED', `the application refuses it: ${reason.slice(0, REASON_CHARS_MAX)}`)
  }

  /** Ends the run; waits a moment for what is being applied, unless that reads what is dead. */
  async close(isInOrder: boolean): Promise<void> {
    this.closing.abort(new NarvalError('ERR_CLOSED', 'the authority is closed'))
    if (!isInOrder) return
    const ended = new AbortController()
    await Promise.race([this.current?.ended.then(() => ended.abort()), sleep(APPLY_CLOSE_MS, ended.signal)])
    ended.abort()
  }

  private async follow(run: Run): Promise<void> {
    const { log } = this.dependencies
    const { signal } = run.options
    const ending = signal === undefined ? this.closing.signal : AbortSignal.any([this.closing.signal, signal])
    const after = indexReturned(await run.app.lastApplied())
    this.dependencies.lastApplied.index = after
    log.info(`The application goes on behind commit ${after}`)
    const recent = await this.recentBefore(after, run, ending)
    const dependencies = {
      recent,
      onDropped: (count: number) => {
        this.counts.duplicates += count
      },
    }
    for await (const ordered of this.dependencies.commits({ after, empty: true, signal: ending })) {
      const commit = new AppliedCommit(ordered, dependencies)
      const sinceMs = performance.now()
      run.applying = { commit, sinceMs }
      await run.app.apply(commit)
      await commit.finish()
      run.applying = undefined
      this.dependencies.lastApplied.index = commit.index
      this.counts.commits += 1
      this.onApplied((performance.now() - sinceMs) / 1000)
      if (ending.aborted) return
    }
  }

  /** The transactions before the first commit that is to be applied, from the log. */
  private async recentBefore(after: number, run: Run, signal: AbortSignal): Promise<RecentTransactions | undefined> {
    const { dropDuplicates } = run.options
    if (dropDuplicates === undefined) return undefined
    const recent = new RecentTransactions(dropDuplicates)
    const first = Math.max(0, after - dropDuplicates.commits)
    if (first === after) return recent
    for await (const commit of this.dependencies.commits({ after: first, empty: true, signal })) {
      // The log may end before it: then the application is ahead, and waits as for any commit.
      if (commit.index > after) break
      for await (const batch of commit.batches()) {
        for (const transaction of batch.transactions()) recent.take(sha256(transaction), commit.index)
      }
      if (commit.index === after) break
    }
    return recent
  }

  /** Whether it ended because it was to end, in the midst of what it waited for. */
  private isEnd(error: unknown, { options: { signal } }: Run): boolean {
    if (signal?.aborted === true && error === signal.reason) return true
    const isClosed = error instanceof NarvalError && error.code === 'ERR_CLOSED'
    return this.closing.signal.aborted && isClosed
  }

  private fail(error: unknown): Error {
    const { lastApplied, log } = this.dependencies
    const commit = this.current?.applying?.commit.index
    const why = error instanceof Error ? error.message : String(error)
    const failed =
      commit === undefined || (error instanceof NarvalError && error.code === 'ERR_COMMITS_PRUNED')
        ? (error as Error)
        : new NarvalError('ERR_APPLICATION_FAILED', `the application failed in commit ${commit}: ${why}`, {
            cause: error,
          })
    this.failure = failed instanceof Error ? failed.message : why
    log.error(`${this.failure}. It is stopped behind commit ${lastApplied.index ?? 0}; the order goes on`)
    return failed
  }
}
