/** Limits of the proof of a receipt, each with its unit and its reason. */
import { assert } from '../../assert.js'
import { BATCH_SIZE_MAX, DIGEST_BYTES } from '../../constants.js'
import { chunkCount, pageCount } from '../digest-shape.js'
import {
  ATTESTED_CHECKPOINT_BYTES_MAX,
  CERTIFICATE_BYTES_MAX,
  COMMIT_ENTRY_BYTES,
  COMMIT_HEAD_BYTES,
  HISTORY_INTERVAL_BYTES_MAX,
  RANGE_LEVELS_MAX,
} from '../primary/limits.js'

/** Bytes in front of the parts. */
export const RECEIPT_PROOF_HEAD_BYTES = 64
/** Bytes of a transaction's proof in its batch: one frame that fills the largest batch, and the hashes beside it. */
export const TRANSACTION_PROOF_BYTES_MAX =
  BATCH_SIZE_MAX + 13 + DIGEST_BYTES * (16 + Math.ceil(Math.log2(pageCount(chunkCount(BATCH_SIZE_MAX)))))
/** Bytes of the record of a commit: what peers take from each other at most, 350,000 batches, as after a long stall. */
export const PROOF_COMMIT_BYTES_MAX = HISTORY_INTERVAL_BYTES_MAX
/** Nodes from a commit to the root: the way to a peak, the bag to the right, and the peaks to the left. */
export const PROOF_RANGE_NODES_MAX = 2 * (RANGE_LEVELS_MAX + 1)
/** Bytes of the largest proof. */
export const RECEIPT_PROOF_BYTES_MAX =
  RECEIPT_PROOF_HEAD_BYTES +
  TRANSACTION_PROOF_BYTES_MAX +
  CERTIFICATE_BYTES_MAX +
  PROOF_COMMIT_BYTES_MAX +
  PROOF_RANGE_NODES_MAX * DIGEST_BYTES +
  ATTESTED_CHECKPOINT_BYTES_MAX

// All lengths and positions are u32, and the number of nodes is u16.
assert(RECEIPT_PROOF_BYTES_MAX < 2 ** 32 && PROOF_RANGE_NODES_MAX < 2 ** 16)
assert((PROOF_COMMIT_BYTES_MAX - COMMIT_HEAD_BYTES) / COMMIT_ENTRY_BYTES < 2 ** 32)
