/** The metrics of an application that the authority runs: `narval_application_…`, in a registry of their own. */
import { Histogram, Registry } from 'prom-client'
import { addLevel, addSum } from '../metrics/families.js'
import { LATENCY_BUCKETS_S } from '../metrics/metrics.js'
import type { ApplicationRunner } from './application-runner.js'
import { lagOf, roomOf } from './runner-health.js'

export class RunnerMetrics {
  readonly registry = new Registry()

  /** @param runner not read before the first scrape */
  constructor(runner: Pick<ApplicationRunner, 'counts' | 'isRunning' | 'onApplied' | 'state'>) {
    const { registry } = this
    const apply = new Histogram({
      name: 'narval_application_apply_seconds',
      help: 'Time that the application takes for a commit, with what it waits for.',
      buckets: LATENCY_BUCKETS_S,
      registers: [registry],
    })
    runner.onApplied = (seconds) => apply.observe(seconds)
    addLevel(registry, 'narval_application_running', 'Whether the application runs: 1, or 0 if it is stopped.', () =>
      Number(runner.isRunning),
    )
    addLevel(
      registry,
      'narval_application_applied_commit',
      'The index of the last commit that the application has applied.',
      () => runner.state.lastApplied ?? 0,
    )
    addLevel(registry, 'narval_application_lag_commits', 'Commits of the log that are not applied.', () =>
      lagOf(runner.state),
    )
    addLevel(
      registry,
      'narval_application_room_commits',
      'Commits until batches are deleted that are not applied: at 0 it may not go on. +Inf while that cannot be known.',
      () => roomOf(runner.state),
    )
    addSum(
      registry,
      'narval_application_commits_total',
      'Commits that were applied since the start.',
      () => runner.counts.commits,
    )
    addSum(
      registry,
      'narval_application_duplicates_total',
      'Repeats of transactions that the application was not shown.',
      () => runner.counts.duplicates,
    )
    addSum(
      registry,
      'narval_application_refused_total',
      'Transactions that the application refused when they were submitted.',
      () => runner.counts.refused,
    )
  }
}
