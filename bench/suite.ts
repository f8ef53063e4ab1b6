/** `npm run bench`: what each stage of the data path costs by itself, on this machine. */
import 'core-js/actual/promise/with-resolvers.js'
import { accessSync, constants, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { integer } from '../src/main/cli/values.js'
import { EXIT_INTERRUPTED } from '../src/main/lib/signals.js'
import { Cleanup } from './lib/cleanup.js'
import { main } from './lib/command.js'
import { compare } from './lib/compare.js'
import { environment, environmentLines } from './lib/environment.js'
import { WARM_UP_SHARE } from './lib/measure.js'
import { type Report, ReportError, readReport, writeReport } from './lib/report.js'
import { ROW_TITLES, type Row, rowCells } from './lib/row.js'
import { BATCH_BYTES, type Stage } from './lib/stage.js'
import { drawTable } from './lib/table.js'
import { bincode } from './stages/bincode.js'
import { control } from './stages/control.js'
import { decode } from './stages/decode.js'
import { digest } from './stages/digest.js'
import { ingress } from './stages/ingress.js'
import { rings } from './stages/rings.js'
import { seal } from './stages/seal.js'
import { store } from './stages/store.js'
import { stream } from './stages/stream.js'
import { tally } from './stages/tally.js'

/** In the order of a batch's way. */
const STAGES: readonly Stage[] = [ingress, seal, rings, decode, digest, store, stream, tally, control, bincode]

const TIME_MS_DEFAULT = 800
const TIME_MS_MAX = 60_000
const TIME_MS_SMOKE = 20

interface Options {
  readonly only?: readonly Stage[]
  readonly time: number
  readonly smoke?: true
  readonly json?: string
  readonly compare?: string
  readonly list?: true
}

interface Settings {
  /** How long each case is measured, after its warm-up. */
  readonly time_ms: number
  readonly warm_up_ms: number
  readonly batch_bytes: number
  readonly stages: readonly string[]
}

const cleanup = new Cleanup()
process.on('exit', () => cleanup.all())

async function run(options: Options): Promise<void> {
  if (options.list) {
    print(
      drawTable(
        ['stage', 'what it measures'],
        STAGES.map(({ name, about }) => [name, about]),
      ),
    )
    return
  }
  // Before a minute of measuring, not after it.
  const earlier = options.compare === undefined ? undefined : readReport(options.compare)
  if (options.json !== undefined) checkWritable(options.json)
  const stages = options.only ?? STAGES
  const timeMs = options.smoke ? TIME_MS_SMOKE : options.time
  const settings: Settings = {
    time_ms: timeMs,
    warm_up_ms: timeMs * WARM_UP_SHARE,
    batch_bytes: BATCH_BYTES,
    stages: stages.map(({ name }) => name),
  }
  const made = environment()
  print(environmentLines(made))
  print([
    `settings ${settings.time_ms} ms for each case after ${settings.warm_up_ms} ms to warm up, batches of ${BATCH_BYTES} B`,
    '',
  ])
  const rows: Row[] = []
  for (const stage of stages) {
    process.stderr.write(`measuring ${stage.name} …\n`)
    rows.push(...(await stage.run({ timeMs, cleanup })))
  }
  const report: Report<Settings> = { environment: made, settings, rows }
  show(report, earlier)
  if (options.json !== undefined) writeReport(options.json, report)
}

function show(now: Report<Settings>, earlier: Report<unknown> | undefined): void {
  if (earlier === undefined) {
    print(drawTable(ROW_TITLES, now.rows.map(rowCells)))
    return
  }
  const { cells, notes } = compare(now, earlier, now.settings.stages)
  const rows = now.rows.map((row, index) => [...rowCells(row), cells[index]!])
  print(drawTable([...ROW_TITLES, 'now/earlier'], rows))
  print([
    '',
    `now/earlier: of the time per op, else of the latency's p50, else of ns/B; below 1 is faster.`,
    `earlier: commit ${earlier.environment.commit}, ${earlier.environment.date}`,
    ...notes,
  ])
}

function stagesOf(text: string): Stage[] {
  return text.split(',').map((name) => {
    const found = STAGES.find((stage) => stage.name === name)
    if (found !== undefined) return found
    throw new InvalidArgumentError(
      `There is no stage ${name}; there are ${STAGES.map((stage) => stage.name).join(', ')}.`,
    )
  })
}

function checkWritable(file: string): void {
  const directory = dirname(resolve(file))
  try {
    accessSync(directory, constants.W_OK)
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) throw new ReportError('it is a directory')
  } catch (error) {
    throw new ReportError(`cannot write ${file}: ${(error as Error).message}`)
  }
}

function print(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
}

await main('bench', (program, stop) => {
  // Nothing here is worth waiting for.
  stop.addEventListener('abort', () => process.exit(EXIT_INTERRUPTED))
  program
    .description('Measures each stage of the data path by itself, with the code that a worker runs.')
    .option('--only <stages>', 'these stages, by name, with commas between them', stagesOf)
    .option('--time <ms>', 'how long each case is measured', integer(1, TIME_MS_MAX), TIME_MS_DEFAULT)
    .option('--smoke', `the same as --time ${TIME_MS_SMOKE}: whether it runs, not what it measures`)
    .option('--json <file>', 'write the results to this file too')
    .option('--compare <file>', "show this run's times in times of the run that --json wrote here")
    .option('--list', 'list the stages and do nothing')
    .action(run)
})
