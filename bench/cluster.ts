/**
 * The product as a user runs it, over rates, transaction sizes, committee sizes and ACK levels: where it saturates, what
 * latency it has on the way there, and what a byte costs beside the floors (bench/floor.ts), all in one run.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { integer } from '../src/main/cli/values.js'
import { baseOf, type Choices, configurationsOf, nameOf } from './cluster/configuration.js'
import { type Measurement, type MeasureOptions, measure } from './cluster/measurement.js'
import { drawPlot } from './cluster/plot.js'
import { floorLine, NOTES, pointLine, summaryLines, tableHeader, toJson } from './cluster/report.js'
import { panelsOf } from './cluster/series.js'
import type { AckLevel } from './floor/options.js'
import { main } from './lib/command.js'
import { environment, environmentLines } from './lib/environment.js'

interface Flags extends Choices {
  readonly duration: number
  readonly rates?: readonly number[]
  readonly json: string
  readonly svg: string
  readonly smoke: boolean
}

/** The search stops when the rates around the saturation differ by this factor: closer for the configuration in figures. */
const RESOLUTION_BASE = 1.25
const RESOLUTION = 1.45
const SMOKE = { nodes: [4], sizes: [512], levels: ['stored'], rates: [2_000], duration: 2 } as const

async function run(flags: Flags, stop: AbortSignal): Promise<void> {
  const started = performance.now()
  const made = environment()
  const measurements: Measurement[] = []
  const say = (line: string): boolean => process.stdout.write(`${line}\n`)
  for (const line of environmentLines(made)) say(line)
  try {
    for (const configuration of configurationsOf(flags)) {
      const measurement: Measurement = { configuration, points: [] }
      measurements.push(measurement)
      say(`\n${nameOf(configuration)}\n${tableHeader()}`)
      const progress = {
        onPoint: (point: Parameters<typeof pointLine>[0]) => say(pointLine(point)),
        onFloor: (floor: Parameters<typeof floorLine>[0]) => say(floorLine(floor)),
      }
      await measure(measurement, optionsOf(flags, measurement), progress, stop)
    }
  } finally {
    // What was measured before a failure or a Ctrl-C is worth keeping.
    const measured = measurements.filter(({ points }) => points.length > 0)
    const elapsedS = (performance.now() - started) / 1000
    if (measured.length > 0) {
      write(flags.json, `${JSON.stringify(toJson(made, flags.duration, measured, elapsedS), undefined, 2)}\n`)
      write(flags.svg, drawPlot(panelsOf(flags, measured), made, flags.duration))
      for (const line of ['', ...summaryLines(measured), '', ...NOTES, '']) say(line)
      say(`${flags.json} and ${flags.svg} after ${elapsedS.toFixed(0)} s`)
    }
  }
}

function optionsOf(flags: Flags, { configuration }: Measurement): MeasureOptions {
  const base = baseOf(flags)
  const isBase = configuration.nodes === base.nodes && configuration.transactionBytes === base.transactionBytes
  return {
    rates: flags.rates,
    durationS: flags.duration,
    resolution: isBase ? RESOLUTION_BASE : RESOLUTION,
    withFlatOut: isBase && !flags.smoke,
  }
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

/** A parser of lists: `4,7,10`. Each entry once. */
function list<Item>(parse: (text: string) => Item): (text: string) => Item[] {
  return (text) => [...new Set(text.split(',').map(parse))]
}

function level(text: string): AckLevel {
  if (text === 'stored' || text === 'durable') return text
  throw new InvalidArgumentError('Expected stored or durable.')
}

await main('bench:cluster', (program, stop) => {
  program
    .description('measure committees on this machine, beside what any worker would cost')
    .option(
      '--nodes <list>',
      'committee sizes; the others are measured at 4 if it is among them',
      list(integer(1, 64)),
      [4, 7, 10],
    )
    .option('--sizes <list>', 'bytes of a transaction; the others at 512', list(integer(9, 400_000)), [512, 64, 4096])
    .option('--levels <list>', 'ACK levels', list(level), ['stored', 'durable'])
    .option('--rates <list>', 'transactions a second, in this order (default: a search)', list(integer(1, 100_000_000)))
    .option('--duration <s>', 'seconds of load in each run', integer(1, 3600), 10)
    .option('--json <file>', 'where the figures go', '.bench/cluster.json')
    .option('--svg <file>', 'where the plot goes', '.bench/cluster.svg')
    .option('--smoke', 'one short run, to see that everything works', false)
    .action((flags: Flags) => run(flags.smoke ? { ...flags, ...SMOKE } : flags, stop))
})
