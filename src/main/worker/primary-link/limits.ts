/** Limits of the link to the primary, each with its unit and its reason. Those of the wire are in shared/constants.ts. */
import assert from 'node:assert'
import { OWN_SLOTS_MAX } from '../../../shared/config/limits.js'
import {
  COMMITTEE_SIZE_MAX,
  DIGEST_BYTES,
  PUSH_AGAIN_QUEUE_MAX,
  REFERENCE_FRAME_BYTES_MAX,
} from '../../../shared/constants.js'

// --- Reports to the primary ------------------------------------------------------------------------------------------

/**
 * Messages that wait while the primary is away, 44 bytes each on the wire. Beyond it those of others' batches are
 * dropped, the oldest first; when so many of own batches wait, sealing pauses.
 */
export const PRIMARY_QUEUE_MAX = 65_536
/** Messages handed to the primary's socket and not yet taken by it. */
export const PRIMARY_IN_FLIGHT_MAX = 1_024
/** A connection to the primary that is not there after this long is given up and tried again. */
export const PRIMARY_CONNECT_TIMEOUT_MS = 5_000
/** Pause between attempts to reach the primary. */
export const PRIMARY_RETRY_MS = 200
/**
 * The same, at most, after connections that the primary took and closed soon, in ms: each of them costs all that was
 * reported in the last minute once more.
 */
export const PRIMARY_RETRY_MS_MAX = 5_000
/** A connection that lasted this long, in ms, was a good one: the next pause is short again. */
export const PRIMARY_STABLE_MS = 10_000
/**
 * Calls of a primary in this process that have begun and not resolved: enough for one that writes each report to a
 * database, which commits many together.
 */
export const IN_PROCESS_CALLS_MAX = 32
/** A batch of others that is received again is reported again at most once in this time, in ms. */
export const REPEAT_INTERVAL_MS = 10_000
/** Such reports that one peer causes in that time: as many as it may have unacknowledged batches to send again. */
export const REPEATS_PER_PEER_MAX = OWN_SLOTS_MAX
/** At the end, the primary has this long to take what it was handed, in ms. */
export const PRIMARY_CLOSE_GRACE_MS = 1_000
/**
 * What the primary's kernel acknowledged this shortly before the connection was lost is reported again, in ms: a kernel
 * that acknowledged bytes may have died with them unread. Where nothing says what was acknowledged, a report counts as
 * delivered after this time.
 */
export const PRIMARY_RESEND_MS = 60_000
/** Acknowledged reports that are remembered for that, a quarter of what may wait. The oldest is forgotten. */
export const PRIMARY_RESEND_MAX = 16_384
/**
 * Reports that the kernel took and the primary has not acknowledged. Beyond it nothing is written: 700 kB are more than
 * the bandwidth-delay product of such a link, and what a dead link holds is sent once more.
 */
export const PRIMARY_UNREAD_MAX = 16_384
/** Between two looks at what the primary has acknowledged, in ms, while something is not. */
export const PRIMARY_ACK_POLL_MS = 250
/** The same when the link is about to be closed, and waits for nothing else. */
export const PRIMARY_ACK_POLL_CLOSING_MS = 10
/**
 * Of the time, the share that these looks may take. The kernel walks its whole hash table for each: that took 1.5 ms of a
 * core with 262,144 places and a dozen connections.
 */
export const PRIMARY_ACK_POLL_SHARE = 1 / 2_000
/** But never so long between two of them, in ms: a busy machine makes them seem long too. */
export const PRIMARY_ACK_POLL_MS_MAX = 2_000
/**
 * When the primary's kernel has answered nothing for this long, and retransmissions say that something is due, the
 * connection is closed and dialled again, in ms: TCP itself would try for a quarter of an hour.
 */
export const PRIMARY_SILENCE_MS = 10_000
/** Retransmissions or window probes in a row without an answer that count as silence. */
export const PRIMARY_RETRANSMITS_MIN = 3

assert(PRIMARY_IN_FLIGHT_MAX <= PRIMARY_QUEUE_MAX)
assert(PRIMARY_UNREAD_MAX + PRIMARY_RESEND_MAX <= PRIMARY_QUEUE_MAX / 2, 'what is sent again fits beside what waits')

/** One of several addresses of the primary's name has this long to answer before the next is tried, in ms. */
export const PRIMARY_ADDRESS_TIMEOUT_MS = 1_000

// --- The port for the primary's messages -------------------------------------------------------------------------------

/** Synchronize messages for our own key that are taken from other addresses than our primary's, in a second. */
export const FOREIGN_SYNCHRONIZE_PER_SECOND = 20
/** Bytes of a frame from another address than our primary's: a Synchronize of PUSH_AGAIN_QUEUE_MAX digests. */
export const FOREIGN_PRIMARY_FRAME_BYTES_MAX = 64 + DIGEST_BYTES * PUSH_AGAIN_QUEUE_MAX
/** A connection from another address than our primary's that says nothing for this long is closed. */
export const FOREIGN_PRIMARY_IDLE_MS = 60_000
/** Connections from our own primary's address: the primary's, and what else runs on its machine. */
export const OWN_PRIMARY_CONNECTIONS_MAX = 64
/** Connections from each other source: a primary needs one, and has a few while old ones are dying. */
export const SOURCE_CONNECTIONS_MAX = 8
/** Connections from all sources that the committee file does not name. */
export const STRANGER_CONNECTIONS_MAX = 64
/** Synchronize messages a second from all of those sources together: ten that ask all the time. */
export const STRANGER_SYNCHRONIZE_PER_SECOND = 10 * FOREIGN_SYNCHRONIZE_PER_SECOND
/** Sources whose rate is remembered: every primary of a committee, and some strangers. */
export const SOURCES_REMEMBERED_MAX = 1_024

assert(FOREIGN_PRIMARY_FRAME_BYTES_MAX <= REFERENCE_FRAME_BYTES_MAX)
assert(SOURCES_REMEMBERED_MAX >= 2 * COMMITTEE_SIZE_MAX)

// --- Cleanup -----------------------------------------------------------------------------------------------------------

/** Rounds by which one Cleanup may be ahead of the last: what a primary of ten rounds a second commits in a quarter of an hour. */
export const CLEANUP_JUMP_MAX = 10_000
/** And so many more for each second since the last: faster than any primary. */
export const CLEANUP_ROUNDS_PER_SECOND = 100
/** A primary that has sent no Cleanup for so long, in ms, is away, or stands still: its rounds are estimated. */
export const CLEANUP_SILENCE_MS = 2_000
/** Of so much time, in ms, the pace of the rounds is measured: a burst of Cleanups says nothing. */
export const CLEANUP_PACE_MS = 1_000

// --- Commits -----------------------------------------------------------------------------------------------------------

/**
 * A connected primary that sends no Cleanup for so long, in ms, while batches are certified, stands still. One that is well
 * commits every second round: of 100 ms at most, and some more when its machine is busy.
 */
export const COMMITS_STILL_MS = 3_000
/** And at least so many times `max_header_delay`: a commit takes four rounds at best. */
export const COMMITS_STILL_HEADERS = 12
/** The same for one that has sent no Cleanup since the start, in ms: it may be starting itself, or wait for the others. */
export const COMMITS_UNHEARD_MS = 60_000
/** Between two lines in the log that the primary stands still, in ms. */
export const STILLNESS_LOG_MS = 60_000
