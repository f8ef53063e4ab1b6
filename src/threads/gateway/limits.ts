/** Limits of the gateway, each with its unit and its reason. */
export { GATEWAY_CONNECTIONS_MAX as CONNECTIONS_MAX } from '../../shared/constants.js'

/** Bytes of the head of a request: what browsers send, several times over. */
export const HEAD_BYTES_MAX = 16 * 1024
/** A head is there whole within so many ms: a client that sends slower holds a connection for nothing. */
export const HEAD_MS_MAX = 10_000
/** A request is there whole within so many ms: the largest body at 300 kB/s. */
export const REQUEST_MS_MAX = 30_000
/** How often connections are looked at for the two above, in ms. */
export const CHECK_MS = 1_000
/** A connection without a request is closed after so many ms. */
export const KEEP_ALIVE_MS = 10_000
/** A connection on which nothing moves for so many ms is closed: an answer that nobody reads. Heartbeats keep streams. */
export const STILL_MS_MAX = 60_000
/** Readers of the stream, all together. */
export const STREAMS_MAX = 640
/** Requests a second of one source, over a burst of the same: what one loop of this thread serves. */
export const REQUESTS_PER_SECOND = 5_000
/** Sources whose rates are remembered: those that were not seen for longest give way, and begin with a whole burst. */
export const SOURCES_MAX = 4_096
/** Main answers within so many ms, or the client is told that the node is busy. */
export const ANSWER_MS_MAX = 5_000
/** Questions to main that have no answer yet: beyond them clients are told so. */
export const QUESTIONS_MAX = 2_048

/** Bytes of a body with many transactions: eight batches. */
export const BATCH_BODY_BYTES_MAX = 4 * 1024 * 1024
/** Transactions in one body. */
export const BATCH_TRANSACTIONS_MAX = 10_000
/** Bytes of bodies that are on their way, of all clients together. */
export const BODIES_BYTES_MAX = 64 * 1024 * 1024
/** Bytes of transactions that main was handed and that are in no line yet: what `submit()` of the library keeps waiting. */
export const SUBMIT_BYTES_MAX = 16 * 1024 * 1024

/** Commits in one answer. */
export const COMMITS_PER_ANSWER_MAX = 1_000
/** Batches in the answer about one commit. */
export const COMMIT_BATCHES_MAX = 1_000
/** A reader may begin so many commits ahead of us: those of an authority that lags wait for it to come there. */
export const CURSOR_AHEAD_MAX = 10_000
/** Bytes of transactions, in base64, in one event: a larger batch comes in several. */
export const EVENT_BYTES = 64 * 1024
/** Bytes of events that are kept for readers at the same place: one reading serves all that keep up. */
export const EVENT_CACHE_BYTES = 16 * 1024 * 1024
/** Bytes of events that sockets have not taken: beyond them the reader that is stuck for longest is ended. */
export const STREAM_HELD_BYTES_MAX = 64 * 1024 * 1024
/** A reader at rest is told that the connection is alive, every so many ms: proxies close what is silent for a minute. */
export const STREAM_HEARTBEAT_MS = 15_000
/** Commits of which the head is kept for readers near the end of the log: some minutes. */
export const COMMITS_KEPT = 1_024
/** Commits read from the store at once, when one is not kept. */
export const COMMITS_READ_AHEAD = 32
/** Commits that a reader passes over in one turn of the event loop. */
export const COMMITS_PER_TURN = 64
/** A batch that is not here is asked for again after so many ms. */
export const BATCH_AGAIN_MS = 500
/** Seconds after which a client that was refused for want of room may come again. */
export const RETRY_AFTER_S = 1
