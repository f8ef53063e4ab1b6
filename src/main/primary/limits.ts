/** Limits of main's side of the primary, each with its unit and its reason. */
import { assert } from '../../shared/assert.js'
import { RECORD_BYTES_MAX } from '../../shared/wire/primary/limits.js'

/**
 * Bytes of records that wait for one peer's stream. Beyond it the oldest are dropped: what is of use still is sent again,
 * or asked for. It holds what a peer may ask for in a quarter of a second.
 */
export const PEER_QUEUE_BYTES_MAX = 4 * 1024 * 1024
/** Records that wait for it: small ones cost memory of their own. */
export const PEER_QUEUE_RECORDS_MAX = 4096
/** Bytes of frames that are handed to a stream together. */
export const JOINED_FRAMES_BYTES = 64 * 1024
/** A stream to a peer that broke is opened again after so long, in ms, if its connection is there still. */
export const RECORD_STREAM_BACKOFF_MS = 1000
/**
 * A stream to a peer that has taken nothing for so long, in ms, though records wait for it, is opened anew. A peer that stands
 * still for that long lacks what was said meanwhile in any case; and a stream that has stopped, for whatever reason, would
 * keep an authority from being heard for ever.
 */
export const RECORD_STREAM_STILL_MS = 30_000
/**
 * Own batches, of all workers, that are certified and not in the order yet; beyond it their workers seal no more. A header
 * takes 512, so these are ordered within a second or two once headers are certified again; the other primaries remember
 * twice as many of ours as held, and would have to ask for those beyond.
 */
export const OWN_BATCHES_UNORDERED_MAX = 32_768
/** Batches that a worker's store is told of in one write, when many commits are behind it. */
export const COMMITS_APPLIED_BATCHES = 1024
/** Commits whose batches it is told of in one write. */
export const COMMITS_APPLIED_MAX = 4096
/** Commits that are read in one turn of the event loop: some milliseconds. */
export const COMMITS_READ_PER_TURN = 64
/** Between two looks at the log, in ms: nobody waits for a mark, and a write of the store has many commits then. */
export const COMMITS_APPLIED_INTERVAL_MS = 50

/**
 * The least `gc_depth` of a primary, in rounds. Headers list no batches while the order is further behind than `gc_depth`,
 * and while authorities are weak or far it is some ten rounds behind.
 */
export const PRIMARY_GC_DEPTH_MIN = 20
/** The greatest, in rounds: the certificates of so many rounds are in memory, and as many more may wait for their parents. */
export const PRIMARY_GC_DEPTH_MAX = 1000

assert(RECORD_BYTES_MAX < PEER_QUEUE_BYTES_MAX)
