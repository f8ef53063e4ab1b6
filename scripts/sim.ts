/**
 * Runs the simulator of the primary: `npm run sim -- --seeds 1000 [--from 1] [--rule tusk]`. It prints the seeds that fail;
 * `--seeds 1 --from SEED` runs one of them again, the same message by message. Then it prints how often each kind of fault
 * happened; of 200 runs or more it fails when one never did. `--scenario far` runs committees without
 * faults whose name has that in it, and prints how long batches took, authority by authority; `--scenario ''` all of them.
 */
import { Command } from 'commander'
import { integer } from '../src/main/cli/values.js'
import type { RuleName } from '../src/threads/primary/consensus/rule.js'
import {
  COVERING_RUNS_MIN,
  DIMENSIONS,
  type Happened,
  neverHappened,
  sumOf,
} from '../test/support/simulator/coverage.js'
import { SCENARIOS } from '../test/support/simulator/scenarios.js'
import { type SimulationResult, simulate } from '../test/support/simulator/simulation.js'

const whole = integer(0, Number.MAX_SAFE_INTEGER)

const options = new Command('sim')
  .option('--seeds <count>', 'how many runs', whole, 100)
  .option('--from <seed>', 'the first seed', whole, 1)
  .option('--rule <rule>', 'shoal, tusk or bullshark; without it the seed chooses')
  .option('--scenario <name>', 'committees of scenarios.ts in the place of what the seed chooses')
  .parse()
  .opts<{ seeds: number; from: number; rule?: RuleName; scenario?: string }>()

function printScenarios(name: string): void {
  for (const [title, schedule] of Object.entries(SCENARIOS).filter(([title]) => title.includes(name))) {
    for (let seed = options.from; seed < options.from + options.seeds; seed += 1) {
      try {
        printResult(`${title}, seed ${seed}`, simulate(seed, schedule), schedule.chaosMs!)
      } catch (error) {
        process.exitCode = 1
        console.log(error instanceof Error ? (error.stack ?? error.message) : error)
      }
    }
  }
}

function printResult(title: string, { authorities, back, rounds }: SimulationResult, ms: number): void {
  console.log(`${title}: a round in ${(ms / rounds).toFixed(1)} ms`)
  for (const { afterMs, authority, headers, rounds: missed } of back) {
    console.log(
      `  authority ${authority}: ${missed} rounds behind, back after ${afterMs} ms, ${headers} headers meanwhile`,
    )
  }
  for (const [index, { certified, ordered, p50Ms, p95Ms, p50Rounds }] of authorities.entries()) {
    console.log(
      `  authority ${index}: ${ordered} of ${certified} batches ordered, p50 ${p50Ms} ms, ${p50Rounds} rounds, p95 ${p95Ms} ms`,
    )
  }
}

/** How often there was each fault, and then what came of them. */
function printHappened(happened: Happened): void {
  const others = Object.keys(happened).filter((what) => !DIMENSIONS.includes(what))
  for (const what of [...DIMENSIONS, ...others.sort()])
    console.log(`  ${String(happened[what] ?? 0).padStart(9)}  ${what}`)
}

if (options.scenario !== undefined) {
  printScenarios(options.scenario)
  process.exit()
}

const total = { commits: 0, batches: 0, messages: 0, crashes: 0, rounds: 0, verified: 0, signed: 0, evidence: 0 }
const startedAt = performance.now()
let slowest = { seed: 0, healedMs: 0 }
let failures = 0
let happened: Happened = {}
const LINE_EVERY_RUNS = 100
for (let seed = options.from; seed < options.from + options.seeds; seed += 1) {
  try {
    const result = simulate(seed, options.rule === undefined ? {} : { rule: options.rule })
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += result[key]
    happened = sumOf([happened, result.happened])
    if (result.healedMs > slowest.healedMs) slowest = { seed, healedMs: Math.round(result.healedMs) }
  } catch (error) {
    failures += 1
    console.log(error instanceof Error ? (error.stack ?? error.message) : error)
  }
  const runs = seed - options.from + 1
  if (runs % LINE_EVERY_RUNS === 0 && runs < options.seeds) console.log(`${runs} runs, ${failures} failed`)
}
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
console.log(`${options.seeds} runs from seed ${options.from} in ${seconds} s, ${failures} failed`)
console.log(`slowest to heal: seed ${slowest.seed}, ${slowest.healedMs} ms of the virtual clock`)
console.log(
  Object.entries(total)
    .map(([key, value]) => `${key} ${Math.round(value)}`)
    .join(', '),
)
const missing = neverHappened(happened)
const isCovering = options.seeds >= COVERING_RUNS_MIN && options.rule === undefined
printHappened(happened)
if (isCovering && missing.length > 0) console.log(`never happened: ${missing.join(', ')}`)
process.exitCode = failures === 0 && (!isCovering || missing.length === 0) ? 0 : 1
