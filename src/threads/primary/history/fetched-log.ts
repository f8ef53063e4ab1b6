/**
 * The end of a log that grows by records that others have ordered, and what follows from each: the nodes of the range, and the
 * committed sequences. It is what the store writes.
 */

import { partBytes, partsOf } from '../../../shared/store/primary/commit-parts.js'
import { digestKey } from '../../../shared/wire/digest-key.js'
import type { CommitRecord } from '../../../shared/wire/primary/commit-record.js'
import { append, EMPTY_RANGE, type MountainRange } from '../../../shared/wire/primary/mountain-range.js'
import { compareBytes } from '../../../shared/wire/primary/record.js'
import { sha256 } from '../../../shared/wire/primary/sha256.js'
import { EMPTY_LOG_END, type LogEnd } from '../commit-log/record-chain.js'
import { CommittedBatches, type CommittedBatchesState } from '../consensus/committed-batches.js'
import type { Stakes } from '../consensus/stakes.js'
import type { CommittedState } from '../consensus/state-digest.js'
import type { PayloadEntry, Round, RunChange } from '../consensus/types.js'
import { forkError } from '../fork-error.js'
import type { IntervalRecord } from './interval.js'

/** A record with what a log needs of its commit. */
export interface FetchedRecord {
  readonly commit: {
    readonly index: number
    readonly batches: readonly PayloadEntry[]
    readonly runChanges: readonly RunChange[]
    /** Of its anchor. */
    readonly round: Round
  }
  readonly parts: readonly Buffer[]
  readonly digest: Uint8Array
  readonly nodes: readonly Uint8Array[]
}

export class FetchedLog {
  private readonly committed: CommittedBatches
  private last: Pick<LogEnd, 'digest' | 'index'>
  private range: MountainRange

  constructor(stakes: Stakes, { digest, index, peaks }: LogEnd = EMPTY_LOG_END, batches?: CommittedBatchesState) {
    this.last = { digest, index }
    this.range = index === 0 ? EMPTY_RANGE : { count: index, peaks }
    this.committed = new CommittedBatches(stakes, batches)
  }

  get index(): number {
    return this.last.index
  }

  batches(): CommittedBatchesState {
    return this.committed.snapshot()
  }

  /** Whether the committed sequences are these. */
  hasRuns(runs: CommittedState['runs']): boolean {
    const own = [...this.committed.digests()]
    return (
      own.length === runs.length &&
      own.every(([author, worker, digest], at) => {
        const [otherAuthor, otherWorker, other] = runs[at]!
        return author === otherAuthor && worker === otherWorker && compareBytes(digest, other) === 0
      })
    )
  }

  /**
   * The next record.
   *
   * @throws NarvalError ERR_FORK if the one before it is another than ours
   */
  append(commit: CommitRecord, { bytes, digest }: IntervalRecord): FetchedRecord {
    const { index } = commit
    if (compareBytes(commit.previous, this.last.digest) !== 0)
      throw forkError(`our commit ${this.last.index} is another than the one that a quorum has signed`)
    const next = append(sha256, this.range, digest)
    this.range = next.range
    this.last = { index, digest }
    const batches = commit.batches.map(
      ({ author, digest, sequence, worker }): PayloadEntry => ({
        author,
        worker,
        digest: digestKey(digest),
        ...(sequence !== undefined && { sequence }),
      }),
    )
    const round = commit.certificates.at(-1)!.round
    const runChanges = this.committed.takeOrdered(batches)
    return { commit: { index, batches, runChanges, round }, parts: partsIn(commit, bytes), digest, nodes: next.nodes }
  }
}

/** As the store keeps it. */
function partsIn({ batches, certificates }: CommitRecord, bytes: Uint8Array): Buffer[] {
  const entries = batches.length + certificates.length
  let at = 0
  return Array.from({ length: partsOf(entries) }, (_, part) => {
    const length = partBytes(entries, part)
    at += length
    return Buffer.from(bytes.subarray(at - length, at))
  })
}
