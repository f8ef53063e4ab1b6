/** Limits of the batches of others, each with its unit and its reason. */

/** Bytes of ACKs that a peer may leave unread: beyond it, its batch stream is aborted. */
export const ACK_BYTES_UNREAD_MAX = 64 * 1024

/**
 * Bytes below which a batch is small: what it costs us is not its bytes but the work that each batch makes, some 0.2 ms
 * of CPU whatever is in it. Where `batch_size` is less than twice this, half of `batch_size`.
 */
export const SMALL_BATCH_BYTES = 16 * 1024

/**
 * Small batches a second that we take from a peer. Its stream waits for the others; none is refused. An honest author
 * seals small ones when `max_batch_delay` is over, ten a second by default; what a returning peer is owed is taken at
 * this rate too. Without it one member costs all workers half of a core each, for 70 bytes a batch.
 */
export const SMALL_BATCHES_PER_SECOND = 500

/** Small batches of a peer that may come at once. */
export const SMALL_BATCHES_BURST = 1_000
