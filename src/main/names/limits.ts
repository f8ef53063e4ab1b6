/** Limits of the resolution of names. */
import assert from 'node:assert'

/** Addresses of one name that are used; a name with more of them has these. */
export const NAME_ADDRESSES_MAX = 8
/** Of these, those tried in one attempt to reach a peer: the others have their turn in the next. */
export const NAME_ADDRESSES_PER_ATTEMPT = 4
/**
 * Questions that the system's resolver has at a time. It blocks a thread of libuv's pool, and libuv lets it have half of the
 * pool's four: files and flushes go on whatever it does.
 */
export const NAME_LOOKUPS_MAX = 2
/** Of these, questions about names whose last answer was slow: names that answer do not wait for those that do not. */
export const NAME_SLOW_LOOKUPS_MAX = 1
/** An answer that took so long, in ms, was slow. */
export const NAME_SLOW_MS = 500
/** Who wants an address waits so long for an answer, in ms, and goes on with the last one. */
export const NAME_WAIT_MS = 2_000
/** An answer, or its failure, holds for so long, in ms, whoever asks: strangers cannot have the resolver asked at their rate. */
export const NAME_FRESH_MS = 1_000
/** A name on which trust or a place depends is asked about at least so often, in ms. */
export const NAME_REFRESH_MS = 30_000
/** While a name does not resolve, a line says so this often, in ms. */
export const NAME_LOG_MS = 300_000
/** One name has at most one line in the log in so many ms, however often it comes and goes. */
export const NAME_LINE_MS = 10_000

assert(NAME_SLOW_LOOKUPS_MAX < NAME_LOOKUPS_MAX)
assert(NAME_ADDRESSES_PER_ATTEMPT <= NAME_ADDRESSES_MAX)
