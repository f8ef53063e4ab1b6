/**
 * The records of commits, each made from its commit and the one before, and the mountain range over their digests. It is a
 * pure function of the commits: the primary makes records with it in the turn of the commits, and the store writes them.
 */
import { assert } from '../../../shared/assert.js'
import { EMPTY_LOG, type LogHead } from '../../../shared/store/primary/commit-parts.js'
import { commitDigest } from '../../../shared/wire/primary/commit-digest.js'
import { append, EMPTY_RANGE, type MountainRange } from '../../../shared/wire/primary/mountain-range.js'
import { sha256 } from '../../../shared/wire/primary/sha256.js'
import type { Commit } from '../consensus/types.js'
import { encodeCommitParts } from './encode-commit.js'

/** The end of the log: what the next record needs. */
export interface LogEnd extends LogHead {
  /** Of the range over all records, the highest first. */
  readonly peaks: readonly Uint8Array[]
}

export const EMPTY_LOG_END: LogEnd = { ...EMPTY_LOG, peaks: [] }

/** A commit with its record. */
export interface LogRecord {
  readonly commit: Commit
  /** Joined they are the record. */
  readonly parts: readonly Buffer[]
  /** Of the record. */
  readonly digest: Uint8Array
  /** Of the range: those that this record completes, from height 0 upwards. */
  readonly nodes: readonly Uint8Array[]
}

export interface RecordChainOptions {
  readonly committeeDigest: Uint8Array
  readonly epoch: number
}

export class RecordChain {
  private readonly options: RecordChainOptions
  private head: LogHead
  private mountains: MountainRange

  constructor(options: RecordChainOptions, { peaks, ...head }: LogEnd = EMPTY_LOG_END) {
    this.options = options
    this.head = head
    this.mountains = head.index === 0 ? EMPTY_RANGE : { count: head.index, peaks }
  }

  get index(): number {
    return this.head.index
  }

  get end(): LogEnd {
    return { ...this.head, peaks: this.mountains.peaks }
  }

  /** Over all records. */
  get range(): MountainRange {
    return this.mountains
  }

  /** Makes the record of the next commit. */
  append(commit: Commit): LogRecord {
    const { committeeDigest, epoch } = this.options
    const { digest: previous, index, nextBatch } = this.head
    assert(commit.index === index + 1, `commit ${commit.index} behind commit ${index}`)
    const parts = encodeCommitParts(commit, { epoch, firstBatch: nextBatch, previous })
    const digest = commitDigest(committeeDigest, parts)
    const { nodes, range } = append(sha256, this.mountains, digest)
    this.head = { index: commit.index, digest, nextBatch: nextBatch + commit.batches.length }
    this.mountains = range
    return { commit, parts, digest, nodes }
  }
}
