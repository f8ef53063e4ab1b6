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
/** Batches of other authorities in a header: a quarter of it, so that its author's own always have room. */
export const HEADER_ADOPTED_MAX = HEADER_PAYLOAD_MAX / 4
/** Bytes of the largest header. */
export const HEADER_BYTES_MAX =
  HEADER_HEAD_BYTES + HEADER_PARENTS_MAX * DIGEST_BYTES + HEADER_PAYLOAD_MAX * PAYLOAD_ENTRY_BYTES + SIGNATURE_BYTES
/** Bytes of a vote. */
export const VOTE_BYTES = 120
/** Bytes in front of a certificate's signatures: its head, and the set of its voters. */
export const CERTIFICATE_HEAD_BYTES = 8 + PEER_MASK_BYTES
/** Bytes of the largest certificate. */
export const CERTIFICATE_BYTES_MAX = CERTIFICATE_HEAD_BYTES + COMMITTEE_SIZE_MAX * SIGNATURE_BYTES + HEADER_BYTES_MAX
/** Bytes in front of the digests of a request, or of the certificate of an answer. */
export const REQUEST_HEAD_BYTES = 16
/** Bytes of the largest record: an answer with a certificate in it. */
export const RECORD_BYTES_MAX = REQUEST_HEAD_BYTES + CERTIFICATE_BYTES_MAX
/** Certificates that one request may name: a round of a large committee takes a few requests. */
export const CERTIFICATES_REQUEST_MAX = 64
/** Rounds that one request may ask for: some 250 certificates in a committee of four, half a megabyte of them. */
export const RANGE_ROUNDS_MAX = 64

/** Bytes in front of the two records of evidence (`evidence.ts`). */
export const EVIDENCE_HEAD_BYTES = 60
/** Bytes of the largest evidence: two certificates. */
export const EVIDENCE_BYTES_MAX = EVIDENCE_HEAD_BYTES + 2 * CERTIFICATE_BYTES_MAX

/** Bytes of what a checkpoint says, with the head of its record (`checkpoint.ts`). */
export const CHECKPOINT_HEAD_BYTES = 120
/** Bytes of a checkpoint that one authority has signed. */
export const SIGNED_CHECKPOINT_BYTES = CHECKPOINT_HEAD_BYTES + SIGNATURE_BYTES
/** Bytes in front of the signatures of one that a quorum has signed: what it says, and the set of its signers. */
export const ATTESTED_HEAD_BYTES = CHECKPOINT_HEAD_BYTES + PEER_MASK_BYTES
/** Bytes of the largest of these. */
export const ATTESTED_CHECKPOINT_BYTES_MAX = ATTESTED_HEAD_BYTES + COMMITTEE_SIZE_MAX * SIGNATURE_BYTES
/** Each so manieth commit has a checkpoint: one or two a second at saturation, where each costs four signatures. */
export const CHECKPOINT_INTERVAL = 32
/** Levels of a mountain range: of more records than this no number is exact. */
export const RANGE_LEVELS_MAX = 53

/** Bytes in front of those of a piece of a state or of an interval (`history.ts`). */
export const HISTORY_PIECE_HEAD_BYTES = 32
/** Bytes of such a piece: it fits into a record. */
export const HISTORY_PIECE_BYTES_MAX = 32 * 1024
/** Checkpoint intervals that one request may ask for: at saturation each has some 20 kB. */
export const HISTORY_INTERVALS_MAX = 64
/** Bytes of an interval: its commits name 300,000 batches, as after a long stall of a large committee. */
export const HISTORY_INTERVAL_BYTES_MAX = 16 * 1024 * 1024
/** Bytes of a state: some kilobytes, and 300 kB in a committee of 256 with a `gc_depth` of 1,000 rounds. */
export const HISTORY_STATE_BYTES_MAX = 1024 * 1024

/** Bytes in front of a commit's certificates and batches (`commit-record.ts`). */
export const COMMIT_HEAD_BYTES = 88
/** Bytes of a certificate, or of a batch, in a commit. */
export const COMMIT_ENTRY_BYTES = 48
/** Certificates in a commit: those of all authorities in `gc_depth` rounds. A commit is read in parts, never in one. */
export const COMMIT_CERTIFICATES_MAX = 2 ** 32
/** Batches in a commit for each certificate: what a header of the reference has room for in a frame of 8 MiB. */
export const COMMIT_BATCHES_PER_CERTIFICATE_MAX = 2 ** 18

// Positions in a commit are exact as doubles.
assert(COMMIT_CERTIFICATES_MAX * COMMIT_BATCHES_PER_CERTIFICATE_MAX <= Number.MAX_SAFE_INTEGER)
assert(HISTORY_PIECE_HEAD_BYTES + HISTORY_PIECE_BYTES_MAX <= RECORD_BYTES_MAX)
assert(HEADER_PARENTS_MAX < 2 ** 16 && HEADER_PAYLOAD_MAX < 2 ** 16)
