/** Limits of the link between a worker and its own primary in two processes, each with its unit and its reason. */
import assert from 'node:assert'
import { BATCH_SIZE_MAX, DIGEST_BYTES, STREAM_WINDOW_INITIAL_BYTES } from '../../shared/constants.js'
import { LINK_DIGESTS_MAX } from '../../shared/wire/link/limits.js'
import { COMMIT_READERS_MAX, COMMITS_AHEAD_MAX } from '../authority/limits.js'
import { COMMITS_APPLIED_BATCHES } from '../primary/limits.js'

/**
 * Reports of one worker that are on their way, or that the primary's store does not have yet: at a round trip of 100 ms
 * and a flush of 10 ms, nine thousand a second.
 */
export const LINK_REPORTS_MAX = 1_024
/**
 * `committed` messages that the worker's store does not have yet, from which on the primary says no more that reports are
 * taken: so the worker makes no more of them, and what may be under way is bounded.
 */
export const LINK_COMMITTED_HELD = 64
/** All of these messages: one of the log, and as many as there may be reports that are answered so. */
export const LINK_COMMITTED_MAX = LINK_COMMITTED_HELD + LINK_REPORTS_MAX + 1
/** Batches that the primary reads of one worker at a time; the others that readers of commits want wait for them. */
export const LINK_READS_MAX = 4
/**
 * Reads of one worker that wait for readers of commits: twice as many as all of these have read ahead, since a reader may
 * have several commits read at a time.
 */
export const LINK_READERS_WAITING_MAX = 2 * COMMIT_READERS_MAX * COMMITS_AHEAD_MAX
/** Reads of one worker that wait for calls of `read()`: one more fails with `ERR_BUSY`. Each is some hundred bytes. */
export const LINK_CALLS_WAITING_MAX = 1_024
/** Bytes of a message, but for a batch. */
export const LINK_MESSAGE_BYTES_MAX = 64 * 1024
/** Bytes of a batch in a message: its kind, the number of the question and the author stand in front. */
export const LINK_BATCH_BYTES_MAX = 16 + BATCH_SIZE_MAX
/**
 * Bytes that wait to be sent. Whoever reads nothing for so long is not there: the link is closed, and begins anew. It has
 * room for all that may be under way.
 */
export const LINK_QUEUE_BYTES_MAX = LINK_READS_MAX * LINK_BATCH_BYTES_MAX + 4 * 1024 * 1024
/** Bytes of small frames that are joined to be handed to the stream together. */
export const LINK_JOINED_BYTES = 64 * 1024
/** Bytes that are handed to the stream at a time, below its first window. */
export const LINK_SLICE_BYTES = 128 * 1024
/** An end that has said nothing for so long, in ms, says that it is there. */
export const LINK_PING_MS = 1_000
/** An end that has heard nothing for so long, in ms, takes the other for gone: a busy machine may stand still for seconds. */
export const LINK_SILENCE_MS = 10_000
/** Bytes of a message in each ms from which on the end that sends it counts as heard: 4 kB/s, as on the slowest line. */
export const LINK_PACE_BYTES_PER_MS = 4
/**
 * An end to which nothing more could be handed over for so long, in ms, does not read: on the slowest line a slice of
 * LINK_SLICE_BYTES is on its way by then, with 4 kB a second.
 */
export const LINK_UNREAD_MS = 30_000
/**
 * A message that comes so long, in ms, after another process of the same worker wants the link shows that who has it is
 * alive: what was on its way is here by then. Less than LINK_PING_MS, so that the next ping or the one behind it counts.
 */
export const LINK_PROOF_MS = 500
/** Between two looks at whether too many own batches are not ordered yet, in ms. */
export const LINK_ROOM_MS = 100
/** A connection, or a stream on it, that is not there after so long, in ms, is tried again. */
export const LINK_DIAL_MS = 5_000
/**
 * From a worker's connection to its primary's `opened`, in ms: the silence after which another process of this worker counts
 * as gone, and as much again and more for what a busy primary does until then. The worker then begins anew.
 */
export const LINK_OPEN_MS = 30_000
/**
 * Units of work a second (src/main/network/limits.ts) that our own worker may cost: it has our key, and is as little
 * limited as one in the same process.
 */
export const LINK_WORK_PER_SECOND = 1_000_000

assert(COMMITS_APPLIED_BATCHES <= LINK_DIGESTS_MAX, 'a write of commits is one message')
assert(LINK_DIGESTS_MAX * DIGEST_BYTES + 16 <= LINK_MESSAGE_BYTES_MAX)
assert(LINK_SLICE_BYTES < STREAM_WINDOW_INITIAL_BYTES)
assert(LINK_PING_MS * 3 < LINK_SILENCE_MS)
assert(LINK_PROOF_MS < LINK_PING_MS)
assert(LINK_OPEN_MS > 2 * LINK_SILENCE_MS)
