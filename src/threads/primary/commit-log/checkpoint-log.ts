/**
 * The checkpoints on the disk that a quorum has signed: the latest, and each CHECKPOINT_INTERVAL-th within the log. What it
 * puts belongs to the transaction of the turn.
 */
import {
  decodeNumbers,
  encodeNumbers,
  type PrimaryDatabases,
  type PrimaryKeys,
  readKey,
} from '../../../shared/store/primary/format.js'
import type { Put } from '../../../shared/store/write-outcomes.js'
import { CHECKPOINT_INTERVAL } from '../../../shared/wire/primary/limits.js'

export class CheckpointLog {
  private readonly databases: PrimaryDatabases
  private readonly keys: PrimaryKeys
  /** The index of the latest; 0 if there is none. */
  private latestIndex: number

  constructor(databases: PrimaryDatabases, keys: PrimaryKeys) {
    this.databases = databases
    this.keys = keys
    const attested = databases.state.getBinary(keys.state('attested'))
    this.latestIndex = attested === undefined ? 0 : decodeNumbers('the latest checkpoint', attested, 1)[0]!
  }

  /** Puts one that is later than all before. Returns by how many bytes there are more. */
  put(index: number, bytes: Uint8Array): { readonly put: Put; readonly bytes: number } {
    const { checkpoints } = this.databases
    const isBetween = this.latestIndex % CHECKPOINT_INTERVAL !== 0
    const replaced = isBetween ? (checkpoints.getBinary(this.keys.checkpoint(this.latestIndex))?.length ?? 0) : 0
    if (isBetween) void checkpoints.remove(this.keys.checkpoint(this.latestIndex))
    this.latestIndex = index
    void this.databases.state.put(this.keys.state('attested'), encodeNumbers([index]))
    const put = checkpoints.put(this.keys.checkpoint(index), Buffer.from(bytes))
    return { put, bytes: bytes.length - replaced }
  }

  /**
   * Takes away the oldest of those that no record of the log from this one on can be proven with, at most so many. Returns by
   * how many bytes there are fewer.
   */
  prune(oldest: number, limit: number): number {
    const { checkpoints } = this.databases
    // What is left begins where this one ends.
    const end = this.keys.checkpoint(Math.min(oldest - 1, this.latestIndex))
    let bytes = 0
    for (const { key, value } of checkpoints.getRange({ start: this.keys.least, end, limit })) {
      void checkpoints.remove(this.keys.checkpoint(readKey.checkpoint(key).index))
      bytes += value.length
    }
    return bytes
  }

  /** The record of the checkpoint of a commit, or of the latest: 0. */
  find(index: number): Uint8Array | undefined {
    const value = this.databases.checkpoints.getBinary(this.keys.checkpoint(index === 0 ? this.latestIndex : index))
    return value === undefined ? undefined : new Uint8Array(value)
  }
}
