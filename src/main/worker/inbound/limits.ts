/** Limits of the batches of others, each with its unit and its reason. */

/** Bytes of ACKs that a peer may leave unread: beyond it, its batch stream is aborted. */
export const ACK_BYTES_UNREAD_MAX = 64 * 1024
