/** What the page says around its flamegraphs: of what it is, the figures to read first, and how to read the rest. */
import type { Result } from '../../src/main/local/result.js'
import type { FlameOptions } from './options.js'
import type { Graph, Page } from './page.js'
import { commit, machine, version } from './project.js'
import { type Recording, SAMPLE_INTERVAL_US } from './recording.js'
import { cpuPerSample, type Report, scaled, type ThreadReport } from './report.js'
import { functionTable, ms, nsPerByte, percent, stageTable, threadTable } from './tables.js'

/** @param result what the committee measured of its whole run; undefined where it gave none */
export function describeRun(
  options: FlameOptions,
  recording: Recording,
  report: Report,
  result: Result | undefined,
): Page {
  const { nodes, rate, size, ackLevel, node, warmup, seconds } = options
  return {
    title: `narval ${version()}: node ${node} of ${nodes} at ${rate.toLocaleString('en-US')} tx/s`,
    facts: [
      ['commit', commit()],
      ['Node', process.version],
      ['machine', machine()],
      ['load', `${nodes} nodes, ${rate.toLocaleString('en-US')} tx/s of ${size} B in all, ACK level ${ackLevel}`],
      ['windows', `${warmup} s warm-up, ${seconds} s measured, ${seconds} s profiled`],
      ['date', new Date().toISOString().slice(0, 16).replace('T', ' ')],
    ],
    figures: figures(report, result),
    tables: [threadTable(report), stageTable(report), functionTable(report)],
    graphs: report.threads.filter(({ isNative }) => !isNative).map(toGraph),
    notes: notes(recording, report),
  }
}

function figures(report: Report, result: Result | undefined): Page['figures'] {
  const gc = report.stages.get('gc')
  const gcCpu = [...(gc?.values() ?? [])].reduce((a, b) => a + b, 0)
  const found = [
    { value: `${ms(report.cpu)} ms/s`, label: 'CPU of the node, all threads' },
    { value: `${nsPerByte(report.cpu, report) || '–'} ns`, label: 'of it for each own transaction byte certified' },
    {
      value: Math.round(report.transactionsPerS).toLocaleString('en-US'),
      label: 'own transactions certified a second',
    },
    { value: percent(gcCpu / report.cpu), label: 'of the CPU: collections on the threads themselves' },
  ]
  if (result === undefined) return found
  const { certified, lost_transactions: lost } = result
  return [
    ...found,
    {
      value: Math.round(certified.tps).toLocaleString('en-US'),
      label: 'certified a second, the committee’s whole run',
    },
    { value: lost.toLocaleString('en-US'), label: 'transactions not certified when the load was stopped' },
  ]
}

function toGraph(thread: ThreadReport): Graph {
  const { name, cpu, folded, silence } = thread
  if (folded === undefined) return { thread: name, summary: `no profile: ${silence}`, root: undefined }
  const samples = `${folded.counted} samples counted, of ${folded.awake} awake and ${folded.samples} in all`
  const late = folded.countsLate ? '; late ones among them, since there are few' : ''
  return {
    thread: name,
    summary: `${ms(cpu)} ms/s of CPU, ${samples}${late}`,
    root: folded.counted === 0 ? undefined : scaled(folded.root, cpuPerSample(thread)),
  }
}

function notes({ measured, profiled }: Recording, { cpu, cpuProfiled }: Report): string[] {
  const overhead = cpu === 0 ? '' : `${(((cpuProfiled - cpu) / cpu) * 100).toFixed(0)} %`
  return [
    `Times are the kernel’s CPU time of each thread in ${measured.seconds.toFixed(1)} s without the profiler; how they are ` +
      `shared out comes from the ${profiled.seconds.toFixed(1)} s with it, a sample each ${SAMPLE_INTERVAL_US / 1000} ms. ` +
      `The profiler made the node use ${ms(cpuProfiled)} ms/s instead of ${ms(cpu)} (${overhead} more), and is in no table.`,
    'Only samples that came in time are counted. One that waited for a core with its thread shows where the thread was taken ' +
      'off it, mostly in a system call that woke another, and not what uses the CPU. On busy cores what wakes others, `ring` of ' +
      'the doorbells above all, still has more here than it uses.',
    'Samples that found a thread asleep are left out. V8 takes libuv’s own work in its poll for sleep, reads of sockets among ' +
      'it; that CPU time, some hundredths of the main thread’s, is spread over what JavaScript did.',
    'A stage has the time of its functions and of what they called, as far as that is no other stage’s.',
    'ns/byte: CPU time of this node over the bytes of transactions in its own certified batches. The node carries the other ' +
      'authorities’ batches too; with even load it is what the whole committee spends for a byte.',
    'Loop utilisation is Node’s, of the measured window. The quorum-waiter has no event loop: its own figure, of one second.',
    'GC of its CPU: samples in collections on the thread itself. GC ms/s and full GCs are the node’s own counters, by the ' +
      'clock: waits for a core are in them. ' +
      'What V8’s helper threads do for collections stands with them, together with the compiler.',
    'The threads of libuv’s pool and of V8 have no names before Node 22: of those without JavaScript, the ones that write ' +
      'files are counted as libuv’s, where LMDB works, and the others as V8’s.',
    'Lines are those of the compiled files in dist/.',
  ]
}
