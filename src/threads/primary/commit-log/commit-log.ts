/**
 * The writer of the commit log: one record for each commit, each with the digest of the one before. What it puts belongs
 * to the transaction of the turn that made the commits; nobody is told of a commit before that transaction is on the disk.
 *
 * Old records go when there are more than the retention says. The oldest index is written in the transaction that takes
 * the first part of a record, so a reader never takes half a commit for a whole one.
 */
import { assert } from '../../../shared/assert.js'
import {
  decodeHead,
  decodeNumbers,
  EMPTY_LOG,
  encodeHead,
  encodeNumbers,
  type LogHead,
  type PrimaryDatabases,
  type PrimaryKeys,
  readKey,
} from '../../../shared/store/primary/format.js'
import type { Put } from '../../../shared/store/write-outcomes.js'
import { commitDigest } from '../../../shared/wire/primary/commit-record.js'
import type { Commit, RunChange } from '../consensus/types.js'
import { encodeCommitParts } from './encode-commit.js'

export interface CommitLogOptions {
  readonly committeeDigest: Uint8Array
  /** Records that are kept. */
  readonly retentionCommits: number
  /** Bytes of records that are kept; the last record is, whatever its size. */
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
  private last: LogHead
  /** The index of the oldest record, and the bytes of all. */
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
  }

  /** The end of the log. */
  get head(): LogHead {
    return this.last
  }

  /** Puts the next commit. */
  append(commit: Commit): void {
    const { batches, index, runChanges } = commit
    assert(index === this.last.index + 1, `commit ${index} behind commit ${this.last.index}`)
    const { digest: previous, nextBatch } = this.last
    const parts = encodeCommitParts(commit, { epoch: this.keys.epoch, firstBatch: nextBatch, previous })
    for (const [part, bytes] of parts.entries()) {
      void this.databases.commits.put(this.keys.commit(index, part), bytes)
      this.bytes += bytes.length
    }
    for (const change of runChanges) this.putRun(change)
    this.last = {
      index,
      digest: commitDigest(this.options.committeeDigest, parts),
      nextBatch: nextBatch + batches.length,
    }
    this.appended += parts.length
    this.isChanged = true
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
      this.oldest = Math.max(this.oldest, index + 1)
      this.isChanged = true
      taken += 1
    }
    this.hasRemains = taken === partsMax
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
