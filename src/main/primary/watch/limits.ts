/** Limits of what watches a primary, each with its unit and its reason. */
import { assert } from '../../../shared/assert.js'

/** Batches of ours that are not in the order yet, and of which times are kept: a minute of a busy node in a stall. */
export const STAGE_BATCHES_MAX = 16_384
/** Headers of ours of which times are kept: more than are undecided at a time, unless the order stands still. */
export const STAGE_HEADERS_MAX = 1024

/** How often it is looked at, in ms. */
export const WATCH_MS = 250
/**
 * Without a new round for so long, in ms, something is missing: at rest a round takes a second, and between the farthest
 * continents one and a half. Who watches hears of it within five seconds.
 */
export const ROUND_STILL_MS = 3000
/** A peer that was heard later than so long after a round began to stand still, in ms, is there: before, it was on its way. */
export const HEARD_GRACE_MS = 1000
/** A thread that has handled nothing for so long, in ms, is stuck: it looks at its own load five times a second. */
export const THREAD_STILL_MS = 3000
/** A flush that takes so long, in ms, holds up all that is signed: a good disk takes one or two, a busy one a hundred. */
export const FLUSH_SLOW_MS = 2000
/** So many rounds behind what others have shown, it is more than what is on its way: whole rounds are fetched. */
export const BEHIND_ROUNDS = 4
/**
 * So many commits behind the latest checkpoint that a quorum has signed, its signatures do not come: sixteen checkpoints,
 * some ten seconds at saturation and two minutes at rest.
 */
export const ATTESTED_BEHIND_COMMITS = 512
/** An authority without a certificate for so long, in ms, and for so many rounds, is called missing. */
export const MISSING_MS = 5000
export const MISSING_ROUNDS = 3
/** A problem of one kind is said in the log once in so many ms, with its end; */
export const PROBLEM_LOG_MS = 60_000
/** and so often in a row: the next stall is said at once, though it comes soon behind one that is over. */
export const PROBLEM_LOG_BURST = 4
/** Names in one text for people: the others are counted. */
export const NAMES_SHOWN_MAX = 16

assert(ROUND_STILL_MS + 2 * WATCH_MS < 5000)
