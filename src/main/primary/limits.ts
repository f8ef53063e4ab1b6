/** Limits of main's side of the primary, each with its unit and its reason. */
import { assert } from '../../shared/assert.js'
import { RECORD_BYTES_MAX } from '../../shared/wire/primary/limits.js'

/**
 * Bytes of records that wait for one peer's stream. Beyond it the oldest are dropped: what is of use still is sent again,
 * or asked for. It holds what a peer may ask for in a quarter of a second.
 */
export const PEER_QUEUE_BYTES_MAX = 4 * 1024 * 1024
/** Records that wait for it: small ones cost memory of their own. */
export const PEER_QUEUE_RECORDS_MAX = 4096
/** Bytes of frames that are handed to a stream together. */
export const JOINED_FRAMES_BYTES = 64 * 1024
/** A stream to a peer that broke is opened again after so long, in ms, if its connection is there still. */
export const RECORD_STREAM_BACKOFF_MS = 1000

assert(RECORD_BYTES_MAX < PEER_QUEUE_BYTES_MAX)
