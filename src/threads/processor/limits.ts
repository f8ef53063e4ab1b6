/** Limits of the processor's thread. */

/** Digests of damaged batches that are remembered: 64 bytes each. A forgotten one is found again when it is read. */
export const DAMAGED_REMEMBERED_MAX = 65_536
/**
 * Between two looks at the store's file, ms: its size, and whether a flush of it failed. Linux says the latter to each
 * open file once, LMDB says it to nobody, and kill -9 within this time leaves no record of it.
 */
export const STORE_LOOK_MS = 1_000
/** Between two looks for readers that died: each keeps the pages of its snapshot from being used again. */
export const DEAD_READERS_MS = 10_000

/**
 * Of the store without the reserve for own batches under way, this part belongs to no author: it is for batches that were
 * asked for by digest, so that full shares never keep us from catching up. One of so many.
 */
export const FETCH_PART = 8
/** Batches of the largest size that every author has room for, however little stake: one being stored, one to follow. */
export const SHARE_BATCHES_MIN = 2
