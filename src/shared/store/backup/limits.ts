/** Limits of backups, each with its unit and its reason. */

/** Bytes that are copied between two turns of the event loop, so that Ctrl-C is heard: a disk takes them in some 20 ms. */
export const BACKUP_BYTES_PER_TURN = 4 * 1024 * 1024
/** Entries of an index that are read in one snapshot. */
export const BACKUP_CHUNK = 256
/** Batches that are taken out of a copy in one transaction. */
export const BACKUP_DROPS_PER_TRANSACTION = 1_024
