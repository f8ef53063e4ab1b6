/** The health of an authority: of its primary, of each of its workers and of the application that it runs. Pure. */
import { type Health, type HealthAnswer, healthFields } from '../metrics/health.js'
import { type PrimaryHealth, primaryHealthFields } from '../primary/watch/primary-health.js'
import type { ApplicationProblem } from '../runner/runner-health.js'
import type { LateBatch } from './ordered-batches.js'

export interface AuthorityHealth {
  /** The primary and all workers do what they are there for, and no reader of commits waits for what is lost, and an application goes on. */
  readonly ok: boolean
  readonly primary: PrimaryHealth
  /** By worker id. */
  readonly workers: ReadonlyMap<number, Health>
  /** For people: of which part, what is wrong and what to do. */
  readonly problems: readonly string[]
}

/**
 * @param late what readers of commits wait for, if it is for long
 * @param application what is wrong with it, if there is one and something is
 */
export function authorityHealth(
  primary: PrimaryHealth,
  workers: ReadonlyMap<number, Health>,
  late?: LateBatch,
  application?: ApplicationProblem,
): AuthorityHealth {
  const ofWorkers = [...workers].flatMap(([id, { problems }]) => problems.map((problem) => `worker ${id}: ${problem}`))
  const ofReaders = [application, late].flatMap((problem) => (problem === undefined ? [] : [problem.text]))
  const isHeldUp = late?.isLost === true || application?.isGrave === true
  return {
    ok: primary.ok && [...workers.values()].every(({ ok }) => ok) && !isHeldUp,
    primary,
    workers,
    problems: [...primary.problems.map((problem) => `primary: ${problem}`), ...ofWorkers, ...ofReaders],
  }
}

/** What `/readyz` answers: one line of JSON, keys in snake_case. */
export function answerOfAuthority({ ok, primary, problems, workers }: AuthorityHealth): HealthAnswer {
  const json = {
    ok,
    primary: primaryHealthFields(primary),
    workers: Object.fromEntries(Array.from(workers, ([id, health]) => [id, healthFields(health)])),
    problems,
  }
  return { ok, json: `${JSON.stringify(json)}\n` }
}
