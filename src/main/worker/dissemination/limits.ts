/** Limits of dissemination alone, each with its unit and its reason. */

/** Pause before a peer that refused a batch is sent one again, in ms: about as long as a peer's store takes for a few commits. */
export const REFUSAL_BACKOFF_MIN_MS = 100
/**
 * The longest such pause, in ms. It is how late a batch may be that only this peer can certify once the peer has room;
 * and a peer that refuses for hours is sent one batch in this time.
 */
export const REFUSAL_BACKOFF_MAX_MS = 5_000
/**
 * While the pause is at least this long, in ms, the peer is sent nothing that a quorum has: it would hold slots for a peer
 * that has no room. After a shorter one it is sent what has waited, so that it need not ask for it.
 */
export const REFUSAL_DROP_MS = 1_000
