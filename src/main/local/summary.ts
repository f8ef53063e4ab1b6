/**
 * The SUMMARY block, line by line that of the reference (benchmark/logs.py), up to its results: the reference measures
 * at consensus, which a committee of workers alone does not have, so what was certified takes its place.
 */
import type { Parameters } from '../../shared/config/parameters.js'
import { canCertify, type LocalOptions, quorumThreshold } from './options.js'
import type { Result } from './result.js'
import { formatBytes } from './table.js'

const RULE = '-----------------------------------------'

export function summary(options: LocalOptions, parameters: Parameters, result: Result, executionS: number): string {
  const { certified, cpu } = result
  const latency = certified.latency_ms
  return [
    '',
    RULE,
    ' SUMMARY:',
    RULE,
    ' + CONFIG:',
    ` Faults: ${options.faults} node(s)`,
    ` Committee size: ${options.nodes} node(s)`,
    ` Worker(s) per node: ${options.workers} worker(s)`,
    ' Collocate primary and workers: True',
    ` Input rate: ${number(options.rate)} tx/s`,
    ` Transaction size: ${number(options.transactionBytes)} B`,
    ` Execution time: ${number(executionS)} s`,
    '',
    ` Header size: ${number(parameters.headerBytes)} B`,
    ` Max header delay: ${number(parameters.maxHeaderDelayMs)} ms`,
    ` GC depth: ${number(parameters.gcDepthRounds)} round(s)`,
    ` Sync retry delay: ${number(parameters.syncRetryDelayMs)} ms`,
    ` Sync retry nodes: ${number(parameters.syncRetryNodes)} node(s)`,
    ` batch size: ${number(parameters.batchBytesMax)} B`,
    ` Max batch delay: ${number(parameters.maxBatchDelayMs)} ms`,
    ` ACK level: ${options.ackLevel}`,
    '',
    " + RESULTS (of the workers; consensus is the primary's):",
    ` Certified TPS: ${number(certified.tps)} tx/s`,
    ` Certified BPS: ${number(certified.bps)} B/s`,
    ` Certified latency: ${latency.mean === null ? 'none' : `${number(latency.mean)} ms (p50 ${latency.p50}, p99 ${latency.p99})`}`,
    '',
    ` Sent: ${number(result.sent_transactions)} tx`,
    ` Certified: ${number(certified.transactions)} tx in ${number(certified.batches)} batches`,
    // Nothing can be lost that could not be certified.
    canCertify(options)
      ? ` Lost: ${number(result.lost_transactions)} tx`
      : ` Uncertified: ${number(result.lost_transactions)} tx, for want of a quorum: ${options.nodes - options.faults} of ${options.nodes} authorities run, and ${quorumThreshold(options.nodes)} are needed`,
    ` CPU of the nodes: ${(cpu.user_s + cpu.system_s).toFixed(1)} s${
      cpu.ns_per_transaction_byte === null ? '' : ` (${cpu.ns_per_transaction_byte.toFixed(1)} ns per transaction byte)`
    }`,
    ` Memory of the largest node: ${formatBytes(result.rss_bytes_max)}`,
    RULE,
    '',
  ].join('\n')
}

/** A whole number with thousands separators, as Python's `{round(x):,}`. */
function number(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
