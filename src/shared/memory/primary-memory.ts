/** The shared memory of a primary: its thread's counters, and the head of the commit log. */
import { COMMIT_LOG_HEAD_BYTES } from './commit-log-head.js'
import { COUNTERS_BYTES, type CountersRegion } from './counters.js'
import { allocated } from './page-memory.js'

export interface PrimaryMemory {
  readonly counters: { readonly primary: CountersRegion }
  /** Of `CommitLogHead`. */
  readonly commitLogHead: { readonly buffer: SharedArrayBuffer; readonly byteOffset: number }
}

/** @throws NarvalError ERR_PLATFORM where there is no such memory */
export function createPrimaryMemory(): PrimaryMemory {
  const bytes = COUNTERS_BYTES + COMMIT_LOG_HEAD_BYTES
  const buffer = allocated(bytes, () => new SharedArrayBuffer(bytes))
  return {
    counters: { primary: { buffer, byteOffset: 0 } },
    commitLogHead: { buffer, byteOffset: COUNTERS_BYTES },
  }
}
