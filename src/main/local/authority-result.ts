/**
 * The figures of a committee of authorities: those of their workers, and what became of it in the order.
 *
 * - Consensus, as the reference's parser takes it (benchmark/logs.py): transactions in committed batches, from the first
 *   header that was made to the last commit; latency is that of a batch, from the first header that lists it to its commit.
 *   A batch that several authorities commit counts with the first.
 * - End to end: what the applications of all authorities have read, from the first client's start to the last client's
 *   stop, or to the last commit with transactions that the last application read where that is later. Latency is that of a
 *   sample transaction, from its sending to when the application of the client's own authority has it.
 * - All of it is of the measured window (result.ts), but for what is lost and the logs.
 * - Lost: what was sent and not read by all when the draining ended, whatever became of it.
 */
import type { Agreement } from './agreement.js'
import { joinStages, type Ledger } from './ledger.js'
import type { LocalOptions } from './options.js'
import { type Flow, latencyFigures, type Measurement, perS, type Result, toResult } from './result.js'

/** What a run of authorities is measured by. */
export interface CommitteeMeasurement
  extends Omit<Measurement, 'lastCertifiedMs' | 'certifiedBytes' | 'certifiedBatches' | 'latencies'> {
  readonly ledger: Ledger
  readonly agreement: Agreement
}

/** The shape of the JSON line. */
export interface AuthorityResult extends Result {
  readonly config: Result['config'] & { readonly rule: string }
  readonly consensus: Flow
  readonly end_to_end: Flow
  readonly commits: {
    /** Those that all authorities have. */
    readonly count: number
    /** Of the record of the last of them, hex: names all of them. null without one. */
    readonly digest: string | null
    /** Whether no record of any authority differs from another's. */
    readonly agree: boolean
  }
}

/** What the reference's parser would print, not rounded. */
export interface ReferenceFigures {
  readonly consensus: ReferenceFlow
  readonly endToEnd: ReferenceFlow
  /** Its "execution time": from the first client's start, or the end of our warm-up, to the last commit. */
  readonly durationS: number
}

export interface ReferenceFlow {
  readonly tps: number
  readonly bps: number
  readonly latencyMs: number
}

export function toAuthorityResult(
  options: LocalOptions,
  nodeVersion: string,
  measurement: CommitteeMeasurement,
): AuthorityResult {
  const { agreement, ledger, sentTransactions } = measurement
  const { certifiedBatches, certifiedBytes, lastCertifiedMs } = ledger
  const stages = joinStages(ledger.accounts.map(({ total }) => total))
  const { config, certified, ...others } = toResult(options, nodeVersion, {
    ...measurement,
    certifiedBatches,
    certifiedBytes,
    lastCertifiedMs,
    latencies: stages.certified,
  })
  const { transactionBytes } = options
  const consensusS = spanS(ledger.firstCreatedMs, ledger.lastFirstCommittedMs)
  const readS = Math.max(
    spanS(measurement.fromMs, measurement.lastStopMs),
    spanS(measurement.fromMs, agreement.lastCommonMs),
  )
  return {
    config: { ...config, rule: options.rule },
    certified,
    consensus: {
      ...rates(ledger.orderedBytes, transactionBytes, consensusS),
      latency_ms: latencyFigures(ledger.consensus),
    },
    end_to_end: {
      ...rates(agreement.measuredBytes, transactionBytes, readS),
      latency_ms: latencyFigures(stages.endToEnd),
    },
    commits: { count: agreement.count, digest: agreement.digest ?? null, agree: agreement.agree },
    ...others,
    lost_transactions: Math.max(0, sentTransactions - Math.floor(agreement.commonBytes / transactionBytes)),
  }
}

export function referenceFigures(
  { transactionBytes }: Pick<LocalOptions, 'transactionBytes'>,
  { fromMs, ledger }: Pick<CommitteeMeasurement, 'fromMs' | 'ledger'>,
): ReferenceFigures {
  const durationS = spanS(fromMs, ledger.lastFirstCommittedMs)
  const flow = (seconds: number, latencyMs: number | null): ReferenceFlow => ({
    tps: seconds === 0 ? 0 : ledger.orderedBytes / seconds / transactionBytes,
    bps: seconds === 0 ? 0 : ledger.orderedBytes / seconds,
    latencyMs: latencyMs ?? 0,
  })
  return {
    consensus: flow(spanS(ledger.firstCreatedMs, ledger.lastFirstCommittedMs), ledger.consensus.meanMs),
    endToEnd: flow(durationS, ledger.firstCommitted.meanMs),
    durationS,
  }
}

function rates(bytes: number, transactionBytes: number, seconds: number): Pick<Flow, 'tps' | 'bps'> {
  return { tps: perS(Math.floor(bytes / transactionBytes), seconds), bps: perS(bytes, seconds) }
}

function spanS(fromMs: number | undefined, toMs: number | undefined): number {
  return fromMs === undefined || toMs === undefined ? 0 : Math.max(0, toMs - fromMs) / 1000
}
