/**
 * Runs the simulator of the primary: `npm run sim -- --seeds 1000 [--from 1] [--rule tusk]`. It prints the seeds that fail;
 * `--seeds 1 --from SEED` runs one of them again, the same message by message.
 */
import { Command } from 'commander'
import { integer } from '../src/main/cli/values.js'
import type { RuleName } from '../src/threads/primary/consensus/rule.js'
import { simulate } from '../test/support/simulator/simulation.js'

const whole = integer(0, Number.MAX_SAFE_INTEGER)

const options = new Command('sim')
  .option('--seeds <count>', 'how many runs', whole, 100)
  .option('--from <seed>', 'the first seed', whole, 1)
  .option('--rule <rule>', 'shoal, tusk or bullshark; without it the seed chooses')
  .parse()
  .opts<{ seeds: number; from: number; rule?: RuleName }>()

const total = { commits: 0, batches: 0, messages: 0, crashes: 0, rounds: 0, verified: 0, signed: 0, evidence: 0 }
const startedAt = performance.now()
let slowest = { seed: 0, healedMs: 0 }
let failures = 0
const LINE_EVERY_RUNS = 100
for (let seed = options.from; seed < options.from + options.seeds; seed += 1) {
  try {
    const result = simulate(seed, options.rule === undefined ? {} : { rule: options.rule })
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += result[key]
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
process.exitCode = failures === 0 ? 0 : 1
