/** Limits of the store's files, each with its unit and its reason. */

/** Bytes that the disk must have free for a store to be opened: LMDB's own pages and a few small batches. */
export const STORE_FREE_BYTES_MIN = 1024 * 1024
