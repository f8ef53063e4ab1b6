/** Limits of the network alone: which connections may come in, and whom it dials. */
import assert from 'node:assert'
import { CONNECTIONS_PER_AUTHORITY_MAX, DIAL_BACKOFF_MAX_MS } from '../../shared/constants.js'

// --- Connections that came in and are without a hello ---------------------------------------------------------------

/**
 * Connections in each stage before the hello, of all strangers together: about 40 kB each. At 500 new ones a second, each
 * still has half a second for its next step.
 */
export const STRANGER_PLACES_MAX = 256
/** Of these, the connections of one source address: half, so that one hoarder leaves room without an eviction. */
export const SOURCE_PLACES_MAX = 128
/** Places in each stage for each of the committee that is at a source address, which strangers elsewhere cannot take. */
export const MEMBER_PLACES = CONNECTIONS_PER_AUTHORITY_MAX
/** Source addresses remembered for each of the committee beside the committee file's: where it was verified last. */
export const MEMBER_SOURCES_MAX = 2
/** How often to look for connections whose time for a hello is over, in ms. */
export const ADMISSION_SWEEP_MS = 250

assert(SOURCE_PLACES_MAX < STRANGER_PLACES_MAX)

// --- Dialling -------------------------------------------------------------------------------------------------------

/** Of the addresses in a peer's hello, those that are kept: a move, a second interface, and two to spare. */
export const PEER_ADDRESSES_MAX = 4
/** Of these, those tried in one attempt to reach the peer: the others have their turn in the next. */
export const PEER_ADDRESSES_PER_ATTEMPT = 2
/** A connection that lasted this long, in ms, was a good one: the pause before the next attempt is short again. */
export const STABLE_CONNECTION_MS = 10_000
/** An older connection of a peer has this long, in ms, to show that it is alive when the peer has a newer one. */
export const PROBE_TIMEOUT_MS = 3_000

assert(STABLE_CONNECTION_MS > DIAL_BACKOFF_MAX_MS)

// --- Log lines ------------------------------------------------------------------------------------------------------

/** Lines about one peer's coming and going that are logged one by one, after a quiet time. */
export const PEER_LINES_BURST = 6
/** After those, lines about it are counted, and said in one line each time so many ms have passed. */
export const PEER_LINES_INTERVAL_MS = 10_000
