/** Limits that the primary alone needs, each with its unit and its reason. */
import { assert } from '../../shared/assert.js'
import { COMMITTEE_SIZE_MAX } from '../../shared/constants.js'
import {
  CERTIFICATE_BYTES_MAX,
  CERTIFICATES_REQUEST_MAX,
  HEADER_PAYLOAD_MAX,
  RANGE_ROUNDS_MAX,
} from '../../shared/wire/primary/limits.js'

/** The epoch of everything that is signed and stored: committees do not change yet. */
export const EPOCH = 0

/**
 * How far ahead of our clock a header may be and get its vote at once, in ms. Clocks differ, and a round must not wait for
 * that. It does no harm: the time of a commit is a median by stake, which no liar moves beyond honest clocks.
 */
export const CREATED_TOLERANCE_MS = 500
/** How far ahead of our clock a header may be, in ms. Until its time has come it waits; beyond this no clock is meant. */
export const CREATED_AHEAD_MS_MAX = 10_000

/** The least time between two of our headers while there is work, in ms, at rest of the machine. */
export const HEADER_DELAY_MS_MIN = 20
/**
 * The same when the event loop is late: a round costs some 10 ms of a core, and batches need the core as well. A machine
 * whose cores are all taken does little less with longer rounds, and orders later: docs/performance.md.
 */
export const HEADER_DELAY_MS_MAX = 60
/** An event loop that is later than this, in ms, is under load: rounds become longer. */
export const LOAD_LAG_MS = 5
/** The time between two of our headers when there is nothing to order, in ms. */
export const HEARTBEAT_MS = 1000

/** The wait in each round for certificates of authorities that answered lately, at most, as a part of a round. */
export const PARENT_WAIT_SHARE = 1 / 4
/** How long that wait may be at least, in ms: a certificate that is on its way comes within it on one machine. */
export const PARENT_WAIT_MS_MIN = 2
/** Rounds for which an authority whose certificate came counts as one that answers. */
export const RESPONSIVE_ROUNDS = 8
/** The part of the time that is spent, at most, in rounds that wait for one that is far: who is never a parent is never ordered. */
export const PATIENT_WAIT_SHARE = 1 / 6
/** In each so manieth round the others may wait for one that is far: it has a header there, and waits for its certificate. */
export const PATIENT_ROUNDS = 8
/** The longest wait in such a round, in ms. A certificate needs four ways, so one that is 400 ms away is waited for. */
export const PATIENT_WAIT_MS_MAX = 2000
/** The first wait for one of which nothing is known, in ms: nearly everybody is less than 250 ms away. */
export const PATIENT_WAIT_MS_FIRST = 1000
/** How many times its usual lag one that is far is waited for, and for how many ms more: no two messages take the same time. */
export const PATIENT_WAIT_FACTOR = 1.25
export const PATIENT_WAIT_MS_MORE = 20
/** It is waited for more often when this part of what is waited now would do. */
export const PATIENT_OFTENER = 0.45
/** One that was waited for in vain n times is waited for 2ⁿ times as rarely; n is so much at most, some minutes. */
export const PATIENT_MISSED_MAX = 6
/** Rounds of which it is remembered how long they took. */
export const ROUNDS_MEASURED = 15
/** How long our own certificate is waited for at least when the others have a quorum without it, in ms. */
export const OWN_WAIT_MS = 250
/** The same at most, when it usually takes long. */
export const OWN_WAIT_MS_MAX = 2000

/** Headers of ours that are given up in a row until an empty one shows whether their batches are the reason. */
export const GIVEN_UP_BEFORE_PROBE = 3
/** Headers of ours that are given up and still take votes: an authority that is far makes so many while votes are on their way. */
export const GIVEN_UP_KEPT = 64
/**
 * Rounds between two tries of a batch that a quorum could not obtain, at first and at most: twice as many each time that it
 * is in vain. A try takes the place of a header with other batches, and at rest a round takes a second.
 */
export const UNOBTAINABLE_RETRY_ROUNDS_MIN = 4
export const UNOBTAINABLE_RETRY_ROUNDS_MAX = 32

/** An own header without a certificate, or a certificate that nobody builds on, is sent again after so long, in ms. */
export const RESEND_MS = 1000
/** How long a header that we voted for, with batches in it, counts as work to be done, in ms. */
export const VOTED_WORK_MS = 1000

/** How long a request for a certificate may go unanswered before another peer is asked, in ms. */
export const CERTIFICATE_RETRY_MS = 500
/** How long our own worker has for a batch before it is told again, in ms. */
export const PAYLOAD_RETRY_MS = 5000
/** How long a batch of a delivered certificate may be on its way by itself before our own worker is told to get it, in ms. */
export const PAYLOAD_GRACE_MS = 500
/** Batches of each author's certificates that our own workers are asked for at a time: half of the largest header. */
export const PAYLOAD_FETCHES_PER_AUTHORITY = 256
/** Batches of each author's certificates that are to be asked for. Beyond it they are asked for after a restart only. */
export const PAYLOAD_WANTED_PER_AUTHORITY = 65_536
/** The same of all authorities, which have equal shares: some 300 MB. From 17 authorities on a share is smaller. */
export const PAYLOAD_WANTED_MAX = 1_048_576
/** Rounds below garbage collection after which a batch is not asked for before somebody reads it. */
export const PAYLOAD_ROUNDS_KEPT = 10_000
/** How often it is written down up to which round our workers have all batches, in rounds. */
export const PAYLOAD_COMPLETE_ROUNDS = 64
/** Certificates that are missing and asked for, for each authority: parents of its one waiting header are among them. */
export const CERTIFICATES_WANTED_PER_AUTHORITY = 512
/**
 * Bytes of certificates that wait for parents, of all authorities, which have equal shares. Those of a share that has no room
 * any more come again by range; the lowest rounds stay, since those are delivered first. In the largest committee a share
 * has some twenty certificates of the largest kind, in a committee of four a thousand.
 */
export const CERTIFICATES_WAITING_BYTES_MAX = 256 * 1024 * 1024
/** A peer that is so many rounds above us is asked for whole rounds, and we make no headers meanwhile. */
export const CATCH_UP_ROUNDS = 4
/**
 * Records of a peer that wait to be handled when what it says is of rounds long past: a round brings three of each peer. We
 * make no headers then, until half of them are handled.
 */
export const BACKLOG_RECORDS = 48
/**
 * How long a header waits, while we are behind, for another round to be there whole, in ms. When none comes for so long, the
 * others may be waiting for us. It is more than a request takes that has to be made once more.
 */
export const BEHIND_WAIT_MS = 1000
/** Requests for whole rounds that are on their way: each has a part of the rounds that may wait for their parents. */
export const RANGE_REQUESTS_MAX = 4
/** The same, of one peer. */
export const RANGE_REQUESTS_PER_PEER = 2
/** How long an answer may take, in ms, however steadily something comes. */
export const RANGE_ANSWER_MS_MAX = 5000
/** How long a peer that has not answered is not asked for whole rounds, in ms; twice as long each time, up to this. */
export const RANGE_REST_MS_MAX = 4000
/** Bytes of intervals of the log in an answer: the answers to all that a peer may have asked for fit into its queue. */
export const HISTORY_ANSWER_BYTES_MAX = 1024 * 1024
/** States of consensus that are kept for those who are far behind: one for each checkpoint, some kilobytes. */
export const HISTORY_STATES_KEPT = 16
/**
 * An authority that is so many rounds behind asks for the commits instead of the certificates of these rounds. A commit costs
 * a hash; the certificates that it orders cost a signature for each vote.
 */
export const HISTORY_ROUNDS_BEHIND = 1000
/** Requests for parts of the log that are on their way, and of one peer. */
export const HISTORY_REQUESTS_MAX = 4
export const HISTORY_REQUESTS_PER_PEER = 2
/** How long such an answer may bring nothing new, and how long it may take at all, in ms. */
export const HISTORY_SILENT_MS = 2000
export const HISTORY_REQUEST_MS_MAX = 20_000
/** How long a peer that could not answer is not asked, in ms, and one that has sent what is not true. */
export const HISTORY_REST_MS = 2000
export const HISTORY_LIAR_REST_MS = 60_000
/** Time in ms after which it is tried again when no peer keeps the log from where ours ends. */
export const HISTORY_LOG_RETRY_MS = 10_000
/** Time in ms without any progress after which the latest state is asked for anew: who proves under the one before may be gone. */
export const HISTORY_STUCK_MS = 10_000
/** Time in ms until a peer is asked again when all have said that they keep nothing that is old enough. */
export const HISTORY_RETRY_MS = 10_000
/** A committee at rest makes a round a second: with no new certificate for so long, in ms, a peer is asked for its last ones. */
export const SILENCE_MS = 2500

/** Batches of each authority that are remembered as held, at most. A mark that gave way is asked for again. */
export const PAYLOAD_MARKS_PER_AUTHORITY = 65_536
/** The same of all authorities, which have equal shares: some 300 MB. From 17 authorities on a share is smaller. */
export const PAYLOAD_MARKS_MAX = 1_048_576
/**
 * Batches of each author that it handed to our workers and that are not in the order, at most: 8 GB of them at the usual
 * size. Beyond it the oldest can be adopted after a restart only.
 */
export const UNNAMED_BATCHES_PER_AUTHORITY = 16_384
/** The same of all authors, which have equal shares: some 100 MB. From 17 authorities on a share is smaller. */
export const UNNAMED_BATCHES_MAX = 262_144
/**
 * How long a batch waits for a header of its author until others claim it, in ms: a living author needs less than a second. At
 * rest a claim takes two seconds to the order, and on a machine that is overloaded five: together that is less than 15 s.
 */
export const ADOPTION_MS = 8_000
/** Headers that we make meanwhile, at least: in a stall no author can name anything, however long it lasts. */
export const ADOPTION_HEADERS = 5
/** How much later, in ms, those claim it who are not among the first with V of the stake. There are three turns at most. */
export const ADOPTION_STAGGER_MS = 1000
/** How long a claim may be in vain until it is made again, in ms: others may not have had the batch then. */
export const ADOPTION_AGAIN_MS = 30_000
/**
 * How long a batch may be named and not ordered until its worker is told, in ms. Under load most are ordered by then; a share
 * of the store has room for what comes meanwhile.
 */
export const NAMES_TOLD_MS = 250
/** Verified headers of each authority that are remembered, so that a certificate's header is not verified again. */
export const VERIFIED_HEADERS_PER_AUTHORITY = 16
/**
 * Rounds of each authority whose last verified header is remembered, so that a second one is known for what it is, whatever
 * became of the first. The largest header has 33 KiB, and most are in the DAG as well.
 */
export const WITNESSED_HEADERS_PER_AUTHORITY = 8

/** Certificates that each peer may ask us for in a second: ten times what a committee of ten makes at its fastest. */
export const CERTIFICATES_SERVED_PER_S = 4096
/** Bytes of certificates that each peer may ask us for in a second. */
export const CERTIFICATE_BYTES_SERVED_PER_S = 16 * 1024 * 1024
/** Certificates in the answer to a request by range. */
export const RANGE_CERTIFICATES_MAX = 512
/**
 * Bytes of them: the answers to what one peer may have asked for at a time are half of what may wait for its stream, and what
 * is beyond that is dropped, the oldest first.
 */
export const RANGE_BYTES_MAX = 1024 * 1024

/** What a request by range costs of that share beside what is found, in certificates: a read of the store, and a walk. */
export const RANGE_REQUEST_COST = 16

/** How long after the last commit a checkpoint of it is signed, in ms: what was ordered at rest is attested soon as well. */
export const CHECKPOINT_REST_MS = 250
/** How long our signature of a checkpoint waits for those of a quorum until it is sent again, and they are asked for, in ms. */
export const CHECKPOINT_RETRY_MS = 1000
/** So many checkpoints above what we know to be attested an honest peer has signed when we ask for the latest. */
export const CHECKPOINTS_BEHIND = 2
/** Checkpoints of ours that signatures of others are compared with: at saturation those of some seconds. */
export const OWN_CHECKPOINTS_KEPT = 8
/** Signatures of checkpoints of each peer that are kept until there is a quorum: the same. */
export const CHECKPOINT_CLAIMS_PER_PEER = 8
/** Checkpoints of each authority that say something else and are told of since the start: one would do. */
export const DIFFERING_SAID_MAX = 8

/** Time until a peer is asked again how far it saw us, in ms. */
export const RECOVERY_RETRY_MS = 1000
/** Rounds above the highest certificate of the peers in which a store that was lost may have signed: `recovery.ts`. */
export const RECOVERY_ROUNDS = 2
/**
 * Time in ms for which the committee stands below the rounds in which we may sign, until that is said, and between two times:
 * a committee at rest makes ten rounds meanwhile.
 */
export const SIGNING_HELD_MS = 10_000

/**
 * When nothing was ordered for more than `gc_depth` rounds, a round takes so many ms for each round of the stall. Nothing is
 * forgotten in a stall, and only higher rounds can end it: so their number cannot be bounded, but how fast it grows is.
 */
export const STALL_DELAY_MS_PER_ROUND = 1
/** The longest such round, in ms: the order needs some six rounds to go on. A day has 8,640 of them, with no batches in them. */
export const STALL_DELAY_MS_MAX = 10_000
/**
 * Turns that may wait for the disk until no more events are handled: some ten times what is handled during a flush under
 * load. Peers wait by their credits then, and workers by their calls.
 */
export const TURNS_WAITING_MAX = 4096
/** Time for which events are handled in one go of the event loop, in ms: flushes and what main says come in between. */
export const RUN_SLICE_MS = 4
/** How often the thread looks how late its event loop is, in ms. */
export const LOAD_PERIOD_MS = 200
/** The longest time that its timer is set to, in ms: more does not fit Node's. */
export const TIMER_MS_MAX = 60_000
/**
 * Verifications a second that each peer may have us do for messages that are refused: some 75 ms of a core. Whoever is
 * behind refuses the certificates of a committee that is far ahead, a few dozen signatures of each peer a second.
 */
export const WASTED_VERIFICATIONS_PER_S = 512
/** The same that a peer may save up; the last message may cost more, and is paid for after it. */
export const WASTED_VERIFICATIONS_BURST = 512

assert(CREATED_TOLERANCE_MS < CREATED_AHEAD_MS_MAX)
assert(HEADER_DELAY_MS_MIN <= HEADER_DELAY_MS_MAX && HEADER_DELAY_MS_MAX < HEARTBEAT_MS)
assert(RANGE_CERTIFICATES_MAX >= 2 * COMMITTEE_SIZE_MAX)
assert(BEHIND_WAIT_MS > CERTIFICATE_RETRY_MS && RANGE_BYTES_MAX >= CERTIFICATE_BYTES_MAX)
assert(CATCH_UP_ROUNDS < RANGE_ROUNDS_MAX && CERTIFICATES_REQUEST_MAX <= CERTIFICATES_WANTED_PER_AUTHORITY)
assert(PARENT_WAIT_MS_MIN <= PARENT_WAIT_SHARE * HEADER_DELAY_MS_MIN && OWN_WAIT_MS <= OWN_WAIT_MS_MAX)
// The smallest share has the batches of several full headers.
assert(PAYLOAD_MARKS_MAX / COMMITTEE_SIZE_MAX >= 4 * HEADER_PAYLOAD_MAX)
assert(PAYLOAD_WANTED_MAX / COMMITTEE_SIZE_MAX >= 4 * HEADER_PAYLOAD_MAX)
assert(CERTIFICATES_WAITING_BYTES_MAX / COMMITTEE_SIZE_MAX >= 4 * CERTIFICATE_BYTES_MAX)
assert(CHECKPOINT_REST_MS < HEARTBEAT_MS)
assert(SILENCE_MS > 2 * HEARTBEAT_MS && SIGNING_HELD_MS > 2 * SILENCE_MS)
