/** The store of a simulated authority: what is durable. It applies a turn's writes at once or not at all. */

import { digestKey } from '../../../src/shared/wire/digest-key.js'
import { decodeCommitRecord } from '../../../src/shared/wire/primary/commit-record.js'
import type { Evidence } from '../../../src/shared/wire/primary/evidence.js'
import type { BatchEntry } from '../../../src/shared/wire/primary/header.js'
import { type NodePlace, peakPlaces } from '../../../src/shared/wire/primary/mountain-range.js'
import type { LogEnd, LogRecord } from '../../../src/threads/primary/commit-log/record-chain.js'
import type { Commit } from '../../../src/threads/primary/consensus/types.js'
import type { FetchedRecord } from '../../../src/threads/primary/history/fetched-log.js'
import type { Signing, StoredState, Write } from '../../../src/threads/primary/store/writes.js'
import {
  type CertificateReader,
  type CheckpointReader,
  FRESH_STATE,
  type LogReader,
} from '../../../src/threads/primary/stored-state.js'

interface StoredCertificate {
  readonly round: number
  readonly bytes: Uint8Array
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
export const batchName = ({
  author,
  worker,
  sequence,
}: {
  author: number
  worker: number
  sequence?: bigint
}): string => `${author}/${worker}/${sequence}`

export class SimulatedStore implements CertificateReader, CheckpointReader, LogReader {
  readonly commits: Commit[] = []
  /** Every header and vote that was ever durable here: what may leave. */
  readonly promises = new Set<string>()
  saysWhatMayBeSigned = false
  private readonly certificatesByDigest = new Map<string, StoredCertificate>()
  private readonly votes = new Map<number, Uint8Array>()
  private readonly ownBatches = new Map<string, BatchEntry>()
  private readonly payload = new Map<string, BatchEntry>()
  private readonly workerStores = new Map<number, Uint8Array>()
  readonly evidence: Evidence[] = []
  private ownHeader: Uint8Array | undefined
  private position: string | undefined
  /** By author and worker: the last sequence of each run of committed ones, by the first. */
  private readonly runs = new Map<string, Map<bigint, bigint>>()
  private gcRound = 0
  private payloadRound: number | undefined
  private signing: Signing = FRESH_STATE.signing
  private log: LogEnd | undefined
  /** The last of the commits that were taken from others, until there is a state after it. */
  private fetched: number | undefined
  /** By index less one: the records, whole. */
  private readonly written: Buffer[] = []
  /** By record: the nodes that it completes. */
  private readonly range = new Map<number, readonly Uint8Array[]>()
  private checkpointSigned: Uint8Array | undefined
  /** By index, ascending. */
  readonly attested = new Map<number, Uint8Array>()

  apply(writes: readonly Write[]): void {
    for (const write of writes) this.put(write)
  }

  state(): StoredState {
    const certificates = [...this.certificatesByDigest.values()]
      .filter(({ round }) => round >= this.gcRound)
      .sort((a, b) => a.round - b.round)
    return {
      certificates: certificates.map(({ bytes }) => bytes),
      votes: [...this.votes.values()],
      ownBatches: [...this.ownBatches.values()],
      payload: [...this.payload.values()],
      workerStores: [...this.workerStores].map(([worker, storeId]) => ({ worker, storeId })),
      evidence: this.evidence.map(({ accused, kind, round }) => ({ accused, kind, round })),
      signing: this.signing,
      ...(this.payloadRound !== undefined && { payloadRound: this.payloadRound }),
      ...(this.ownHeader && { ownHeader: this.ownHeader }),
      ...(this.log && { log: this.log }),
      ...(this.checkpointSigned && { checkpointSigned: this.checkpointSigned }),
      ...(this.attested.size > 0 && { checkpointAttested: [...this.attested.values()].at(-1)! }),
      ...(this.position !== undefined && { consensus: { ...JSON.parse(this.position), batches: this.batches() } }),
      ...(this.fetched === this.commits.length && { unfinished: this.batches() }),
    }
  }

  /** A backup: what is written to one is not in the other. */
  copy(): SimulatedStore {
    const copy = new SimulatedStore()
    copy.commits.push(...this.commits)
    for (const [key, value] of this.certificatesByDigest) copy.certificatesByDigest.set(key, value)
    for (const [key, value] of this.votes) copy.votes.set(key, value)
    for (const [key, value] of this.ownBatches) copy.ownBatches.set(key, value)
    for (const [key, value] of this.payload) copy.payload.set(key, value)
    for (const [key, value] of this.workerStores) copy.workerStores.set(key, value)
    for (const promise of this.promises) copy.promises.add(promise)
    copy.evidence.push(...this.evidence)
    copy.ownHeader = this.ownHeader
    copy.position = this.position
    for (const [key, runs] of this.runs) copy.runs.set(key, new Map(runs))
    copy.gcRound = this.gcRound
    copy.payloadRound = this.payloadRound
    copy.signing = this.signing
    copy.log = this.log
    copy.fetched = this.fetched
    copy.written.push(...this.written)
    for (const [key, nodes] of this.range) copy.range.set(key, nodes)
    copy.checkpointSigned = this.checkpointSigned
    for (const [key, bytes] of this.attested) copy.attested.set(key, bytes)
    return copy
  }

  certificate(digest: Uint8Array): Uint8Array | undefined {
    return this.certificatesByDigest.get(hex(digest))?.bytes
  }

  /** Of certificates, so many rounds behind `gcRound` are kept. */
  roundsKept = Number.POSITIVE_INFINITY

  get lowestRound(): number {
    return Math.max(1, this.gcRound - this.roundsKept + 1)
  }

  certificates(fromRound: number, toRound: number, countMax: number): Uint8Array[] {
    return [...this.certificatesByDigest.values()]
      .filter(({ round }) => round >= Math.max(fromRound, this.lowestRound) && round <= toRound)
      .sort((a, b) => a.round - b.round)
      .slice(0, countMax)
      .map(({ bytes }) => bytes)
  }

  checkpoint(index: number): Uint8Array | undefined {
    return index === 0 ? [...this.attested.values()].at(-1) : this.attested.get(index)
  }

  /** Commits before it are not given to others. */
  oldestCommit = 1

  get lastCommit(): number {
    return this.commits.length
  }

  commitRecord(index: number): Uint8Array[] {
    const record = index < this.oldestCommit ? undefined : this.written[index - 1]
    return record === undefined ? [] : [record]
  }

  rangeNode({ height, record }: NodePlace): Uint8Array | undefined {
    return this.range.get(record)?.[height]
  }

  private commit({ commit, digest, nodes, parts }: LogRecord | FetchedRecord): void {
    const record = Buffer.concat(parts)
    this.written.push(record)
    this.commits.push('vertices' in commit ? commit : orderedByOthers(commit, record))
    const { index } = commit
    this.range.set(index, nodes)
    const peaks = peakPlaces(index).map(({ height, record }) => this.range.get(record)![height]!)
    this.log = { index, digest, nextBatch: (this.log?.nextBatch ?? 0) + commit.batches.length, peaks }
    for (const { author, worker, first, last } of commit.runChanges) {
      const key = `${author} ${worker}`
      const runs = this.runs.get(key) ?? new Map<bigint, bigint>()
      this.runs.set(key, runs)
      if (last === undefined) runs.delete(first)
      else runs.set(first, last)
    }
  }

  /** As the state of consensus has them. */
  private batches(): [author: number, worker: number, runs: string][] {
    const all = [...this.runs].map(([key, runs]): [number, number, string] => {
      const [author, worker] = key.split(' ').map(Number)
      const sorted = [...runs].sort(([a], [b]) => (a < b ? -1 : 1))
      return [author!, worker!, sorted.map(([first, last]) => `${first.toString(16)}-${last.toString(16)}`).join(' ')]
    })
    return all.sort(([a, v], [b, w]) => a - b || v - w)
  }

  private put(write: Write): void {
    switch (write.type) {
      case 'own-header':
        this.ownHeader = write.bytes
        this.promises.add(hex(write.bytes))
        break
      case 'vote':
        this.votes.set(write.author, write.bytes)
        this.promises.add(hex(write.bytes))
        break
      case 'certificate':
        this.certificatesByDigest.set(hex(write.digest), write)
        break
      case 'payload':
        this.payload.set(batchName(write.batch), write.batch)
        break
      case 'payload-done':
        this.payload.delete(batchName(write.batch))
        break
      case 'worker-store':
        this.workerStores.set(write.worker, write.storeId)
        break
      case 'own-batch':
        this.ownBatches.set(batchName(write.batch), write.batch)
        break
      case 'own-batch-done':
        this.ownBatches.delete(batchName(write.batch))
        break
      case 'commits':
        for (const record of write.records) this.commit(record)
        this.position = JSON.stringify(write.state)
        break
      case 'fetched':
        for (const record of write.records) this.commit(record)
        this.fetched = this.commits.length
        break
      case 'joined':
        this.fetched = undefined
        this.position = JSON.stringify(write.state)
        break
      case 'checkpoint-signed':
        this.checkpointSigned = write.bytes
        this.promises.add(hex(write.bytes))
        break
      case 'checkpoint-attested':
        this.attested.set(write.index, write.bytes)
        break
      case 'evidence':
        this.evidence.push(write.evidence)
        break
      case 'signing':
        this.signing = write.signing
        this.saysWhatMayBeSigned = true
        break
      case 'payload-complete':
        this.payloadRound = write.round
        break
      case 'collected':
        this.gcRound = write.gcRound
        break
    }
  }
}

/** As the observer compares it: its vertices are known by their digests only. */
function orderedByOthers(commit: FetchedRecord['commit'], record: Uint8Array): Commit {
  const { certificates, timestamp } = decodeCommitRecord(record, 2 ** 16)
  const vertices = certificates.map(({ author, id, round }) => ({ author, round, digest: digestKey(id) }))
  return { ...commit, timestamp, anchor: vertices.at(-1), vertices } as unknown as Commit
}
