/** Limits that fetching batches by digest alone needs, each with its unit and its reason. */
import assert from 'node:assert'
import { BATCH_SIZE_MAX, REQUEST_DIGESTS_MAX, SYNC_PENDING_MAX } from '../../../shared/constants.js'

/** Bytes of a batch request: the digests, and MessagePack around them. */
export const REQUEST_BYTES_MAX = 64 * REQUEST_DIGESTS_MAX + 64
/** Requests that one peer may have open with us. */
export const REQUESTS_OPEN_MAX = 2
/** Batch bytes that one peer gets from the Helper in a second, averaged over ten: what a busy link carries. */
export const HELPER_BYTES_PER_SECOND = 64 * 1024 * 1024
/**
 * Where the primary asks again for what it still misses, every five seconds: what it has not asked for in this time, in ms,
 * is of no use any more. Rounds do not tell: what is ordered has to be here, however many commits have passed.
 */
export const SYNC_UNNAMED_MS = 30_000
/**
 * Digests of Synchronize messages that are being looked up in the store at once: two of the largest messages. Our primary has
 * no rate, and a busy store may answer later than the next message comes: without a limit, digests would pile up.
 */
export const SYNC_LOOKUPS_MAX = 2 * SYNC_PENDING_MAX
/**
 * So many times `sync_retry_delay` after it was asked for, a batch is asked of others though its peer goes on sending other
 * batches that it was asked for: a peer could hold it back behind them.
 */
export const SYNC_PATIENCE_DELAYS = 4
/** How often the Synchronizer looks for what is due. */
export const SYNC_TICK_MS = 500

/**
 * Bytes of batches that are read from the store or wait to be sent in replies to all peers together: each peer may have
 * REQUESTS_OPEN_MAX of them, and a committee of 256 with batches of 8 MiB would otherwise hold 4 GiB.
 */
export const REPLY_BYTES_MAX = 64 * 1024 * 1024
/**
 * While others wait for that memory, a reply that has held a batch for longer than this, and longer than the largest
 * batch takes at REPLY_BYTES_PER_S_MIN, gives way to them, in ms: a pause of a busy process is shorter.
 */
export const REPLY_HELD_MS = 5_000
/** Bytes a second at which a peer takes a batch while others wait: the slowest link that a committee can run on. */
export const REPLY_BYTES_PER_S_MIN = 1024 * 1024
/**
 * From the opening of a sync stream until its request is there whole, in ms. We send a request in the turn in which we
 * open its stream; a peer that does not would keep its places with streams that say nothing.
 */
export const REQUEST_WHOLE_MS = 10_000
/** What one digest of a request counts in HELPER_BYTES_PER_SECOND if we do not have the batch: a look into the store. */
export const LOOKUP_BYTES = 4 * 1024

assert(REPLY_BYTES_MAX >= REQUESTS_OPEN_MAX * BATCH_SIZE_MAX, 'one peer cannot wait for itself')
