/** Limits of the link to the primary, each with its unit and its reason. Those of the wire are in shared/constants.ts. */
import assert from 'node:assert'
import { PRIMARY_QUEUE_MAX } from '../../../shared/constants.js'

// --- Reports to the primary ------------------------------------------------------------------------------------------

/**
 * Calls of a primary in this process that have begun and not resolved: enough for one that writes each report to a
 * database, which commits many together.
 */
export const IN_PROCESS_CALLS_MAX = 32
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
/** Of the time, the share that these looks may take: the kernel's table is long on a host with many connections. */
export const PRIMARY_ACK_POLL_SHARE = 1 / 20
/** But never so long between two of them, in ms: a busy machine makes them seem long too. */
export const PRIMARY_ACK_POLL_MS_MAX = 2_000
/**
 * When the primary's kernel has answered nothing for this long, and retransmissions say that something is due, the
 * connection is closed and dialled again, in ms: TCP itself would try for a quarter of an hour.
 */
export const PRIMARY_SILENCE_MS = 10_000
/** Retransmissions or window probes in a row without an answer that count as silence. */
export const PRIMARY_RETRANSMITS_MIN = 3

assert(PRIMARY_UNREAD_MAX + PRIMARY_RESEND_MAX <= PRIMARY_QUEUE_MAX / 2, 'what is sent again fits beside what waits')
