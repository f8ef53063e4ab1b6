/**
 * Every limit of narval that is not a parameter, with its unit and its reason. Relations between limits are asserted
 * below, when the module loads.
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
/** The least `batch_size` accepted: room for the header and one transaction of 1 KiB, or nothing useful fits. */
export const BATCH_SIZE_MIN = BATCH_HEADER_BYTES + TRANSACTION_PREFIX_BYTES + 1024
/** The greatest `batch_size` accepted: the reference's frame limit, so that either side of the wire can hold a batch. */
export const BATCH_SIZE_MAX = 8 * 1024 * 1024
/** Bytes of a chunk, the leaf of the Merkle tree under a batch digest: 16 KiB keeps proofs short at 1.5 GB/s of SHA-256. */
export const CHUNK_BYTES = 16 * 1024

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
 * Inbound slots of each peer for batches that it was asked for: one being received while one is stored. Apart from those
 * of its own batches, so that neither starves the other; and of each peer, so that those who trickle their replies hold
 * up nobody else's.
 */
export const SYNC_SLOTS_PER_PEER = 2
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

// --- Files: keys, committee, parameters -------------------------------------------------------------------------------

/** Bytes of an Ed25519 seed: the secret half of a key file, and a network key. */
export const SEED_BYTES = 32
/** Bytes of a configuration file: a committee of 256 with 16 workers each takes 1.2 MB as the reference writes it. */
export const CONFIG_FILE_BYTES_MAX = 4 * 1024 * 1024
/** Levels of nesting in a configuration file: a committee has five. */
export const CONFIG_DEPTH_MAX = 32
/** The greatest stake of an authority: a u32 on the reference's side. */
export const STAKE_MAX = 2 ** 32 - 1
/** The greatest worker id: a u32 on the wire. */
export const WORKER_ID_MAX = 2 ** 32 - 1
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

// Sums of stake, and three times such a sum, are exact as doubles.
assert(COMMITTEE_SIZE_MAX * STAKE_MAX <= Number.MAX_SAFE_INTEGER / 3)
assert(STORE_BYTES_MIN >= 4 * BATCH_SIZE_MAX)

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

// --- The load client ------------------------------------------------------------------------------------------------

/** Bursts that the load client sends a second: the reference client's, and part of what its rate means. */
export const CLIENT_BURSTS_PER_S = 20
/** Bytes of one burst, which the client allocates once: beyond it more clients are needed, not a larger burst. */
export const CLIENT_BURST_BYTES_MAX = 256 * 1024 * 1024
/** The load client asks each of its `--nodes` this often whether it accepts connections. */
export const CLIENT_PROBE_DELAY_MS = 10
/** How long a client that is told to stop waits for the node to take the burst that is on its way. */
export const CLIENT_STOP_GRACE_MS = 2_000

// --- A committee on one machine (`local`) ---------------------------------------------------------------------------

/** Workers that one machine is asked to run: each is a process of 100 MB and some, and has a client beside it. */
export const LOCAL_WORKERS_MAX = 128
/** All nodes have to be up and connected within this: a node boots in a second, on a busy machine in ten. */
export const LOCAL_BOOT_DEADLINE_MS = 60_000
/** After the clients have stopped, what is in flight has this long to be certified. */
export const LOCAL_DRAIN_DEADLINE_MS = 10_000
/** The same after Ctrl-C, when somebody is waiting for the prompt. */
export const LOCAL_INTERRUPTED_DRAIN_DEADLINE_MS = 2_000
/** A process that was told to stop has this long before it is killed. */
export const LOCAL_STOP_DEADLINE_MS = 15_000
/** When a process fails because another died, the other's end is seen within this. */
export const LOCAL_BLAME_MS = 300
/** One round of the primary's stand-in: the reference's `max_header_delay`, and time for its votes and certificates. */
export const LOCAL_ROUND_MS = 250
/**
 * `gc_depth` of a local committee, fewer rounds than the reference's 50: a loaded committee writes gigabytes a minute, and
 * nobody is away for long. Batches are kept for twice that, five seconds.
 */
export const LOCAL_GC_DEPTH_ROUNDS = 10
/** `retention_rounds` of a local committee: the least that there may be. */
export const LOCAL_RETENTION_ROUNDS = 2 * LOCAL_GC_DEPTH_ROUNDS
/** A node answers for its metrics within this, or the scrape is given up until the next one. */
export const LOCAL_SCRAPE_DEADLINE_MS = 5_000
/** A process's log starts anew at this size and the old one is kept once, so that a long run does not fill the disk. */
export const LOCAL_LOG_BYTES_MAX = 32 * 1024 * 1024
/** Lines of a process's log that are shown when it dies. */
export const LOCAL_LOG_TAIL_LINES = 15
/** Batches remembered after their certification, for lines about them that arrive late. */
export const LOCAL_CERTIFIED_REMEMBERED = 4_096

assert(CLIENT_STOP_GRACE_MS < LOCAL_STOP_DEADLINE_MS)

// --- Acknowledgements -----------------------------------------------------------------------------------------------

/** Bytes of an ACK record between workers (docs/protocol.md). */
export const ACK_BYTES = 48
/** Bytes of a set of authorities, one bit per index. */
export const PEER_MASK_BYTES = COMMITTEE_SIZE_MAX / 8

assert(PEER_MASK_BYTES <= 32, 'a peer set fits the mask of a ring descriptor')
assert(BATCH_HEADER_BYTES + TRANSACTION_PREFIX_BYTES < CHUNK_BYTES, 'a frame starts in the first chunk of every batch')

// --- Store ----------------------------------------------------------------------------------------------------------

/**
 * A flush that has not ended after this long has failed: LMDB never says so. The node stops rather than wait with
 * batches that it cannot acknowledge.
 */
export const FLUSH_DEADLINE_MS = 60_000
/** Bytes that the disk must have free for a store to be opened: LMDB's own pages and a few small batches. */
export const STORE_FREE_BYTES_MIN = 1024 * 1024
/**
 * Bytes of batches that wait for LMDB or are being written: eight full batches of the usual size. More do not fit in the
 * processor's cache, and cost twice the CPU (`npm run bench -- --only lmdb`).
 */
export const PUT_BYTES_MAX = 3_900_000
/**
 * The beginnings of two commit groups (transactions of LMDB) are at least this far apart, in ms, unless enough batches
 * wait. On a busy node three or four batches then share what a group costs, and each waits half of this time longer on
 * average.
 */
export const COMMIT_GROUP_INTERVAL_MS = 20
/** When so many batches wait, a group begins at once: slots are few, and batches may be small. */
export const COMMIT_GROUP_BATCHES = 4
/** The same for bytes: half of PUT_BYTES_MAX, so that the next group fills while one is written. */
export const COMMIT_GROUP_BYTES = PUT_BYTES_MAX / 2
/** Batches deleted for each one stored, in the same commit groups: more than one, or a deletion would never end. */
export const DELETES_PER_PUT = 2
/** Batches deleted in one commit group while no batches are stored. A batch that comes then waits for that group. */
export const DELETES_WHEN_IDLE = 64
/** Digests in one answer of a walk over the store (recovery at boot). */
export const WALK_CHUNK = 256

// --- Between workers ------------------------------------------------------------------------------------------------

/** The version of the protocols in docs/protocol.md. Workers of different versions refuse each other's hello. */
export const PROTOCOL_VERSION = 2
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
/** Bytes that may wait in a socket's own buffer: two slices, so that the next is ready when one is gone. */
export const SOCKET_BUFFER_BYTES = 512 * 1024
/** Connections with one authority: ours, theirs, and one more while an old one is dying. */
export const CONNECTIONS_PER_AUTHORITY_MAX = 4
/** A connection without a hello is closed after this long. */
export const HELLO_TIMEOUT_MS = 5_000
/** A dial that takes longer has failed. */
export const DIAL_TIMEOUT_MS = 8_000
/** Pause between attempts to reach a peer: it doubles from the first to the second, and some of it is random. */
export const DIAL_BACKOFF_MIN_MS = 100
export const DIAL_BACKOFF_MAX_MS = 3_000
/** The authority with the greater key dials only when it has waited this long for the other: one connection, not two. */
export const DIAL_DEFERENCE_MS = 2_000
/** Addresses of peer discovery that are remembered. */
export const LEARNED_ADDRESSES_MAX = 64
/**
 * Addresses from peer discovery that are tried in one attempt to reach a peer: each may take DIAL_TIMEOUT_MS, and the
 * peer's own address should be tried again within half a minute, whatever is announced on the network.
 */
export const DISCOVERED_PER_ATTEMPT = 4
/** A stream of a peer's that was refused is opened again after this long. */
export const STREAM_BACKOFF_MS = 1_000
/** How long a `drain` may be missing before the stream is asked: one has been seen to get lost (peerbit#770). */
export const DRAIN_WATCHDOG_MS = 1_000
/** A frame that has begun and does not go on for this long, while we take its bytes, ends its stream. */
export const FRAME_STALL_MS = 30_000

/** Batches in flight to one peer at first and at least: more only make buffers old (docs/performance.md). */
export const IN_FLIGHT_MIN = 3
/**
 * Own batches that may be uncertified beyond those in flight: one is being filled, one is being stored, and two wait so
 * that no link is idle when a window opens.
 */
export const SEALED_AHEAD = 4

/** Digests in one batch request: 32 MiB of batches of 500 kB. */
export const REQUEST_DIGESTS_MAX = 64
/** Bytes of a batch request: the digests, and MessagePack around them. */
export const REQUEST_BYTES_MAX = 64 * REQUEST_DIGESTS_MAX + 64
/** Requests that one peer may have open with us. */
export const REQUESTS_OPEN_MAX = 2
/** Batch bytes that one peer gets from the Helper in a second, averaged over ten: what a busy link carries. */
export const HELPER_BYTES_PER_SECOND = 64 * 1024 * 1024

/** Digests that the Synchronizer looks for at once: 4 MiB of digests' worth of Synchronize messages. */
export const SYNC_PENDING_MAX = 65_536
/** How often the Synchronizer looks for what is due. */
export const SYNC_TICK_MS = 500
/** A batch of ours is pushed again at the request of another authority's primary at most once in this time. */
export const PUSH_AGAIN_INTERVAL_MS = 10_000
/** Digests that wait to be pushed again. */
export const PUSH_AGAIN_QUEUE_MAX = 4_096

// --- The primary link, continued ------------------------------------------------------------------------------------

/**
 * Messages that wait while the primary is away, 44 bytes each on the wire. Beyond it those of others' batches are
 * dropped, the oldest first; when so many of own batches wait, sealing pauses.
 */
export const PRIMARY_QUEUE_MAX = 65_536
/** Messages handed to the primary's socket and not yet taken by it. */
export const PRIMARY_IN_FLIGHT_MAX = 1_024
/** At boot, batches that are to be reported again wait so long for room, and look again. */
export const REPORT_ROOM_POLL_MS = 250
/** Pause between attempts to reach the primary. */
export const PRIMARY_RETRY_MS = 200
/** Synchronize messages for our own key that are taken from other addresses than our primary's, in a second. */
export const FOREIGN_SYNCHRONIZE_PER_SECOND = 20

assert(SLICE_BYTES <= STREAM_WINDOW_INITIAL_BYTES)
assert(STREAM_WINDOW_INITIAL_BYTES <= STREAM_WINDOW_BYTES)

// --- The primary link: connections ----------------------------------------------------------------------------------

/** A connection to the primary that is not there after this long is given up and tried again. */
export const PRIMARY_CONNECT_TIMEOUT_MS = 5_000
/** Bytes of a frame from another address than our primary's: a Synchronize of PUSH_AGAIN_QUEUE_MAX digests. */
export const FOREIGN_PRIMARY_FRAME_BYTES_MAX = 64 + DIGEST_BYTES * PUSH_AGAIN_QUEUE_MAX
/** A connection from another address than our primary's that says nothing for this long is closed. */
export const FOREIGN_PRIMARY_IDLE_MS = 60_000

assert(PRIMARY_IN_FLIGHT_MAX <= PRIMARY_QUEUE_MAX)
assert(FOREIGN_PRIMARY_FRAME_BYTES_MAX <= REFERENCE_FRAME_BYTES_MAX)
assert(64 + DIGEST_BYTES * SYNC_PENDING_MAX <= REFERENCE_FRAME_BYTES_MAX)

// --- Slots under pressure -------------------------------------------------------------------------------------------

/** Below this share of free own slots, certified batches are dropped for the peers that lag behind. */
export const SLOTS_SHORT_SHARE = 1 / 4
/** Of the own slots, the share that batches in flight to one peer may hold, but always IN_FLIGHT_MIN of them. */
export const IN_FLIGHT_SLOTS_SHARE = 1 / 4
/**
 * When no own slot has been free for this long, and what holds them is certified, the stream of the peer that holds
 * the oldest is aborted: a peer that is stuck delays the others by this much, once for each of its connections.
 */
export const SLOTS_STARVED_MS = 1_000
/** Bytes of ACKs that a peer may leave unread: beyond it, its batch stream is aborted. */
export const ACK_BYTES_UNREAD_MAX = 64 * 1024

// --- Library use ----------------------------------------------------------------------------------------------------

/** Transactions of `submit()` that may wait for room in the submit ring. */
export const SUBMIT_WAITING_MAX = 1_024
/** Certified batches that a reader may leave unread: about 100 bytes each. */
export const CERTIFIED_UNREAD_MAX = 65_536
/** How long `close()` waits for batches in flight to be certified; what is not, is in the store. */
export const CLOSE_GRACE_MS = 2_000

// --- Metrics and health ---------------------------------------------------------------------------------------------

/** Connections to the port for metrics: a few scrapers, health checks and people. */
export const METRICS_CONNECTIONS_MAX = 16
/** A request for metrics is there whole within this, and its answer is not left unread for longer. */
export const METRICS_REQUEST_TIMEOUT_MS = 5_000
/** Bytes of the headers of a request for metrics: what Prometheus sends, several times over. */
export const METRICS_HEADER_BYTES_MAX = 8 * 1024
/** Reasons of one kind of refusal that are counted apart: they are constants of the code, and fewer than this. */
export const REFUSAL_REASONS_MAX = 64
