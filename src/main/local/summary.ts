/**
 * The SUMMARY block: line by line that of the reference (benchmark/logs.py), results included, by its definitions; and
 * behind it what only we measure.
 */
import type { Parameters } from '../../shared/config/parameters.js'
import { quorumOf } from '../../shared/config/quorum.js'
import { type Agreement, describeDifference } from './agreement.js'
import type { AuthorityResult, ReferenceFigures, ReferenceFlow } from './authority-result.js'
import { canCertify, type LocalOptions } from './options.js'
import type { Flow } from './result.js'
import { formatBytes } from './view.js'

const RULE = '-----------------------------------------'

export interface Summarised {
  readonly options: LocalOptions
  readonly parameters: Parameters
  readonly result: AuthorityResult
  readonly reference: ReferenceFigures
  readonly agreement: Pick<Agreement, 'difference'>
}

export function summary(of: Summarised): string {
  const { options, parameters, reference } = of
  return [
    '',
    RULE,
    ' SUMMARY:',
    RULE,
    ' + CONFIG:',
    ` Faults: ${options.faults} node(s)`,
    ` Committee size: ${options.nodes} node(s)`,
    ` Worker(s) per node: ${options.workers} worker(s)`,
    ` Collocate primary and workers: ${options.split ? 'False' : 'True'}`,
    ` Input rate: ${number(options.rate)} tx/s`,
    ...(options.warmupS > 0 ? [` Warm-up, not measured: ${number(options.warmupS)} s`] : []),
    ` Transaction size: ${number(options.transactionBytes)} B`,
    ` Execution time: ${number(reference.durationS)} s`,
    '',
    ` Header size: ${number(parameters.headerBytes)} B`,
    ` Max header delay: ${number(parameters.maxHeaderDelayMs)} ms`,
    ` GC depth: ${number(parameters.gcDepthRounds)} round(s)`,
    ` Sync retry delay: ${number(parameters.syncRetryDelayMs)} ms`,
    ` Sync retry nodes: ${number(parameters.syncRetryNodes)} node(s)`,
    ` batch size: ${number(parameters.batchBytesMax)} B`,
    ` Max batch delay: ${number(parameters.maxBatchDelayMs)} ms`,
    '',
    ' + RESULTS:',
    ...referenceLines('Consensus', reference.consensus),
    '',
    ...referenceLines('End-to-end', reference.endToEnd),
    '',
    ...ownLines(of),
    RULE,
    '',
  ].join('\n')
}

function referenceLines(name: string, { bps, latencyMs, tps }: ReferenceFlow): string[] {
  return [
    ` ${name} TPS: ${number(tps)} tx/s`,
    ` ${name} BPS: ${number(bps)} B/s`,
    ` ${name} latency: ${number(latencyMs)} ms`,
  ]
}

function ownLines({ agreement, options, result }: Summarised): string[] {
  const { certified, consensus, cpu, end_to_end: endToEnd } = result
  const nsPerByte = cpu.ns_per_transaction_byte
  return [
    ` + RESULTS of narval, rule ${options.rule}, ACK level ${options.ackLevel}:`,
    flowLine('Certified', certified),
    flowLine('Consensus', consensus),
    flowLine('Read by all', endToEnd),
    '',
    ` Sent: ${number(result.sent_transactions)} tx`,
    ` Certified: ${number(certified.transactions)} tx in ${number(certified.batches)} batches`,
    // Nothing can be lost that could not be certified.
    canCertify(options)
      ? ` Lost: ${number(result.lost_transactions)} tx`
      : ` Uncertified: ${number(result.lost_transactions)} tx, for want of a quorum: ${options.nodes - options.faults} of ${options.nodes} authorities run, and ${quorumOf(options.nodes)} are needed`,
    ` Logs: ${logsText(options, result, agreement)}`,
    ` CPU of the nodes: ${(cpu.user_s + cpu.system_s).toFixed(1)} s${nsPerByte === null ? '' : ` (${nsPerByte.toFixed(1)} ns per transaction byte)`}`,
    ` Memory of the largest node: ${formatBytes(result.rss_bytes_max)}`,
  ]
}

function flowLine(name: string, { latency_ms: { mean, p50, p99 }, tps }: Flow): string {
  const latency = mean === null ? 'none' : `${number(mean)} ms (p50 ${p50}, p99 ${p99})`
  return ` ${name}: ${number(tps)} tx/s, latency ${latency}`
}

function logsText(
  { faults, nodes }: LocalOptions,
  { commits }: AuthorityResult,
  { difference }: Pick<Agreement, 'difference'>,
): string {
  if (difference !== undefined) return `THEY DIFFER: ${describeDifference(difference)}`
  if (commits.digest === null) return 'no commit'
  const logged = `${number(commits.count)} commit${commits.count === 1 ? '' : 's'}, up to ${commits.digest}`
  return nodes - faults === 1 ? `one, of ${logged}` : `all ${nodes - faults} agree on ${logged}`
}

/** A whole number with thousands separators, as Python's `{round(x):,}`. */
function number(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
