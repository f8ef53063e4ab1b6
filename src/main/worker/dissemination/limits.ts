/** Limits of dissemination alone, each with its unit and its reason. */
import assert from 'node:assert'
import { PUSH_AGAIN_QUEUE_MAX, RESEND_SLOTS } from '../../../shared/constants.js'
import { PRIMARY_QUEUE_MAX, PRIMARY_RESEND_MAX } from '../primary-link/limits.js'

/**
 * ACKs that one peer may send in a second for what is not in flight to it: what it was never sent, or has answered already.
 * A worker that follows the protocol sends none. Each costs this thread and the quorum-waiter a message, and 146 of them
 * fit into a piece that costs its connection nothing.
 */
export const STRAY_ACKS_PER_SECOND = 100
/** Batches in flight to one peer at first and at least: more only make buffers old (docs/performance.md). */
export const IN_FLIGHT_MIN = 3
/** Of the own slots, the share that batches in flight to one peer may hold, but always IN_FLIGHT_MIN of them. */
export const IN_FLIGHT_SLOTS_SHARE = 1 / 4
/** Below this share of free own slots, certified batches are dropped for the peers that lag behind. */
export const SLOTS_SHORT_SHARE = 1 / 4
/** While at most this share of the batch-maker's slots is not free, one that is let go of may come back with the next tick. */
export const SLOTS_PLENTY_SHARE = 1 / 2
/**
 * When no own slot has been free for this long, and what holds them is certified, the stream of the peer that holds
 * the oldest is aborted: a peer that is stuck delays the others by this much, once for each of its connections.
 */
export const SLOTS_STARVED_MS = 1_000
/**
 * A batch that a quorum has had for so many times `ack_timeout` goes to no peer a second time when its stream is lost: one
 * that takes it and comes back on another stream, again and again, holds its slot for no longer.
 */
export const HELD_ACK_TIMEOUTS_MAX = 2
/**
 * While a peer has owed the answer to a batch that was sent again for this long, in ms, other such batches that a quorum has
 * are not kept for it when their slots run short: it would set the pace for all who lack some.
 */
export const HEAL_PATIENCE_MS = 5_000
/**
 * A peer that was found stuck has what is sent again one at a time, until it has answered all within HEAL_PATIENCE_MS for this
 * long, in ms: one that was slow for once is not slow for ever, and one that withholds answers has them found meanwhile.
 */
export const STUCK_MENDED_MS = 60_000
/** A stream of a peer's that was refused is opened again after this long. */
export const STREAM_BACKOFF_MS = 1_000
/** How long a `drain` may be missing before the stream is asked: one has been seen to get lost (peerbit#770). */
export const DRAIN_WATCHDOG_MS = 1_000

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

/** Of a link on which fresh batches wait, the share of the bytes that go to batches that somebody lacks. */
export const HEAL_LINK_SHARE = 1 / 8
/**
 * The same while our primary commits nothing. Its next header names all that is certified until then: if fresh batches
 * came faster than others get what they lack, they would lack more with each header, and none would be certified.
 */
export const HEAL_STILL_LINK_SHARE = 7 / 8
/**
 * Bytes a second of batches that are sent again because somebody lacks them, to all peers at once; what goes to one of them
 * counts by its share. Whoever can reach the primary's port can ask for them.
 */
export const HEAL_BYTES_PER_SECOND = 8 * 1024 * 1024
/** The same while our primary commits nothing. */
export const HEAL_STILL_BYTES_PER_SECOND = 4 * HEAL_BYTES_PER_SECOND
/** What looking for one costs at least, in those bytes: 512 a second, whether they are there or not. */
export const HEAL_LOOKUP_BYTES = 16 * 1024
/**
 * A batch of ours is pushed again at the request of another authority's primary at most once in this time, in ms; and to a
 * peer that is owed it at most once.
 */
export const PUSH_AGAIN_INTERVAL_MS = 10_000
/** Digests that wait to be sent again, of all sources: four that each ask for as much as they may. */
export const HEALS_WAITING_MAX = 4 * PUSH_AGAIN_QUEUE_MAX
/**
 * Digests that are owed to one peer: somebody has asked for them, and the peer was not there, or refused them. As many as
 * one source may ask for; beyond it the oldest are forgotten, of which the header that names them is the oldest too.
 */
export const HEALS_OWED_MAX = PUSH_AGAIN_QUEUE_MAX
/**
 * Of these, those that go out together, when nothing that somebody lacks is on its way to the peer any more: as many as there
 * are slots for sending again, so that none has to be dropped for it once more.
 */
export const HEALS_OWED_AT_ONCE = RESEND_SLOTS
/** Digests that were sent again within PUSH_AGAIN_INTERVAL_MS: as many as there can be, so that none is forgotten early. */
export const HEALED_REMEMBERED_MAX = 32_768
/** When a batch is on its way out of its slot, or too many were sent again lately: look again after this, in ms. */
export const HEAL_POLL_MS = 20
/**
 * Own batches that wait to be certified anew: as many as there are reports that can wait. When there are more, sealing
 * pauses, so that no more than as many again can come.
 */
export const RENEWALS_MAX = PRIMARY_QUEUE_MAX
/**
 * Own batches that were certified anew, or are being so, and whose report is not delivered. While there are so many, others
 * go out at RENEWAL_BYTES_PER_SECOND: a primary may come, take nothing, and go until all of that is stale again.
 */
export const RENEWED_UNDELIVERED_MAX = 64
/**
 * Own batches whose report was delivered shortly before a link was lost, and that wait to be certified anew behind all others:
 * as many as a link remembers. The oldest is forgotten.
 */
export const REPEATED_RENEWALS_MAX = PRIMARY_RESEND_MAX
/**
 * Bytes a second of these, and of those beyond RENEWED_UNDELIVERED_MAX: a primary that comes and goes has them certified
 * anew each time. It is as much as others can have sent again.
 */
export const RENEWAL_BYTES_PER_SECOND = HEAL_BYTES_PER_SECOND
/** From this part of our share of the others' stores on we seal more slowly, in thousandths. */
export const SHARE_SLOW_FROM = 500
/** The pause between two batches when it is full, in ms: the next ACKs say whether it is still. */
export const SHARE_PAUSE_MS_MAX = 1000
/** A batch is still being sent to a peer under its last certificate: look again after this, in ms. */
export const RENEWAL_POLL_MS = 20

// At most so many are sent again in a second: our primary may begin and cease to stand still within it, so both rates add up.
const HEALED_PER_SECOND_MAX = (HEAL_BYTES_PER_SECOND + HEAL_STILL_BYTES_PER_SECOND) / HEAL_LOOKUP_BYTES
// One second more: what was not used in a second may be used at once.
assert(HEALED_REMEMBERED_MAX >= HEALED_PER_SECOND_MAX * (PUSH_AGAIN_INTERVAL_MS / 1000 + 1))
