/** Limits of what primaries exchange, each with its unit and its reason. */
import { assert } from '../../assert.js'
import { COMMITTEE_SIZE_MAX, DIGEST_BYTES, PEER_MASK_BYTES, SIGNATURE_BYTES } from '../../constants.js'

/** Bytes in front of a header's parents (`header.ts`). */
export const HEADER_HEAD_BYTES = 32
/** Bytes of one batch in a header. */
export const PAYLOAD_ENTRY_BYTES = 48
/** Parents of a header: one for each authority. */
export const HEADER_PARENTS_MAX = COMMITTEE_SIZE_MAX
/** Batches in a header: 256 MB of the usual size, more than a round can bring. What does not fit waits a round. */
export const HEADER_PAYLOAD_MAX = 512
/** Bytes of the largest header. */
export const HEADER_BYTES_MAX =
  HEADER_HEAD_BYTES + HEADER_PARENTS_MAX * DIGEST_BYTES + HEADER_PAYLOAD_MAX * PAYLOAD_ENTRY_BYTES + SIGNATURE_BYTES
/** Bytes of a vote. */
export const VOTE_BYTES = 120
/** Bytes in front of a certificate's signatures: its head, and the set of its voters. */
export const CERTIFICATE_HEAD_BYTES = 8 + PEER_MASK_BYTES
/** Bytes of the largest certificate. */
export const CERTIFICATE_BYTES_MAX = CERTIFICATE_HEAD_BYTES + COMMITTEE_SIZE_MAX * SIGNATURE_BYTES + HEADER_BYTES_MAX

assert(HEADER_PARENTS_MAX < 2 ** 16 && HEADER_PAYLOAD_MAX < 2 ** 16)
