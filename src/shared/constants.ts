/**
 * Limits of the wire and of memory, and those that several rooms keep, each with its unit and its reason. What one room
 * alone keeps is in the `limits.ts` of that room. Relations between limits are asserted when the module loads.
 */
import { assert } from './assert.js'

// --- Identity -------------------------------------------------------------------------------------------------------

/** Bytes of an Ed25519 public key, which names an authority. */
export const PUBLIC_KEY_BYTES = 32
/** Bytes of a batch digest (SHA-256). To a primary it is opaque. */
export const DIGEST_BYTES = 32
/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64
/** Authorities in a committee: a peer set is a 256-bit mask in one ring descriptor. */
export const COMMITTEE_SIZE_MAX = 256

// --- The batch ------------------------------------------------------------------------------------------------------

/** Bytes of the header of an encoded batch (docs/protocol.md). */
export const BATCH_HEADER_BYTES = 64
/** Bytes of the length in front of each transaction, on a client's socket and in a batch alike. */
export const TRANSACTION_PREFIX_BYTES = 4
/** The greatest `batch_size` accepted: the reference's frame limit, so that either side of the wire can hold a batch. */
export const BATCH_SIZE_MAX = 8 * 1024 * 1024
/**
 * The frames that start in so many bytes of a batch are a chunk, which its digest hashes and a proof holds. More chunks
 * cost more calls of SHA-256 (`npm run bench -- --only digest`).
 */
export const CHUNK_BYTES = 4 * 1024
/** Chunks whose hashes are hashed at once, the second level of a digest: one call of SHA-256 in place of fifteen nodes. */
export const PAGE_CHUNKS = 16

// --- The primary link -----------------------------------------------------------------------------------------------

/** Bytes of a frame's payload on the reference's sockets (tokio-util `LengthDelimitedCodec`, its default). */
export const REFERENCE_FRAME_BYTES_MAX = 8 * 1024 * 1024

assert(BATCH_SIZE_MAX <= REFERENCE_FRAME_BYTES_MAX)

// --- Shared memory --------------------------------------------------------------------------------------------------

/** Bytes of the header of a frame between workers: u32 LE payload length, u8 type, three zeros. */
export const BATCH_FRAME_HEADER_BYTES = 8
/** Own slots that main keeps to send stored batches again: at boot, and when another authority lacks them. */
export const RESEND_SLOTS = 4
/**
 * Inbound slots of each peer for batches that it was asked for, at least: one being received while one is stored. Apart from
 * those of its own batches, so that neither starves the other; and of each peer, so that those who trickle their replies hold
 * up nobody else's.
 */
export const SYNC_SLOTS_PER_PEER_MIN = 2
/** The same at most: a slot is held for a commit group and its flush, some 50 ms, so that is a hundred and more a second. */
export const SYNC_SLOTS_PER_PEER_MAX = 8
/** Bytes of these slots of all peers, up to which each may have more than the least. */
export const SYNC_SLOTS_BYTES_MAX = 16 * 1024 * 1024
/** Least bytes of the ring between `submit()` and the batch-maker; it always holds two of the largest transactions. */
export const SUBMIT_RING_BYTES_MIN = 1024 * 1024
/** Messages handled in one pass over a ring, so that one busy ring does not keep the others waiting. */
export const RING_DRAIN_LIMIT = 64

// --- Sequences ------------------------------------------------------------------------------------------------------

/** Sequences reserved durably at once: an fsync per million batches. */
export const SEQUENCE_RANGE = 1n << 20n
/** Unix milliseconds times this is the least sequence of a new reservation: a new store never repeats an old one's. */
export const SEQUENCE_PER_MS = 1n << 20n
/** Sequences left at which the next range is asked for. */
export const SEQUENCE_RANGE_LOW = 1n << 18n

assert(SEQUENCE_RANGE_LOW < SEQUENCE_RANGE)

// --- Keys and ids ---------------------------------------------------------------------------------------------------

/** Bytes of an Ed25519 seed: the secret half of a key file, and a network key. */
export const SEED_BYTES = 32
/** The greatest worker id: a u32 on the wire. */
export const WORKER_ID_MAX = 2 ** 32 - 1

// --- Hello ------------------------------------------------------------------------------------------------------------

/** Bytes of an encoded hello: it comes from whoever could open a connection, so it is small. */
export const HELLO_BYTES_MAX = 4096
/** Addresses in a hello: what a machine with a few interfaces listens on. */
export const HELLO_ADDRESSES_MAX = 16
/** Characters of each string in a hello. */
export const HELLO_STRING_CHARS_MAX = 256
/**
 * How far ahead of our clock a hello's time may be, in ms. Of two network keys of a worker the one with the later hello
 * holds: one dated next year would shut out every change of the key until then. Clocks that are set by hand are a few
 * minutes apart.
 */
export const HELLO_AHEAD_MS_MAX = 600_000

// --- Address records ------------------------------------------------------------------------------------------------

/** Bytes of a signed address record: what a stranger's table gives is small, and what a table keeps is a few of these. */
export const ADDRESS_RECORD_BYTES_MAX = 2_048
/** Addresses in one: those of a machine with an interface or two in both families. */
export const ADDRESS_RECORD_ADDRESSES_MAX = 4
/** How old one may be, in ms: a day. A node publishes its own again every few minutes. */
export const ADDRESS_RECORD_AGE_MS_MAX = 86_400_000

// --- Acknowledgements -----------------------------------------------------------------------------------------------

/** Bytes of an ACK record between workers (docs/protocol.md). */
export const ACK_BYTES = 48
/** Bytes of a set of authorities, one bit per index. */
export const PEER_MASK_BYTES = COMMITTEE_SIZE_MAX / 8

assert(PEER_MASK_BYTES <= 32, 'a peer set fits the mask of a ring descriptor')
assert(BATCH_HEADER_BYTES + TRANSACTION_PREFIX_BYTES < CHUNK_BYTES, 'a frame starts in the first chunk of every batch')

// --- Between main and the primary's thread --------------------------------------------------------------------------

/**
 * Messages of one authority that main hands to the primary's thread before it has taken the ones before. A peer whose
 * messages wait is not read: its own stream holds the rest. A round is four messages.
 */
export const PRIMARY_INBOUND_MESSAGES_MAX = 256
/** The same in bytes. What is below it lets one more message in, so the largest certificate passes always. */
export const PRIMARY_INBOUND_BYTES_MAX = 1024 * 1024

// --- Store ----------------------------------------------------------------------------------------------------------

/** Digests in one answer of a walk over the store (recovery at boot). */
export const WALK_CHUNK = 256

// --- Between workers ------------------------------------------------------------------------------------------------

/** The version of the protocols in docs/protocol.md. Workers of different versions refuse each other's hello. */
export const PROTOCOL_VERSION = 4
/** Bytes of yamux's window of a stream when it opens, both ways: the specification's, which every implementation assumes. */
export const STREAM_WINDOW_INITIAL_BYTES = 256 * 1024
/**
 * Bytes of the window of a stream on which batches come in, once its reader has raised it by an update. A sender fills it
 * only while the receiver has slots; 4 MiB holds eight batches, the bandwidth-delay product of 400 Mbit/s over 80 ms.
 */
export const STREAM_WINDOW_BYTES = 4 * 1024 * 1024
/**
 * Bytes handed to a stream at once: with yamux's 12-byte header exactly four noise messages of 65,519 bytes, so that no
 * slice ends in a fifth, tiny one. Each slice costs events, a window update and wake-ups on both sides; smaller ones
 * would let ACKs in between sooner.
 */
export const SLICE_BYTES = 4 * 65_519 - 12
/** A frame that has begun and does not go on for this long, while we take its bytes, ends its stream. */
export const FRAME_STALL_MS = 30_000

/** Digests in one batch request: 32 MiB of batches of 500 kB. */
export const REQUEST_DIGESTS_MAX = 64

/** Digests that the Synchronizer looks for at once: 4 MiB of digests' worth of Synchronize messages. */
export const SYNC_PENDING_MAX = 65_536
/** Digests that wait to be pushed again. */
export const PUSH_AGAIN_QUEUE_MAX = 4_096

assert(SLICE_BYTES <= STREAM_WINDOW_INITIAL_BYTES)
assert(STREAM_WINDOW_INITIAL_BYTES <= STREAM_WINDOW_BYTES)
assert(64 + DIGEST_BYTES * SYNC_PENDING_MAX <= REFERENCE_FRAME_BYTES_MAX)

// --- The gateway ----------------------------------------------------------------------------------------------------

/** Connections of applications, all together: 512 readers of the stream, and as many that ask. */
export const GATEWAY_CONNECTIONS_MAX = 1_024
