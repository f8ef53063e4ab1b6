/** Limits of the network alone: which connections may come in, what each may cost, and whom it dials. */
import assert from 'node:assert'
import { SLICE_BYTES, STREAM_WINDOW_BYTES } from '../../shared/constants.js'

// --- Connections ----------------------------------------------------------------------------------------------------

/** Connections with one authority: ours, theirs, and one more while an old one is dying. */
export const CONNECTIONS_PER_AUTHORITY_MAX = 4
/** A connection without a hello is closed after this long. */
export const HELLO_TIMEOUT_MS = 5_000

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
/** Of the addresses in a peer's signed record, those that are tried in one attempt to reach it: the others have their turn in the next. */
export const RECORD_ADDRESSES_PER_ATTEMPT = 2
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

// --- What a connection may cost -------------------------------------------------------------------------------------

// Work is counted in units. One unit is what a piece costs that carries next to nothing: a read of the socket, a noise
// message, a yamux frame, a write. That is 5 to 30 µs of this thread, and more than it costs the sender.

/** Bytes from which on a piece costs its sender as much as us, so that it is free. Smaller pieces cost in proportion. */
export const WORK_FREE_BYTES = 8 * 1024
/** Bytes that cost one unit where nobody wants them: those of data frames for streams that are not there. */
export const WORK_UNWANTED_BYTES = 4 * 1024
/** Units of a ping: we encipher and write an answer. */
export const WORK_OF_PING = 4
/** Units of a stream that is opened: a negotiation, its timer, its events, and a reset at the end. */
export const WORK_OF_STREAM = 32

/**
 * Units that a connection may cost before its hello is over. The hello of a narval node costs 65; that of a node
 * which opens a few streams of other protocols beside it, such as identify, costs three times as much.
 */
export const STRANGER_WORK_MAX = 256
/** Bytes that a connection may send before its hello is over: under a thousand for narval's, with 4,096 for
 * the largest hello. */
export const STRANGER_BYTES_MAX = 16 * 1024

/**
 * Units per second that all connections of one authority may cost together: a thousand small frames with their
 * messages, or ten full slices' worth of this thread in a hundred. A peer that costs more is read more slowly.
 */
export const PEER_WORK_PER_SECOND = 2_000
/** Units that an authority may save up: the frames of a second. */
export const PEER_WORK_BURST = 2_000
/** A peer that has used its work up is not read for at least this long, in ms: pausing costs something too. */
export const WORK_PAUSE_MS = 50

/** Streams on one connection, each way: hello, batches and requests, with room for those that are dying. */
export const STREAMS_PER_CONNECTION_MAX = 32
/** A stream that a peer opened, and for which no protocol is agreed after this long, is reset, in ms. */
export const NEGOTIATION_MS = 10_000
/** Answers of multistream's negotiation on one stream: a node may propose a few versions of a protocol. */
export const NEGOTIATION_ANSWERS_MAX = 16
/** Bytes of one yamux frame that came in: no window is larger. */
export const MUXER_FRAME_BYTES_MAX = STREAM_WINDOW_BYTES
/** Pieces in which a frame may wait for its end; they are joined when there are more. Each costs memory of its own. */
export const MUXER_FRAME_PIECES_MAX = 1_024
/** Pieces of a stream below so many bytes are copied together when they have to wait (held-bytes.ts). */
export const HELD_COPY_BYTES = 4 * 1024
/** Bytes of the blocks that they are copied to. */
export const HELD_BLOCK_BYTES = 64 * 1024
/** Bytes that may wait in a socket's own buffer: two slices, so that the next is ready when one is gone. */
export const SOCKET_BUFFER_BYTES = 512 * 1024
/**
 * Bytes that may wait for one connection's socket, with QUEUED_FRAME_BYTES for each frame beside its bytes. Streams
 * stop when the socket's buffer is full and one slice waits; what goes on are answers, such as pongs and resets.
 */
export const SOCKET_QUEUE_BYTES_MAX = 2 * 1024 * 1024
/** Bytes of memory that a frame takes beside its own while it waits. */
export const QUEUED_FRAME_BYTES = 256

assert(SOCKET_QUEUE_BYTES_MAX >= 2 * (SOCKET_BUFFER_BYTES + SLICE_BYTES))
