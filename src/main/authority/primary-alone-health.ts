/** The health of a primary whose workers are other processes: its own, and whether they are connected. Pure. */
import { type LinkState, linkFields } from '../link/link-state.js'
import type { HealthAnswer } from '../metrics/health.js'
import { type PrimaryHealth, primaryHealthFields } from '../primary/watch/primary-health.js'
import type { LateBatch } from './ordered-batches.js'

export interface PrimaryAloneHealth {
  /** The primary does what it is there for, and all of its workers are connected. */
  readonly ok: boolean
  readonly primary: PrimaryHealth
  /** By worker id: the link to it. */
  readonly workers: ReadonlyMap<number, LinkState>
  /** For people: what is wrong and what to do. */
  readonly problems: readonly string[]
}

/** @param late what readers of commits wait for, if it is for long: no worker that is connected has it */
export function primaryAloneHealth(
  primary: PrimaryHealth,
  workers: ReadonlyMap<number, LinkState>,
  late?: LateBatch,
): PrimaryAloneHealth {
  const away = [...workers].filter(([, { isConnected }]) => !isConnected).map(([id]) => id)
  return {
    ok: primary.ok && away.length === 0 && late?.isLost !== true,
    primary,
    workers,
    problems: [
      ...primary.problems.map((problem) => `primary: ${problem}`),
      ...away.map(
        (id) =>
          `worker ${id} is not connected: no batch with this id is voted for that is not known yet; check that it runs with \`--primary narval\`, and worker_to_primary in both committee files`,
      ),
      // Whoever is away may have it.
      ...(late !== undefined && away.length === 0 ? [late.text] : []),
    ],
  }
}

/** What `/readyz` answers: one line of JSON, keys in snake_case. */
export function answerOfPrimary({ ok, primary, problems, workers }: PrimaryAloneHealth): HealthAnswer {
  const json = {
    ok,
    primary: primaryHealthFields(primary),
    workers: Object.fromEntries(Array.from(workers, ([id, state]) => [id, linkFields(state)])),
    problems,
  }
  return { ok, json: `${JSON.stringify(json)}\n` }
}
