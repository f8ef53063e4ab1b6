/** Limits of configuration files and of what they say, each with its unit and its reason. */
import { assert } from '../assert.js'
import { BATCH_HEADER_BYTES, BATCH_SIZE_MAX, COMMITTEE_SIZE_MAX, TRANSACTION_PREFIX_BYTES } from '../constants.js'

/** The least `batch_size` accepted: room for the header and one transaction of 1 KiB, or nothing useful fits. */
export const BATCH_SIZE_MIN = BATCH_HEADER_BYTES + TRANSACTION_PREFIX_BYTES + 1024
/** Bytes of a configuration file: a committee of 256 with 16 workers each takes 1.2 MB as the reference writes it. */
export const CONFIG_FILE_BYTES_MAX = 4 * 1024 * 1024
/** Levels of nesting in a configuration file: a committee has five. */
export const CONFIG_DEPTH_MAX = 32
/** The greatest stake of an authority: a u32 on the reference's side. */
export const STAKE_MAX = 2 ** 32 - 1
/** Workers of one authority: the machines that one primary can be expected to order for. */
export const WORKERS_PER_AUTHORITY_MAX = 256
/** Characters of a multiaddr in the committee file or a hello: a DNS name of 253 and what stands around it. */
export const MULTIADDR_CHARS_MAX = 400
/** The greatest delay or timeout that a parameter can name, in ms: an hour; Node's timers overflow at 24 days. */
export const DELAY_MS_MAX = 3_600_000
/** The greatest `gc_depth` and `retention_rounds`, in rounds: a year of ten rounds a second. */
export const ROUNDS_MAX = 2 ** 28
/** `own_slots`: one per peer window and one to fill, at least; at most 8 GiB of arena at the largest batch. */
export const OWN_SLOTS_MIN = 4
export const OWN_SLOTS_MAX = 1024
/** `inbound_slots`, for each peer: one being received while one is stored, at least. */
export const INBOUND_SLOTS_MIN = 2
export const INBOUND_SLOTS_MAX = 256
/** `store_bytes_max`, at least: room for the largest batch of a few peers, or the store is full at once. */
export const STORE_BYTES_MIN = 64 * 1024 * 1024
/** `client_connections_max`, at most: the file descriptors of a process on a machine that was set up for it. */
export const CLIENT_CONNECTIONS_MAX = 65_536
/** Sockets beside `client_connections_max` that are being closed or refused: as many as the queue of the port holds. */
export const CLIENT_SOCKETS_CLOSING_MAX = 512

// Sums of stake, and three times such a sum, are exact as doubles.
assert(COMMITTEE_SIZE_MAX * STAKE_MAX <= Number.MAX_SAFE_INTEGER / 3)
assert(STORE_BYTES_MIN >= 4 * BATCH_SIZE_MAX)
