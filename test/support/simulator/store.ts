/** The store of a simulated authority: what is durable. It applies a turn's writes at once or not at all. */

import type { Evidence } from '../../../src/shared/wire/primary/evidence.js'
import type { BatchEntry } from '../../../src/shared/wire/primary/header.js'
import type { Commit } from '../../../src/threads/primary/consensus/types.js'
import type { Signing, StoredState, Write } from '../../../src/threads/primary/store/writes.js'
import { type CertificateReader, FRESH_STATE } from '../../../src/threads/primary/stored-state.js'

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

export class SimulatedStore implements CertificateReader {
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
      ...(this.position !== undefined && { consensus: { ...JSON.parse(this.position), batches: this.batches() } }),
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

  private commit(commit: Commit): void {
    this.commits.push(commit)
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
        for (const commit of write.commits) this.commit(commit)
        this.position = JSON.stringify(write.state)
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
