/** Limits of the messages between a worker and its own primary in two processes, each with its unit and its reason. */

/** Digests in one message: 32 KiB, as many as a worker's store takes in one write. */
export const LINK_DIGESTS_MAX = 1_024
/** Characters of why a worker is refused. */
export const LINK_REFUSAL_CHARS_MAX = 512
