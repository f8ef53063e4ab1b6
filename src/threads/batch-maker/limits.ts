/** Limits that the clients' port alone needs, each with its unit and its reason. */

/**
 * Bytes of unfinished frames over all clients, beside CLIENT_CARRY_BASE_BYTES of each. A client is owed only the bytes
 * it has sent, but ten thousand that each stop before the end of a large transaction would otherwise hold gigabytes.
 */
export const CLIENT_CARRY_BYTES_MAX = 64 * 1024 * 1024
/**
 * Bytes that each client may keep of an unfinished frame without a share of the memory for all: frames of common
 * transactions, of 512 bytes, never ask for more.
 */
export const CLIENT_CARRY_BASE_BYTES = 1024
/**
 * When the memory for unfinished frames is short, a frame that is older than this and came slower than
 * CLIENT_LAGGING_BYTES_PER_S gives way, in ms: a client that means to finish a frame sends it in one go.
 */
export const CLIENT_LAGGING_AFTER_MS = 1_000
/** Bytes a second of a frame that does not lag: an eighth of a slow line of 4 Mbit/s. */
export const CLIENT_LAGGING_BYTES_PER_S = 64 * 1024
/**
 * Bytes a second that a frame must have come with, once it is older than `client_idle_timeout`: the slowest mobile
 * network does better, and a byte now and then keeps no place for ever.
 */
export const CLIENT_FRAME_BYTES_PER_S_MIN = 4 * 1024
/**
 * When all places are taken, a connection that has sent no transaction since it was opened gives its place to a
 * newcomer after this, in ms: a client connects in order to send.
 */
export const CLIENT_MUTE_MS = 10_000
/** The same for one that has sent transactions and rests, in ms: it may be about to send more, so it has longer. */
export const CLIENT_RESTING_MS = 60_000
/** Sources that are looked at in search of such a connection, for each newcomer: a flood of them must stay cheap. */
export const CLIENT_SOURCES_LOOKED_AT = 64
/**
 * Silence after which TCP asks whether the client's host is still there, in ms. Ten questions, a second apart, without
 * an answer close the connection.
 */
export const CLIENT_KEEP_ALIVE_MS = 15_000
/** How often half frames are looked at, in ms, or a quarter of `client_idle_timeout` if that is less. */
export const CLIENT_TICK_MS = 1_000
/**
 * Bytes of a batch that is worth its own write and flush before its delay is over: two cells of a segment file.
 * Larger batches cost hardly less for each byte where the pipeline is idle.
 */
export const EARLY_SEAL_BYTES_MIN = 32 * 1024
/**
 * A quorum that has certified the last batch within so many ms has cores to spare: twice what it takes four authorities on
 * an idle machine. Where it takes longer, each batch that is sealed early makes the others later.
 */
export const QUICK_CERTIFICATION_MS = 30
/** Smaller batches a second that are sealed early: as many as one delay of 100 ms would make, they at most double in number. */
export const SMALL_EARLY_SEALS_PER_S = 10
/** So many of them at once: a user who tries the first transactions by hand waits for none. */
export const SMALL_EARLY_SEALS_BURST = 10
