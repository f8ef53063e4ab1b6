/** Limits of an authority, each with its unit and its reason. */

/** Readers of `commits()` at a time: each has read COMMITS_AHEAD_BYTES of batches ahead. */
export const COMMIT_READERS_MAX = 64
/** Bytes of batches that a reader of commits has read ahead, of the largest size: the store is asked while it works. */
export const COMMITS_AHEAD_BYTES = 4 * 1024 * 1024
/** Batches that it has read ahead at most, where they are small: each is a question to the processor. */
export const COMMITS_AHEAD_MAX = 16
/** Commits that it has read ahead at most: at full speed one is a few batches, and there are dozens in a second. */
export const COMMITS_FOLLOWED_AHEAD = 32
/** A batch that is ordered and not here is asked for again after so long, in ms; each time at another peer first. */
export const ORDERED_RETRY_MS = 2_000
/** After so long, in ms, the log says that a reader waits for a batch. */
export const ORDERED_WAIT_LOG_MS = 10_000
/** Files that a primary has open without any connection: of its thread's event loop, its port and its store. */
export const PRIMARY_FILES_BASE = 32
/** Rounds of `gc_depth` at least: the order is up to ten rounds behind while an authority is slow or a vote is late. */
export const GC_DEPTH_ROUNDS_MIN = 11
