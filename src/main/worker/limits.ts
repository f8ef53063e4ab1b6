/** Limits of what a program hands to a worker. */

/**
 * Bytes of the transactions of `submit()` that wait for room in the submit ring: they are copies, since their caller may
 * use his memory again. SUBMIT_WAITING_MAX of half a kilobyte are far below it; of the largest there are eight.
 */
export const SUBMIT_WAITING_BYTES_MAX = 64 * 1024 * 1024

/** Modules of peer discovery: libp2p has five kinds. */
export const PEER_DISCOVERY_MAX = 16
