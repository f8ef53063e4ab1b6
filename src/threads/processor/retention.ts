/**
 * Which batches are kept. Their age is counted in the primary's Cleanup rounds; or in commits, by a primary that says which
 * batches each of them has: then it begins when a commit has the batch, and `kept-commits.ts` says how far back they go.
 */

import type { StoreOptions } from '../../shared/memory/dialogue/processor.js'
import { type StoreDatabases, UNCOMMITTED } from '../../shared/store/format.js'
import {
  encodeNumber,
  META_APPLIED,
  META_FIRST_KEPT,
  META_PRIMARY_ROUND,
  META_ROUND,
  readNumber,
} from './store-meta.js'
import type { StoreWrites } from './store-writes.js'

export type RetentionOptions = Pick<StoreOptions, 'retentionCommits' | 'retentionRounds'>

export class Retention {
  private readonly databases: StoreDatabases
  private readonly writes: StoreWrites
  /** By commits, not by rounds. */
  readonly isByCommits: boolean
  private readonly rounds: bigint
  /** The last Cleanup round seen, or the last commit applied. */
  round: bigint
  /** The primary's round that `round` stands for. */
  primaryRound: bigint
  /** By commits: the first whose batches are kept. */
  firstCommit: bigint

  constructor(databases: StoreDatabases, writes: StoreWrites, options: RetentionOptions) {
    const { retentionCommits, retentionRounds } = options
    this.databases = databases
    this.writes = writes
    this.isByCommits = retentionCommits !== undefined
    this.rounds = BigInt(this.isByCommits ? 0 : retentionRounds)
    this.round = readNumber(databases.meta, this.isByCommits ? META_APPLIED : META_ROUND)
    this.firstCommit = readNumber(databases.meta, META_FIRST_KEPT)
    this.primaryRound = databases.meta.doesExist(META_PRIMARY_ROUND)
      ? readNumber(databases.meta, META_PRIMARY_ROUND)
      : this.round
  }

  /** The stamp of a batch that is stored now. */
  get stampOfNew(): bigint {
    return this.isByCommits ? UNCOMMITTED : this.round
  }

  /** Stamps below this one are beyond retention. */
  get firstKept(): bigint {
    if (this.isByCommits) return this.firstCommit
    return this.rounds === 0n || this.round < this.rounds ? 0n : this.round - this.rounds
  }

  /** Whether a quarter of the retention has passed since this stamp. Before that, a new one is not worth a write. */
  isAging(stamp: bigint): boolean {
    return (this.round - stamp) * 4n > this.rounds
  }

  /** Takes note of a Cleanup. */
  note(round: bigint, primaryRound: bigint): Promise<void> {
    this.round = round
    this.primaryRound = primaryRound
    const { meta } = this.databases
    return this.writes.write(() => {
      void meta.put(META_PRIMARY_ROUND, encodeNumber(primaryRound))
      return meta.put(META_ROUND, encodeNumber(round))
    }, 'stored')
  }
}
