/** Limits of the processor's thread. */

/** Digests of damaged batches that are remembered: 64 bytes each. A forgotten one is found again when it is read. */
export const DAMAGED_REMEMBERED_MAX = 65_536
/**
 * Of the store without the reserve for own batches under way, this part belongs to no author: it is for batches that were
 * asked for by digest, so that full shares never keep us from catching up. One of so many.
 */
export const FETCH_PART = 8
/**
 * Under a narval primary only what nobody has named counts in shares, and that is little: a batch is named within a second. So
 * all shares together are this part of the store: 8 GB of the usual size, more than a minute of a whole network's traffic.
 */
export const SHARES_PART = 8
/** The same for what was asked for by digest and is not named yet, beyond the shares. */
export const FETCH_PART_OF_UNNAMED = 16
/** The part of the store that committed batches leave free for what comes: they go two for each one that is stored. */
export const COMMITTED_SLACK_PART = 8
/** Batches of the largest size that every author has room for, however little stake: one being stored, one to follow. */
export const SHARE_BATCHES_MIN = 2

/**
 * Bytes of batches that wait for LMDB or are being written: eight full batches of the usual size. More do not fit in the
 * processor's cache, and cost twice the CPU (`npm run bench -- --only lmdb`).
 */
export const PUT_BYTES_MAX = 3_900_000
/**
 * The beginnings of two commit groups (transactions of LMDB) are at least this far apart, in ms, unless enough batches
 * wait. On a busy node three or four batches then share what a group costs, and each waits half of this time longer on
 * average.
 */
export const COMMIT_GROUP_INTERVAL_MS = 20
/** When so many batches wait, a group begins at once: slots are few, and batches may be small. */
export const COMMIT_GROUP_BATCHES = 4
/** The same for bytes: half of PUT_BYTES_MAX, so that the next group fills while one is written. */
export const COMMIT_GROUP_BYTES = PUT_BYTES_MAX / 2
/** Batches deleted for each one stored, in the same commit groups: more than one, or a deletion would never end. */
export const DELETES_PER_PUT = 2
/** Batches deleted in one commit group while no batches are stored. A batch that comes then waits for that group. */
export const DELETES_WHEN_IDLE = 64
/** Batches of commits beyond retention that are looked at in one turn of the event loop: some 10 ms. */
export const KEPT_KEYS_PER_TURN = 2048
