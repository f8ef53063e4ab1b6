/**
 * How a record of the log is cut: the first part has its head, each has COMMIT_PART_ENTRIES of its certificates and batches.
 * So a reader needs memory for a part, however large the commit is.
 */
import { NO_COMMIT } from '../../wire/primary/commit-record.js'
import { COMMIT_ENTRY_BYTES, COMMIT_HEAD_BYTES } from '../../wire/primary/limits.js'
import { COMMIT_PART_ENTRIES } from './limits.js'

/** The end of the log: what the next record needs. */
export interface LogHead {
  /** 0 before the first commit. */
  readonly index: number
  readonly digest: Uint8Array
  /** Batches in all commits so far. */
  readonly nextBatch: number
}

export const EMPTY_LOG: LogHead = { index: 0, digest: NO_COMMIT, nextBatch: 0 }

/** Parts of a record with so many certificates and batches. */
export function partsOf(entries: number): number {
  return Math.max(1, Math.ceil(entries / COMMIT_PART_ENTRIES))
}

/** Bytes of a part of a record with so many certificates and batches. */
export function partBytes(entries: number, part: number): number {
  const count = Math.min(COMMIT_PART_ENTRIES, entries - part * COMMIT_PART_ENTRIES)
  return (part === 0 ? COMMIT_HEAD_BYTES : 0) + count * COMMIT_ENTRY_BYTES
}
