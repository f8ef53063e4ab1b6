/** What a worker does every so often, whatever comes. */
import type { Lifecycle } from '../lib/lifecycle.js'
import type { Supervisor } from '../lib/supervisor.js'
import { ACTIVITY_LOG_MS } from './activity-log.js'
import type { Wiring } from './wiring.js'

/** How often to look for what no message tells: silent peers, messages that were not urgent, a store that is not full any more. */
const TICK_MS = 250

/** @param options where the benchmark's lines are logged, each batch has its own, and there is no log of activity */
export async function openTicks(
  lifecycle: Lifecycle,
  options: { readonly hasActivityLog: boolean },
  wiring: Wiring,
  supervisor: Supervisor,
): Promise<void> {
  const open = (name: string, what: string, everyMs: number, act: () => void): Promise<unknown> =>
    lifecycle.open(
      name,
      () => setInterval(supervisor.guard(what, act), everyMs),
      (timer) => clearInterval(timer),
    )
  await open('ticks', 'a tick', TICK_MS, () => tick(wiring))
  if (!options.hasActivityLog) return
  await open('activity log', 'the activity log', ACTIVITY_LOG_MS, () => wiring.activity.tick())
}

/** Looks for what no message tells: silent peers, a primary that is away, a store that is full or is not any more. */
function tick({
  commits,
  dissemination,
  gate,
  healer,
  renewer,
  reports,
  retention,
  rings,
  stillnessLog,
}: Wiring): void {
  rings.ringLate()
  retention.look()
  stillnessLog.look(commits.look())
  healer.tick()
  renewer.tick()
  dissemination.tick()
  gate.recheck()
  reports.tick()
}
