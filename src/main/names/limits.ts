/** Limits of the resolution of names. */
import assert from 'node:assert'

/** Addresses of one name that are used; a name with more of them has these. */
export const NAME_ADDRESSES_MAX = 8
/** Of these, those tried in one attempt to reach a peer: the others have their turn in the next. */
export const NAME_ADDRESSES_PER_ATTEMPT = 4
/**
 * Questions that the system's resolver has at a time, without those that hang: few, so that a quick one does not wait
 * behind many. Each blocks a thread of libuv's pool, and libuv lets these questions have half of the pool's threads:
 * files and flushes go on whatever the resolver does.
 */
export const NAME_LOOKUPS_MAX = 2
/** Of these, questions about names whose last answer was slow: names that answer do not wait for those that do not. */
export const NAME_SLOW_LOOKUPS_MAX = 1
/**
 * Questions that have had no answer for NAME_SLOW_MS and hold none of those places. If so many hang, the next that do keep
 * their places until one of them is answered.
 */
export const NAME_HANGING_MAX = 6
/**
 * Threads of libuv's pool in a process of `run`, so that there is one for each of these questions: a thread that waits
 * takes some kilobytes. In a program that uses narval as a library the pool is that program's, of four by default: there
 * two questions that hang hold up the others, until the C library gives them up.
 */
export const POOL_THREADS = 2 * (NAME_LOOKUPS_MAX + NAME_HANGING_MAX)
/** A question without an answer for so long, in ms, is slow. */
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
