/** The last Cleanup, and which batches it leaves. */
import type { StoreDatabases } from '../../shared/store/format.js'
import { encodeNumber, META_PRIMARY_ROUND, META_ROUND, readNumber } from './store-meta.js'
import type { StoreWrites } from './store-writes.js'

export class Retention {
  private readonly databases: StoreDatabases
  private readonly writes: StoreWrites
  private readonly rounds: bigint
  /** The last Cleanup round seen: the stamp of what is stored now. */
  round: bigint
  /** The primary's round that `round` stands for. */
  primaryRound: bigint

  /** `rounds` is how many Cleanup rounds a batch is kept after its stamp; 0 keeps everything. */
  constructor(databases: StoreDatabases, writes: StoreWrites, rounds: number) {
    this.databases = databases
    this.writes = writes
    this.rounds = BigInt(rounds)
    this.round = readNumber(databases.meta, META_ROUND)
    this.primaryRound = databases.meta.doesExist(META_PRIMARY_ROUND)
      ? readNumber(databases.meta, META_PRIMARY_ROUND)
      : this.round
  }

  /** Stamps below this one are beyond retention. */
  get firstKept(): bigint {
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
