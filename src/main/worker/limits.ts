/** Limits of a worker beside those of its rooms, each with its unit and its reason. */

/**
 * Bytes of the transactions of `submit()` that wait for room in the submit ring: they are copies, since their caller may
 * use his memory again. SUBMIT_WAITING_MAX of half a kilobyte are far below it; of the largest there are eight.
 */
export const SUBMIT_WAITING_BYTES_MAX = 64 * 1024 * 1024

/** Modules of peer discovery: libp2p has five kinds. */
export const PEER_DISCOVERY_MAX = 16

/**
 * Own batches that may be uncertified beyond those in flight: one is being filled, one is being stored, and two wait so
 * that no link is idle when a window opens.
 */
export const SEALED_AHEAD = 4
/** At boot, batches that are to be reported again wait so long for room, and look again. */
export const REPORT_ROOM_POLL_MS = 250
/** Transactions of `submit()` that may wait for room in the submit ring. */
export const SUBMIT_WAITING_MAX = 1_024
/** Certified batches that a reader may leave unread: about 100 bytes each. */
export const CERTIFIED_UNREAD_MAX = 65_536
/**
 * Readers of `certified` at a time, those of the past and those of what comes together: each has batches in memory that it
 * did not take yet, and is woken when one is certified. Few programs have more than one or two.
 */
export const CERTIFIED_READERS_MAX = 64
/** How long `close()` waits for batches in flight to be certified; what is not, is in the store. */
export const CLOSE_GRACE_MS = 2_000
/**
 * Files that a worker has open without any connection: of its threads' event loops, its ports, the store, the log, and of
 * segments that are being written, read and flushed. A worker at rest has 60.
 */
export const OPEN_FILES_BASE = 128
/**
 * Bytes of stored batches that are kept in memory for readers of the order, while there are any. At 100,000 tx/s of 512 B
 * it is what came in the last second; the order is a fraction of a second behind.
 */
export const RECENT_BYTES = 64 * 1024 * 1024
