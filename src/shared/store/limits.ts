/** Limits of the store's files, each with its unit and its reason. */

/** Bytes that the disk must have free for a store to be opened: LMDB's own pages and a few small batches. */
export const STORE_FREE_BYTES_MIN = 1024 * 1024
/**
 * Between two looks at the store's file, ms: its size, and whether a flush of it failed. Linux says the latter to each
 * open file once, LMDB says it to nobody, and kill -9 within this time leaves no record of it.
 */
export const STORE_LOOK_MS = 1_000
/** Between two looks for readers that died: each keeps the pages of its snapshot from being used again. */
export const DEAD_READERS_MS = 10_000
/**
 * A flush that has not ended after this long has failed: LMDB never says so. The node stops rather than wait with
 * what it cannot acknowledge.
 */
export const FLUSH_DEADLINE_MS = 60_000
/**
 * Leaves at the start of a log that are read before LMDB opens it: four megabytes, more than the deletions of one transaction
 * touch. So if LMDB ends the process at a damaged one behind them, the next start reads that one, and says so.
 */
export const LOG_LEAVES_INSPECTED = 1_024
