/** Limits of a primary's store that its readers share, each with its unit and its reason. */

/** Certificates and batches in a part of a record: 48 KiB, what a reader has in memory of a commit at a time. */
export const COMMIT_PART_ENTRIES = 1_024
/**
 * Evidence of one kind that is kept against one authority: one convicts it, and a few show whether it goes on. The largest
 * header has 33 KiB, so they are half a MiB at most; nothing deletes them.
 */
export const EVIDENCE_PER_KIND_MAX = 8
/** Parts of records that a reader of the log reads at a time: the small commits of a busy second or two. */
export const LOG_READ_PARTS = 64
/** Commits that nobody wants and that are read in one turn of the event loop: a log at rest has hundreds of thousands. */
export const LOG_SKIPPED_PER_TURN = 64
/** Between two looks of a reader in another process at the head of the log, in ms, while commits come. */
export const LOG_POLL_MS_MIN = 10
/** The same while none come: doubled with each look up to this. A look costs six reads of a page that is in memory. */
export const LOG_POLL_MS_MAX = 250
/**
 * A commit without batches is given to readers if its index is a multiple of it: at rest one in some minutes. So what a
 * reader remembers goes on, and does not fall behind the oldest record while nothing is ordered.
 */
export const EMPTY_COMMITS_GIVEN_EVERY = 1_024
