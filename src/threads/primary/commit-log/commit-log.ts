/**
 * The writer of the commit log: one record for each commit, each with the digest of the one before, the nodes of the range
 * that it completes, and the checkpoints. What it puts belongs to the transaction of the turn that made the commits; nobody
 * is told of a commit before that transaction is on the disk.
 *
 * Old records go when there are more than the retention says. The oldest index is written in the transaction that takes
 * the first part of a record, so a reader never takes half a commit for a whole one. Of the range those nodes stay that the
 * proofs of later records need: the peaks over all that is gone, and what stands beside later ones.
 */
import { assert } from '../../../shared/assert.js'
import { EMPTY_LOG, type LogHead } from '../../../shared/store/primary/commit-parts.js'
import {
  decodeHead,
  decodeNumbers,
  encodeHead,
  encodeNumbers,
  nodeOf,
  type PrimaryDatabases,
  type PrimaryKeys,
  readKey,
} from '../../../shared/store/primary/format.js'
import type { Put } from '../../../shared/store/write-outcomes.js'
import { entriesDone, type NodePlace } from '../../../shared/wire/primary/mountain-range.js'
import type { RunChange } from '../consensus/types.js'
import type { FetchedRecord } from '../history/fetched-log.js'
import { CheckpointLog } from './checkpoint-log.js'
import { readPeaks } from './range-nodes.js'
import type { LogEnd, LogRecord } from './record-chain.js'

export interface CommitLogOptions {
  /** Records that are kept. */
  readonly retentionCommits: number
  /** Bytes of records and checkpoints that are kept; the last record is, whatever its size. */
  readonly retentionBytes: number
}

export interface CommitLogDependencies {
  readonly databases: PrimaryDatabases
  readonly keys: PrimaryKeys
}

export class CommitLog {
  private readonly options: CommitLogOptions
  private readonly databases: PrimaryDatabases
  private readonly keys: PrimaryKeys
  private readonly checkpoints: CheckpointLog
  private last: LogHead
  /** The index of the oldest record, and the bytes of all, checkpoints included. */
  private oldest: number
  private bytes: number
  /** Parts of records before the oldest may be there still. */
  private hasRemains = true
  /** Parts that were put in this transaction. */
  private appended = 0
  private isChanged = false

  constructor(options: CommitLogOptions, { databases, keys }: CommitLogDependencies) {
    this.options = options
    this.databases = databases
    this.keys = keys
    const head = databases.state.getBinary(keys.state('head'))
    const log = databases.state.getBinary(keys.state('log'))
    this.last = head === undefined ? EMPTY_LOG : decodeHead(head)
    const [oldest, bytes] = log === undefined ? [1, 0] : decodeNumbers('the start of the log', log, 2)
    this.oldest = oldest!
    this.bytes = bytes!
    this.checkpoints = new CheckpointLog(databases, keys)
  }

  /** The end of the log. */
  get head(): LogHead {
    return this.last
  }

  /** The same, with the peaks of the range. @throws NarvalError ERR_STORE_DAMAGED */
  end(): LogEnd {
    return { ...this.last, peaks: readPeaks(this.databases, this.keys, this.last.index) }
  }

  /** The index of the oldest record; the one behind the last if there is none. */
  get oldestIndex(): number {
    return this.oldest
  }

  /** The parts of a record; none if it is not kept. */
  record(index: number): readonly Uint8Array[] {
    if (index < this.oldest || index > this.last.index) return []
    const { commits } = this.databases
    const range = { start: this.keys.commit(index, 0), end: this.keys.commit(index + 1, 0) }
    return Array.from(commits.getRange(range), ({ value }) => Uint8Array.from(value))
  }

  /** A node of the range over the records; undefined if it is not kept. */
  node(place: NodePlace): Uint8Array | undefined {
    const value = this.databases.range.getBinary(this.keys.range(place.record))
    return value === undefined ? undefined : nodeOf(value, place)
  }

  /** Puts the next commit. */
  append({ commit, digest, nodes, parts }: LogRecord | FetchedRecord): Put {
    const { batches, index, runChanges } = commit
    assert(index === this.last.index + 1, `commit ${index} behind commit ${this.last.index}`)
    for (const [part, bytes] of parts.entries()) {
      void this.databases.commits.put(this.keys.commit(index, part), bytes)
      this.bytes += bytes.length
    }
    const put = this.databases.range.put(this.keys.range(index), Buffer.concat(nodes)) as Put
    for (const change of runChanges) this.putRun(change)
    this.last = { index, digest, nextBatch: this.last.nextBatch + batches.length }
    this.appended += parts.length
    this.isChanged = true
    return put
  }

  /** Puts a checkpoint that a quorum has signed, later than all before. */
  attested(index: number, bytes: Uint8Array): Put {
    const { bytes: more, put } = this.checkpoints.put(index, bytes)
    this.bytes += more
    this.isChanged = true
    return put
  }

  /** The record of the checkpoint of a commit, if it is kept; of the latest one: 0. */
  checkpoint(index: number): Uint8Array | undefined {
    return this.checkpoints.find(index)
  }

  /**
   * Takes away the oldest records beyond the retention, and puts what follows from all that was put and taken away in this
   * transaction. `deletesMax` is in parts; twice as many as were appended come on top.
   */
  finish(deletesMax: number): Put | undefined {
    this.prune(deletesMax + 2 * this.appended)
    this.appended = 0
    if (!this.isChanged) return undefined
    this.isChanged = false
    const { state } = this.databases
    void state.put(this.keys.state('log'), encodeNumbers([this.oldest, Math.max(0, this.bytes)]))
    return state.put(this.keys.state('head'), encodeHead(this.last))
  }

  private prune(partsMax: number): void {
    if (!this.hasRemains && !this.isBeyondRetention(this.oldest)) return
    let taken = 0
    this.hasRemains = false
    const { commits } = this.databases
    const range = { start: this.keys.least, end: this.keys.commit(this.last.index), limit: partsMax }
    for (const { key, value } of commits.getRange(range)) {
      const { index, part } = readKey.commit(key)
      if (index >= this.oldest && !this.isBeyondRetention(index)) return
      void commits.remove(this.keys.commit(index, part))
      this.bytes -= value.length
      if (index >= this.oldest) this.forget(index)
      this.isChanged = true
      taken += 1
    }
    this.hasRemains = taken === partsMax
    if (taken > 0) this.bytes -= this.checkpoints.prune(this.oldest, partsMax)
  }

  /** The oldest record goes, and so do the nodes that nobody needs any more. */
  private forget(index: number): void {
    this.oldest = index + 1
    for (const entry of entriesDone(index)) void this.databases.range.remove(this.keys.range(entry))
  }

  private isBeyondRetention(index: number): boolean {
    const { retentionBytes, retentionCommits } = this.options
    if (index >= this.last.index) return false
    return this.last.index - index >= retentionCommits || this.bytes > retentionBytes
  }

  private putRun({ author, first, last, worker }: RunChange): void {
    const key = this.keys.run(author, worker, first)
    if (last === undefined) {
      void this.databases.runs.remove(key)
      return
    }
    const value = Buffer.allocUnsafe(8)
    value.writeBigUInt64BE(last)
    void this.databases.runs.put(key, value)
  }
}
