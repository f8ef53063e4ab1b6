/** Limits of discovery through a distributed hash table: what it may cost a node, and what a bootstrap node keeps and serves. */
import assert from 'node:assert'

// --- Looking for others ---------------------------------------------------------------------------------------------

/** Bootstrap nodes that a node may be given: each is dialled in each round. */
export const KAD_BOOTSTRAP_MAX = 16
/**
 * Pause between two rounds, in ms, while an authority is not connected: short after one that found something, doubled after
 * one that found nothing. A round costs some 50 ms of CPU, so this is at most a fortieth of a core, whatever a
 * table or a member of the committee does.
 */
export const KAD_ROUND_MIN_MS = 2_000
/** The longest of these pauses: a minute. Who comes back finds us, so that nobody waits for this. */
export const KAD_ROUND_MAX_MS = 60_000
/** A node publishes its own record so often, in ms, though nobody is missing: a bootstrap node that starts anew knows none. */
export const KAD_REPUBLISH_MS = 600_000
/** Time of a round, in ms: what is not found by then waits for the next. */
export const KAD_ROUND_TIMEOUT_MS = 20_000
/** Authorities that are looked up in one round: the others have their turn in the next. */
export const KAD_LOOKUPS_PER_ROUND = 32
/** Lookups at a time. */
export const KAD_LOOKUPS_AT_A_TIME = 4
/** Time to reach one node of the table, in ms. */
export const KAD_DIAL_TIMEOUT_MS = 2_000
/** Time for one answer of a node of the table, in ms. */
export const KAD_ANSWER_MS = 3_000
/**
 * Addresses that nodes of the table may make us dial, in a minute, all of them together: those of more nodes of the table.
 * Bootstrap nodes are not counted, since the user names them. A round has time for all of them, also if each is a trap.
 */
export const KAD_DIALS_PER_MINUTE = 16
/** The log says so often that no bootstrap node is reached, in ms. */
export const KAD_LOG_MS = 300_000

// --- Connections of the table, at both ends ---------------------------------------------------------------------------

/** Units of work (network/limits.ts) that a connection may cost: a round's lookups take some 1,500. Then it is closed. */
export const KAD_CONNECTION_WORK_MAX = 4_096
/** Bytes that a connection may bring: a round's records of 2 KiB, and addresses of nodes of the table. */
export const KAD_CONNECTION_BYTES_MAX = 256 * 1024

// --- A bootstrap node ------------------------------------------------------------------------------------------------

/** Connections in each stage, of all together: about 60 kB each. */
export const KAD_PLACES_MAX = 256
/** Of these, the connections of one source address. */
export const KAD_SOURCE_PLACES_MAX = 64
/** A connection is closed after this long, in ms: a round is over by then. */
export const KAD_CONNECTION_MS = 30_000
/** Nodes that are remembered with their addresses; those heard of longest ago are forgotten. */
export const KAD_PEERS_MAX = 1_024
/** Bytes of what is remembered of one node: identify takes messages of 8 KiB. */
export const KAD_PEER_BYTES_MAX = 16 * 1024
/** A bootstrap node dials the other ones that it was given so often, in ms: they close connections, and may start anew. */
export const KAD_REJOIN_MS = 10_000
/** It logs so often what it has refused, in ms. */
export const KAD_REPORT_MS = 60_000

assert(KAD_SOURCE_PLACES_MAX < KAD_PLACES_MAX)
assert(KAD_ROUND_TIMEOUT_MS < KAD_CONNECTION_MS)
assert((KAD_DIALS_PER_MINUTE * KAD_DIAL_TIMEOUT_MS) / KAD_LOOKUPS_AT_A_TIME < KAD_ROUND_TIMEOUT_MS)
