/** Limits that fetching batches by digest alone needs, each with its unit and its reason. */
import assert from 'node:assert'
import { BATCH_SIZE_MAX, REQUESTS_OPEN_MAX } from '../../../shared/constants.js'

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
