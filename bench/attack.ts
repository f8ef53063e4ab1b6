/**
 * Attacks on a committee of four real worker processes under a modest load: what an attacker, in a process of its own and
 * at a stated rate, does to certification. All share one machine, so each attack is compared with a spinner that spends
 * as much CPU and does nothing else.
 */
import { InvalidArgumentError, Option } from 'commander'
import { integer } from '../src/main/cli/values.js'
import { type MeasurementOptions, measure, type ScenarioResult } from './attack/measurement.js'
import { SCENARIOS, type Scenario } from './attack/scenarios.js'
import { Cleanup } from './lib/cleanup.js'
import { main } from './lib/command.js'
import { environment, environmentLines } from './lib/environment.js'
import { drawTable } from './lib/table.js'

interface Flags {
  readonly only: readonly Scenario[]
  readonly rate: number
  readonly size: number
  readonly seconds: number
  readonly rounds: number
  readonly json: boolean
}

function scenarios(text: string): readonly Scenario[] {
  const letters = text.split(',').map((it) => it.trim())
  const unknown = letters.find((letter) => !SCENARIOS.some((it) => it.letter === letter))
  if (unknown === undefined) return SCENARIOS.filter((it) => letters.includes(it.letter))
  const known = SCENARIOS.map(({ letter, attack }) => `${letter} (${attack})`).join(', ')
  throw new InvalidArgumentError(`No attack ${unknown}. There are ${known}.`)
}

function tableOf({ letter, phases }: ScenarioResult): string[] {
  const cell = (value: number | null | undefined): string =>
    value === null || value === undefined ? '-' : String(value)
  return drawTable(
    [
      ...['attack', 'phase', 'victim p50 ms', 'p99', 'others p50 ms', 'p99', 'tx/s', 'CPU %'],
      ...['done /s', 'ended', 'refused', 'RSS MB', 'honest closed', 'back ms'],
    ],
    phases.map((it) => [
      letter,
      it.phase,
      cell(it.victim_p50_ms),
      cell(it.victim_p99_ms),
      cell(it.others_p50_ms),
      cell(it.others_p99_ms),
      cell(it.certified_tps),
      String(Math.round(it.cpu_share * 100)),
      cell(it.done_per_s),
      cell(it.ended),
      cell(it.refused),
      cell(it.victim_rss_mb),
      cell(it.honest_closed),
      cell(it.back_ms),
    ]),
  )
}

await main('attack', (program, stop) => {
  program
    .description('measure what attackers do to the certification of a committee of four')
    .addOption(
      new Option('--only <letters>', 'these attacks, a to l, with commas between them')
        .argParser(scenarios)
        .default(SCENARIOS, 'all of them'),
    )
    .option('--rate <n>', 'transactions a second of all clients', integer(4, 1_000_000), 2_000)
    .option('--size <n>', 'bytes of a transaction', integer(9, 400_000), 512)
    .option('--seconds <s>', 'seconds of a phase', integer(1, 600), 5)
    .option('--rounds <n>', 'times that each phase comes: quiet, attack, spinner, and again', integer(1, 100), 2)
    .option('--json', 'print one line of JSON and no table', false)
    .action(async ({ json, only, rate, rounds, seconds, size }: Flags) => {
      const options: MeasurementOptions = { rate, transactionBytes: size, seconds, rounds }
      const cleanup = new Cleanup()
      process.once('exit', () => cleanup.all())
      const results: ScenarioResult[] = []
      const about = environment()
      if (!json) process.stdout.write(`${environmentLines(about).join('\n')}\n\n`)
      for (const scenario of only) {
        stop.throwIfAborted()
        process.stderr.write(`${scenario.letter}: ${scenario.what}, ${scenario.rate} ${scenario.unit} a second\n`)
        const result = await Promise.race([measure(scenario, options, cleanup), aborted(stop)])
        results.push(result)
        if (!json) process.stdout.write(`${tableOf(result).join('\n')}\n\n`)
      }
      process.stdout.write(`${JSON.stringify({ environment: about, ...options, results })}\n`)
    })
})

/** Rejects when it is to end: the worker processes end with this one. */
function aborted(stop: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    stop.addEventListener('abort', () => reject(stop.reason as Error), { once: true })
  })
}
