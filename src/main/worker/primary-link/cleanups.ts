/**
 * Cleanup messages of our primary: the age that they tell goes to the store, which deletes what is beyond retention, and
 * to the Synchronizer, which gives up what it has looked for too long.
 *
 * In: rounds from the primary link. Out: stamps. What is not followed is counted and logged; never silently ignored.
 */
import type { PrimaryRefusal } from '../../../shared/refusals.js'
import type { Logger } from '../../lib/log.js'
import type { Supervisor } from '../../lib/supervisor.js'
import type { ProcessorClient } from '../../thread-host/processor-client.js'
import { CleanupClock } from './cleanup-clock.js'
import type { RetentionClock } from './retention-clock.js'

export interface CleanupsDependencies {
  readonly processor: Pick<ProcessorClient, 'ask'>
  readonly retention: Pick<RetentionClock, 'begin' | 'onRounds' | 'pace' | 'wasAway'>
  readonly nowMs: () => number
  readonly log: Pick<Logger, 'warn'>
  /** Watches a promise that nobody waits for. */
  readonly watch: Supervisor['watch']
}

export interface CleanupsHandlers {
  /** The primary has committed a round that follows those before. */
  readonly onCommitted: () => void
  /** Batches are stamped with this from now on. */
  readonly onStamp: (stamp: bigint) => void
  readonly onRefused: (reason: PrimaryRefusal, from: string, detail: string) => void
}

export class Cleanups {
  private readonly dependencies: CleanupsDependencies
  private readonly handlers: CleanupsHandlers
  private clock: CleanupClock | undefined

  constructor(dependencies: CleanupsDependencies, handlers: CleanupsHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
  }

  /** Goes on where the store's last run ended; to be awaited before the first `take`. */
  async open(): Promise<void> {
    const state = await this.dependencies.processor.ask({ type: 'cleanup-state' })
    this.clock = new CleanupClock(state, this.dependencies.nowMs())
    this.dependencies.retention.begin()
    this.handlers.onStamp(state.stamp)
  }

  take(round: bigint): void {
    const { log, nowMs, processor, retention, watch } = this.dependencies
    if (retention.wasAway) this.clock?.limit(retention.pace.roundsPerMs, retention.pace.retentionMs, nowMs())
    const step = this.clock?.take(round, nowMs())
    switch (step?.kind) {
      case 'not-followed':
        this.handlers.onRefused(
          step.reason,
          'our primary',
          `a Cleanup of round ${round} after one of round ${step.last}`,
        )
        return
      case 'begins-anew':
        log.warn(
          `The primary's rounds begin anew: ${round} after ${step.was}. What is stored is kept as long as if they went on`,
        )
        break
      case 'advanced':
        break
      default:
        return
    }
    const { stamp, primaryRound } = step.state
    retention.onRounds(Number(step.made))
    this.handlers.onCommitted()
    this.handlers.onStamp(stamp)
    watch('a Cleanup', processor.ask({ type: 'cleanup', round: stamp, primaryRound }))
  }
}
