/**
 * Which batches are in the order already: each counts once, wherever its author lists it first, or where authorities with
 * V of the stake have listed it (`claims.ts`).
 *
 * A batch may be listed again, by its author, who saw no commit of it in time, or by another authority. What names it is
 * (author, worker, sequence), not its digest: sequences are remembered for ever in a bounded memory, digests are not.
 */
import { type ClaimedEntry, Claims, type ClaimsState } from './claims.js'
import { SequenceRuns } from './sequence-runs.js'
import type { Stakes } from './stakes.js'
import type { AuthorityIndex, PayloadEntry, RunChange, Vertex } from './types.js'

/** By author and worker, ascending: the committed sequences, as `SequenceRuns` writes them. */
export type CommittedBatchesState = readonly (readonly [author: number, worker: number, runs: string])[]

export class CommittedBatches {
  private readonly runs = new Map<number, Map<number, SequenceRuns>>()
  private readonly claimed: Claims

  constructor(stakes: Stakes, state: CommittedBatchesState = [], claims: ClaimsState = []) {
    this.claimed = new Claims(stakes, claims)
    for (const [author, worker, text] of state) this.workersOf(author).set(worker, new SequenceRuns(text))
  }

  /** The batches of these vertices that are in the order for the first time, in their order, and the runs that change. */
  take(vertices: readonly Vertex[]): { batches: PayloadEntry[]; runChanges: RunChange[] } {
    const changes = new Map<string, RunChange>()
    const batches = vertices.flatMap(({ certificate: { header } }) =>
      header.payload.filter((entry) => this.isFirst(header.author, entry, changes)),
    )
    return { batches, runChanges: [...changes.values()] }
  }

  /** Whether a commit has a batch of this sequence: another one will never be in the order. */
  has(author: number, worker: number, sequence: bigint): boolean {
    return this.runs.get(author)?.get(worker)?.has(sequence) ?? false
  }

  /** Whether this authority's claim of a batch that is not in the order stands. */
  isClaimed(claimant: AuthorityIndex, entry: ClaimedEntry): boolean {
    return this.claimed.has(claimant, entry)
  }

  /** The highest sequence of this worker that a commit has; 0 if none has any. */
  highest(author: number, worker: number): bigint {
    return this.runs.get(author)?.get(worker)?.highest ?? 0n
  }

  snapshot(): CommittedBatchesState {
    const all = [...this.runs].flatMap(([author, workers]) =>
      [...workers].map(([worker, runs]) => [author, worker, runs.toString()] as const),
    )
    return all.sort(([a, v], [b, w]) => a - b || v - w)
  }

  /** What stands of the claims, as JSON has it. */
  claims(): ClaimsState {
    return this.claimed.snapshot()
  }

  /** By author and worker, ascending: the digest of the committed sequences. */
  *digests(): Generator<readonly [author: number, worker: number, digest: Uint8Array]> {
    const ascending = ([a]: [number, unknown], [b]: [number, unknown]): number => a - b
    for (const [author, workers] of [...this.runs].sort(ascending)) {
      for (const [worker, runs] of [...workers].sort(ascending)) yield [author, worker, runs.digest]
    }
  }

  /** The batches of a commit that others have ordered: the runs that change. */
  takeOrdered(batches: readonly PayloadEntry[]): RunChange[] {
    const changes = new Map<string, RunChange>()
    for (const { sequence, ...entry } of batches) {
      if (sequence !== undefined) this.add({ ...entry, sequence }, changes)
    }
    return [...changes.values()]
  }

  private isFirst(proposer: AuthorityIndex, entry: PayloadEntry, changes: Map<string, RunChange>): boolean {
    const { author, worker, sequence } = entry
    if (sequence === undefined) return true
    const named = { ...entry, sequence }
    if (author !== proposer && (this.has(author, worker, sequence) || !this.claimed.add(proposer, named))) return false
    if (!this.add(named, changes)) return false
    this.claimed.settle(named)
    return true
  }

  private add({ author, sequence, worker }: ClaimedEntry, changes: Map<string, RunChange>): boolean {
    const workers = this.workersOf(author)
    let runs = workers.get(worker)
    if (runs === undefined) {
      runs = new SequenceRuns()
      workers.set(worker, runs)
    }
    return runs.add(sequence, (first, last) =>
      changes.set(`${author} ${worker} ${first}`, { author, worker, first, last }),
    )
  }

  private workersOf(author: number): Map<number, SequenceRuns> {
    let workers = this.runs.get(author)
    if (workers === undefined) {
      workers = new Map()
      this.runs.set(author, workers)
    }
    return workers
  }
}
