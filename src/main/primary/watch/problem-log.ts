/**
 * Says in the log when a problem of the primary begins and when it is over: two lines for each kind, a few times in a row
 * and then once in a minute. What a peer does can make a problem come and go, and so never fill the log.
 */

import { TokenBucket } from '../../../shared/token-bucket.js'
import { capitalized } from '../../lib/capitalized.js'
import type { Logger } from '../../lib/log.js'
import { PROBLEM_LOG_BURST, PROBLEM_LOG_MS } from './limits.js'
import type { PrimaryProblem, PrimaryProblemKind } from './primary-health.js'

/** What is said of a problem that is over. Kinds that are not here are not said: others have said them already. */
const OVER: Partial<Record<PrimaryProblemKind, string>> = {
  stalled: 'Rounds have a quorum again',
  'signing-held': 'The committee has come to where we may sign',
  'history-gone': 'The others have what is needed to catch up',
  behind: 'Caught up with the others',
  'not-ordering': 'The order goes on',
  'slow-flush': 'The store is flushed again',
  'thread-still': "The primary's thread goes on",
}

export class ProblemLog {
  private readonly log: Pick<Logger, 'info' | 'warn'>
  private readonly saidMs = new Map<PrimaryProblemKind, number>()
  private readonly buckets = new Map<PrimaryProblemKind, TokenBucket>()
  /** Problems that were said and are not over. */
  private readonly open = new Set<PrimaryProblemKind>()

  constructor(log: Pick<Logger, 'info' | 'warn'>) {
    this.log = log
  }

  look(problems: readonly PrimaryProblem[], nowMs: number): void {
    for (const { kind, text } of problems) {
      if (OVER[kind] === undefined || this.open.has(kind)) continue
      if (!this.bucketOf(kind).tryTake(1, nowMs)) continue
      this.saidMs.set(kind, nowMs)
      this.open.add(kind)
      this.log.warn(capitalized(text))
    }
    for (const kind of this.open) {
      if (problems.some((problem) => problem.kind === kind)) continue
      this.open.delete(kind)
      this.log.info(`${OVER[kind]}, after ${Math.round((nowMs - this.saidMs.get(kind)!) / 1000)} s`)
    }
  }

  private bucketOf(kind: PrimaryProblemKind): TokenBucket {
    const bucket = this.buckets.get(kind) ?? new TokenBucket(1000 / PROBLEM_LOG_MS, PROBLEM_LOG_BURST)
    this.buckets.set(kind, bucket)
    return bucket
  }
}
