/** Limits of the primary's store, each with its unit and its reason. */

/**
 * Entries that are deleted in a transaction beside twice as many as it writes: more than come in, or the store would grow;
 * few, so that no vote waits for a long deletion.
 */
export const GC_DELETES_BASE = 64
/** Records of the log that are kept, in commits, unless the options say otherwise. */
export const RETENTION_COMMITS_DEFAULT = 2 ** 22
/** The same in bytes: whichever is exceeded first. */
export const RETENTION_LOG_BYTES_DEFAULT = 4 * 1024 ** 3
/**
 * Rounds behind `gcRound` of which certificates are kept, for peers that are behind: who was away for longer cannot come
 * back. It is an hour at 25 rounds a second, and a day at rest.
 */
export const CERTIFICATE_ROUNDS_KEPT = 100_000
/** Bytes of these certificates: in a committee of 256 a round has twelve megabytes. */
export const CERTIFICATE_BYTES_KEPT = 1024 ** 3
/** How long writes wait for others to go with, in ms, when nobody waits for them. */
export const TURNS_HELD_MS = 50
/** Turns that wait so at most: fewer than the reports that a worker has on their way, which must not wait for each other. */
export const TURNS_HELD_MAX = 16
