/** Limits of the segments. */
import { assert } from '../../assert.js'
import { BATCH_SIZE_MAX } from '../../constants.js'

/**
 * Bytes of a segment. What is deleted gives its room back by whole segments, so a small one is free soon; a large one is
 * fewer files, and wastes less at its end.
 */
export const SEGMENT_BYTES = 64 * 1024 * 1024
/** Batches of fewer bytes lie in LMDB: there several share a page and a write, and the copy costs little. */
export const SEGMENT_BATCH_BYTES_MIN = 16 * 1024
/**
 * While sealed segments take more than this many times what lies in them, beside SEGMENTS_SLACK, what is left in the
 * emptiest is moved. A batch is then moved at the cost of at most 2 bytes for each byte of room that this gives back.
 */
export const SEGMENTS_PER_LIVE = 1.5
/** Segments that may be there beyond that before anything is moved. */
export const SEGMENTS_SLACK = 2
/** The greatest number of a segment: 64 EiB of batches are written until then. */
export const SEGMENT_NUMBER_MAX = 2 ** 30
/** Empty segments that are kept to be filled again; more are removed. */
export const SEGMENTS_SPARE_MAX = 2
/** Batches that are moved in one step, together at most of BATCH_SIZE_MAX bytes: batches that come wait for a step. */
export const MOVES_PER_STEP = 32
/**
 * Segments that a node has open for reading: what is asked for lies mostly in the newest. They are descriptors that a read
 * can give for another when this process may open no more, so there are several: other threads take what becomes free.
 */
export const SEGMENTS_READ_MAX = 16
/** Between two tries to open a file, ms, while this process may open no more. */
export const OPEN_RETRY_MS = 100
/**
 * How long a node that closes goes on trying, ms. The sockets that it closes before give their descriptors back within that
 * time, unless others have taken them: then what waits is not stored, as it was not acknowledged, and the node says so.
 */
export const OPEN_AT_CLOSE_MS = 5_000

// A segment that was just filled is not moved again: the end of it may be unused by almost the largest batch.
assert((SEGMENT_BYTES - BATCH_SIZE_MAX) * SEGMENTS_PER_LIVE > SEGMENT_BYTES)
