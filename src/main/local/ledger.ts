/**
 * What became of the load, put together from log lines of all nodes and clients, which arrive in any order:
 *
 * ```
 *  client: sample sent ─▶ worker: batch contains ─▶ primary: certified ─▶ created ─▶ committed ─▶ application: sample read
 * ```
 *
 * Each batch counts once at each stage, however often it is told. What is remembered is bounded by what is in flight and,
 * for late lines, by `LOCAL_BATCHES_REMEMBERED` and `LOCAL_SAMPLES_REMEMBERED`.
 */
import { Latencies } from './latencies.js'
import { LOCAL_BATCHES_REMEMBERED, LOCAL_SAMPLES_REMEMBERED } from './limits.js'
import { MeasuredWindow } from './measured-window.js'
import type { WorkerName } from './options.js'

/** How far a sample transaction has come, and how long that took since it was sent. */
export interface StageLatencies {
  /** Its authority's primary was told that a quorum has the batch. */
  readonly certified: Latencies
  /** The batch is in the log of its authority. */
  readonly ordered: Latencies
  /** The application of its authority has read it. */
  readonly endToEnd: Latencies
}

export interface AuthorityAccount {
  /** Bytes of the transactions in its certified batches, since the start. */
  certifiedBytes: number
  /** Of its client's samples that were sent in the measured window. */
  readonly total: StageLatencies
  /** The same since somebody took them last. */
  window: StageLatencies
}

type Stage = keyof StageLatencies | 'firstCommitted'

interface Batch {
  /** Of the worker that made it, as far as that is known. */
  authority: number | undefined
  bytes: number | undefined
  samples: string[]
  certifiedMs: number | undefined
  /** Of the first header that lists it. */
  createdMs: number | undefined
  /** By authority. */
  readonly committedMs: (number | undefined)[]
  commits: number
}

interface Sample {
  readonly authority: number
  sentMs: number | undefined
  readonly reachedMs: Map<Stage, number>
}

const STAGES = 4

export class Ledger {
  /** Of the authorities that run, by number. */
  readonly accounts: readonly AuthorityAccount[]
  /** Certified in the measured window, as all that follows is of it. */
  certifiedBytes = 0
  certifiedBatches = 0
  lastCertifiedMs: number | undefined
  /** Of batches that are in the log of at least one authority. */
  orderedBytes = 0
  orderedBatches = 0
  /** Of a batch: from the first header that lists it to its first commit, as the reference's parser takes it. */
  readonly consensus = new Latencies()
  /** Of a sample: from its sending to the first commit of its batch, as the reference's parser takes it. */
  readonly firstCommitted = new Latencies()
  firstCreatedMs: number | undefined
  /** When the last batch was in the first log that had it. */
  lastFirstCommittedMs: number | undefined
  private readonly measured: MeasuredWindow
  /** By digest: those that no log has. */
  private readonly open = new Map<string, Batch>()
  /** Those that some log has, and that something may still be heard of. */
  private readonly ordered = new Map<string, Batch>()
  private readonly samples = new Map<string, Sample>()

  /** @param authorities those that run, from 0 */
  constructor(authorities: number, measured = new MeasuredWindow(0)) {
    this.measured = measured
    this.accounts = Array.from({ length: authorities }, () => ({
      certifiedBytes: 0,
      total: emptyStages(),
      window: emptyStages(),
    }))
  }

  /** A worker's log: the batch holds so many bytes of transactions. */
  contains(authority: number, digest: string, bytes: number): void {
    const batch = this.batch(digest)
    if (batch.bytes !== undefined) return
    batch.bytes = bytes
    batch.authority = authority
    if (batch.certifiedMs !== undefined) this.countCertified(batch)
    if (batch.commits > 0) this.countOrdered(batch)
  }

  /** A worker's log: the batch holds this sample of its client. */
  containsSample(name: WorkerName, digest: string, sample: number): void {
    const batch = this.batch(digest)
    const key = keyOf(name, sample)
    batch.authority = name.authority
    batch.samples.push(key)
    this.sample(key, name.authority)
    if (batch.certifiedMs !== undefined) this.reach(key, 'certified', batch.certifiedMs)
    const committedMs = batch.committedMs[name.authority]
    if (committedMs !== undefined) this.reach(key, 'ordered', committedMs)
  }

  /** A client's log. */
  sampleSent(name: WorkerName, sample: number, timeMs: number): void {
    const key = keyOf(name, sample)
    const found = this.sample(key, name.authority)
    if (found.sentMs !== undefined) return
    found.sentMs = timeMs
    for (const [stage, reachedMs] of found.reachedMs) this.record(found, stage, reachedMs)
    this.forget(key, found)
  }

  /** A primary's log: its worker has told that a quorum has the batch. */
  certified(digest: string, timeMs: number): void {
    const batch = this.batch(digest)
    if (batch.certifiedMs !== undefined) return
    batch.certifiedMs = timeMs
    if (this.measured.has(timeMs)) this.lastCertifiedMs = Math.max(this.lastCertifiedMs ?? timeMs, timeMs)
    for (const key of batch.samples) this.reach(key, 'certified', timeMs)
    if (batch.bytes !== undefined) this.countCertified(batch)
  }

  /** A primary's log: a header of it lists the batch. */
  created(digest: string, timeMs: number): void {
    const batch = this.batch(digest)
    batch.createdMs = Math.min(batch.createdMs ?? timeMs, timeMs)
    if (this.measured.has(timeMs)) this.firstCreatedMs = Math.min(this.firstCreatedMs ?? timeMs, timeMs)
  }

  /** A primary's log: the batch is in it. */
  committed(authority: number, digest: string, timeMs: number): void {
    const batch = this.batch(digest)
    if (batch.committedMs[authority] !== undefined) return
    batch.committedMs[authority] = timeMs
    batch.commits += 1
    if (batch.commits === 1) {
      this.open.delete(digest)
      this.ordered.set(digest, batch)
      if (batch.bytes !== undefined) this.countOrdered(batch)
      this.closeOldest()
    }
    if (authority === batch.authority) for (const key of batch.samples) this.reach(key, 'ordered', timeMs)
  }

  /** The application of the sample's authority has read it in a commit. */
  sampleRead(name: WorkerName, sample: number, timeMs: number): void {
    const key = keyOf(name, sample)
    this.sample(key, name.authority)
    this.reach(key, 'endToEnd', timeMs)
  }

  /** Nothing more is going to be heard. */
  finish(): void {
    for (const [digest, batch] of this.ordered) this.close(digest, batch)
  }

  /** What an authority's samples took since it was called last. */
  takeWindow(authority: number): StageLatencies {
    const account = this.accounts[authority]!
    const { window } = account
    account.window = emptyStages()
    return window
  }

  private countCertified(batch: Batch): void {
    if (batch.authority !== undefined) this.accounts[batch.authority]!.certifiedBytes += batch.bytes!
    if (!this.measured.has(batch.certifiedMs!)) return
    this.certifiedBytes += batch.bytes!
    this.certifiedBatches += 1
  }

  private countOrdered(batch: Batch): void {
    if (!this.measured.has(firstCommitOf(batch))) return
    this.orderedBytes += batch.bytes!
    this.orderedBatches += 1
  }

  private batch(digest: string): Batch {
    const known = this.open.get(digest) ?? this.ordered.get(digest)
    if (known !== undefined) return known
    const batch: Batch = {
      authority: undefined,
      bytes: undefined,
      samples: [],
      certifiedMs: undefined,
      createdMs: undefined,
      committedMs: [],
      commits: 0,
    }
    this.open.set(digest, batch)
    return batch
  }

  private closeOldest(): void {
    while (this.ordered.size > LOCAL_BATCHES_REMEMBERED) {
      const [digest, oldest] = this.ordered.entries().next().value!
      this.close(digest, oldest)
    }
  }

  /** Nothing more is going to be heard of it. */
  private close(digest: string, batch: Batch): void {
    this.ordered.delete(digest)
    const firstMs = firstCommitOf(batch)
    if (this.measured.has(firstMs)) this.lastFirstCommittedMs = Math.max(this.lastFirstCommittedMs ?? firstMs, firstMs)
    const { createdMs } = batch
    if (createdMs !== undefined && this.measured.has(createdMs)) this.consensus.record(firstMs - createdMs)
    for (const key of batch.samples) this.reach(key, 'firstCommitted', firstMs)
  }

  private sample(key: string, authority: number): Sample {
    const known = this.samples.get(key)
    if (known !== undefined) return known
    const sample: Sample = { authority, sentMs: undefined, reachedMs: new Map() }
    this.samples.set(key, sample)
    if (this.samples.size > LOCAL_SAMPLES_REMEMBERED) this.samples.delete(this.samples.keys().next().value!)
    return sample
  }

  private reach(key: string, stage: Stage, timeMs: number): void {
    const sample = this.samples.get(key)
    if (sample === undefined || sample.reachedMs.has(stage)) return
    sample.reachedMs.set(stage, timeMs)
    if (sample.sentMs !== undefined) this.record(sample, stage, timeMs)
    this.forget(key, sample)
  }

  private record({ authority, sentMs }: Sample, stage: Stage, timeMs: number): void {
    const latencyMs = timeMs - sentMs!
    const isMeasured = this.measured.has(sentMs!)
    if (stage === 'firstCommitted') {
      if (isMeasured) this.firstCommitted.record(latencyMs)
      return
    }
    const { total, window } = this.accounts[authority]!
    if (isMeasured) total[stage].record(latencyMs)
    window[stage].record(latencyMs)
  }

  private forget(key: string, { reachedMs, sentMs }: Sample): void {
    if (sentMs !== undefined && reachedMs.size === STAGES) this.samples.delete(key)
  }
}

export function emptyStages(): StageLatencies {
  return { certified: new Latencies(), ordered: new Latencies(), endToEnd: new Latencies() }
}

/** The samples of several authorities together. */
export function joinStages(all: Iterable<StageLatencies>): StageLatencies {
  const joined = emptyStages()
  for (const stages of all) {
    joined.certified.add(stages.certified)
    joined.ordered.add(stages.ordered)
    joined.endToEnd.add(stages.endToEnd)
  }
  return joined
}

function firstCommitOf({ committedMs }: Batch): number {
  return Math.min(...committedMs.filter((timeMs) => timeMs !== undefined))
}

function keyOf({ authority, worker }: WorkerName, sample: number): string {
  return `${authority}-${worker} ${sample}`
}
