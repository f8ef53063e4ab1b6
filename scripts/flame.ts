/**
 * `npm run flame`: profiles one node of a committee under load, every thread of it, and writes a page of flamegraphs.
 *
 * Exit codes: 0, 1 after an error (one line on stderr), 2 after a usage error, 130 after Ctrl-C.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { CommanderError } from 'commander'
import { Committee, NODE_FILE, openInspector } from '../bench/flame/committee.js'
import { describeRun } from '../bench/flame/describe-run.js'
import { FlameError } from '../bench/flame/flame-error.js'
import { Inspector } from '../bench/flame/inspector.js'
import { type FlameOptions, parseOptions } from '../bench/flame/options.js'
import { readOsThreads } from '../bench/flame/os-threads.js'
import { renderPage } from '../bench/flame/page.js'
import { type Recording, record } from '../bench/flame/recording.js'
import { toReport } from '../bench/flame/report.js'
import { drawTable } from '../bench/flame/tables.js'
import { EXIT_FAILURE, EXIT_USAGE } from '../src/main/cli/exit-codes.js'
import { EXIT_INTERRUPTED, watchSignals } from '../src/main/lib/signals.js'
import { aborted, sleep } from '../src/main/lib/sleep.js'
import type { Result } from '../src/main/local/result.js'

class Interrupted extends Error {}

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args)
    check(options)
    await flame(options)
    return 0
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED
    // Commander has printed what it has to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
    process.stderr.write(`flame: ${describe(error)}\n`)
    return EXIT_FAILURE
  }
}

/** One line for what comes from outside; a bug of ours shows where it is. */
function describe(error: unknown): string {
  if (error instanceof FlameError) return error.message
  if (error instanceof Error && 'syscall' in error) return error.message
  return error instanceof Error ? String(error.stack) : String(error)
}

function check({ out }: FlameOptions): void {
  if (!existsSync('/proc/self/task')) {
    throw new FlameError('it needs the /proc of Linux, to find the node and the CPU time of its threads')
  }
  if (!existsSync(dirname(resolve(out)))) throw new FlameError(`--out ${out}: there is no such directory`)
  if (!existsSync(NODE_FILE)) throw new FlameError(`there is no ${NODE_FILE}: npm run build makes it`)
}

async function flame(options: FlameOptions): Promise<void> {
  const committee = new Committee(options)
  // However this process ends, short of kill -9, the committee is asked to; after kill -9 its load ends by itself.
  const end = (): void => committee.interrupt()
  process.on('exit', end)
  const interrupt = watchSignals(end)
  const interrupted = aborted(interrupt.signal).then((): never => {
    throw new Interrupted()
  })
  try {
    const recording = await Promise.race([profile(options, committee), committee.trouble, interrupted])
    say('Stopping the committee.')
    const result = await Promise.race([committee.stop(), interrupted])
    write(options, recording, result)
  } finally {
    await committee.stop()
    process.off('exit', end)
    interrupt.dispose()
  }
}

async function profile(options: FlameOptions, committee: Committee): Promise<Recording> {
  const { nodes, rate, size, ackLevel, warmup, seconds } = options
  say(`A committee of ${nodes}, ${rate} tx/s of ${size} B, ACK level ${ackLevel}: booting.`)
  const node = await committee.loadedNode(options.node)
  say(`Node ${options.node} is process ${node.pid} and under load; warming up for ${warmup} s.`)
  await sleep(warmup * 1000)
  const tidsBefore = new Set(readOsThreads(node.pid).map(({ tid }) => tid))
  const inspector = await Inspector.connect(await openInspector(node))
  try {
    say(`Measuring for ${seconds} s, then profiling ${inspector.sessions.length} threads for ${seconds} s.`)
    return await record(node, inspector, tidsBefore, seconds)
  } finally {
    inspector.close()
  }
}

function write(options: FlameOptions, recording: Recording, result: Result | undefined): void {
  const report = toReport(recording)
  if (report.bytesPerS === 0) say('The node certified nothing while it was measured: there is no time per byte.')
  const page = describeRun(options, recording, report, result)
  const path = resolve(options.out)
  writeFileSync(path, renderPage(page))
  const facts = page.facts.map(([name, value]) => `${name}: ${value}`)
  const figures = page.figures.map(({ value, label }) => `${value}: ${label}`)
  const sections = [page.title, facts.join('\n'), figures.join('\n'), ...page.tables.map(drawTable)]
  process.stdout.write(`${sections.join('\n\n')}\n\n${path}\n`)
}

/** Standard output is the tables' alone. */
function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

const code = await main(process.argv.slice(2))
// What was going on when Ctrl-C came is of no use any more; what was written has to be out first.
process.stdout.write('', () => process.exit(code))
