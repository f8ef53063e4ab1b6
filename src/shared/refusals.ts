/**
 * Why something that came from outside was refused. Every refusal is counted under its reason
 * (`narval_refusals_total{kind, reason}`); the first of each reason and sender is logged.
 */

/** Why a client's connection was closed. */
export const CLIENT_REFUSALS = [
  'transaction-too-large',
  'transaction-empty',
  /** A frame was begun, and no byte of it came within `client_idle_timeout`. */
  'frame-stalled',
  /** A frame was begun, and comes so slowly that it keeps a place for nothing. */
  'frame-slow',
  /** It could not be accepted: the process has no file descriptor left. */
  'not-accepted',
  /** As many connections as `client_connections_max`, and none that has to give its place to this one. */
  'too-many-connections',
  /** All places were taken, and its source had the most: its place was given to another source. */
  'source-share',
  /** All places were taken, and it had sent nothing for long: its place was given to another. */
  'at-rest',
  /** The unfinished frames of all clients filled their memory, and its source held the most, or its frame lagged. */
  'frame-memory',
  /** The connection ended in the middle of a frame. */
  'frame-truncated',
  /** It speaks HTTP: a browser, a scraper or a health check on the wrong port. */
  'http-request',
  'tls-handshake',
  /** It speaks another protocol that is recognised: SSH, libp2p, a load balancer's. */
  'foreign-protocol',
] as const
export type ClientRefusal = (typeof CLIENT_REFUSALS)[number]

/** Why a peer's frame, stream or connection was refused. */
export type PeerRefusal =
  | 'stream-before-hello'
  | 'unknown-frame-type'
  | 'frame-on-wrong-stream'
  | 'frame-too-large'
  | 'frame-header-malformed'
  | 'frame-stalled'
  | 'frame-truncated'
  | 'ack-length'
  | 'ack-malformed'
  | 'ack-early'
  | 'ack-flood'
  | 'ack-unread'
  | 'batch-too-short'
  | 'batch-too-long'
  | 'request-malformed'
  | 'request-too-many-digests'
  | 'request-rate'
  /** A stream for a request, and no request on it in time. */
  | 'request-late'
  /** What it asked for is sent, and it does not take it. */
  | 'reply-unread'
  | 'reply-malformed'
  | 'reply-not-asked'
  | 'reply-unknown-author'
  /** The committee file names every worker's PeerId, and not this one. */
  | 'peer-id-unknown'
  | 'hello-timeout'
  /** It could not be accepted: the process has no file descriptor left. */
  | 'not-accepted'
  /** A newer connection has its place: it had said nothing, or its handshake or its hello was not over. */
  | 'evicted-silent'
  | 'evicted-handshake'
  | 'evicted-hello'
  /** It ended before its hello: it was left, or its handshake failed. */
  | 'left-before-hello'
  /** It has cost more frames, answers or bytes than a hello takes. */
  | 'too-much-before-hello'
  /** More small frames than an authority may cost us: it is read more slowly. */
  | 'frame-flood'
  /** More proposals of protocols on one stream than a node has reason for. */
  | 'negotiation-flood'
  /** It opened a stream, and no protocol was agreed for it in time. */
  | 'negotiation-late'
  /** One frame of the muxer that is larger than any window. */
  | 'muxer-frame-too-large'
  /** It does not read what we answer, and more waits for its socket than may. */
  | 'socket-unread'
  /** A second hello on a connection, or one from the side that did not dial. */
  | 'hello-unexpected'
  /** A reason of hello-check.ts, of the hello's frames, or `out-of-turn`. */
  | `hello-${string}`
  /** An address record that a hash table gave: a reason of address-record.ts. */
  | `record-${string}`

/**
 * Refusals that are counted and not worth a line. Whoever checks whether a port is open causes some all day; an honest
 * authority causes others: its message has crossed ours, one of us is behind, or it asked again.
 */
export const QUIET_REFUSALS: ReadonlySet<string> = new Set<PeerRefusal | AuthorityRefusal>([
  'left-before-hello',
  'round-old',
  'round-ahead',
  'header-older',
  'header-replaced',
  'not-signing',
  'vote-late',
  'vote-replayed',
  'answer-not-asked',
  'checkpoint-old',
])

/** Why something on the primary link was refused. */
export type PrimaryRefusal =
  | 'frame-too-large'
  | 'frame-truncated'
  /** It could not be accepted: the process has no file descriptor left. */
  | 'not-accepted'
  /** The names of the committee file stand for other addresses now: its connection was a primary's, or a stranger's. */
  | 'sender-changed'
  | 'message-malformed'
  | 'cleanup-foreign'
  /** A round below the last one: it was overtaken, or the primary's rounds begin anew, which the next one shows. */
  | 'cleanup-lower'
  /** A round far beyond the last one. */
  | 'cleanup-implausible'
  | 'synchronize-foreign'
  | 'synchronize-unknown-target'
  | 'synchronize-rate'
  | 'synchronize-too-many'
  /** More digests wait to be sent again than there are places. */
  | 'synchronize-queue'
  | 'too-many-connections'
  | LinkRefusal

/** Why the link between a worker and its own primary in two processes was closed, by either end. */
export const LINK_REFUSALS = [
  /** No message of the link, or no frame of one. */
  'link-malformed',
  /** A message that was not due, or more of them than may be under way. */
  'link-unexpected',
  /** The other end is of another version of the link. */
  'link-version',
  /** Another committee file. */
  'link-wrong-committee',
  /** It has proved the key of another worker than it says it is, or the committee file has none of this id. */
  'link-wrong-worker',
  /** Another process of the same worker has the link, and is alive: two run with the same keys and id. */
  'already-linked',
  /** It waited to see whether who has the link is alive, and a newer one of the same worker waits now. */
  'link-replaced',
  /** Nothing was heard for too long. */
  'link-not-opened',
  'link-silent',
  /** It does not read what it is told. */
  'link-unread',
] as const
export type LinkRefusal = (typeof LINK_REFUSALS)[number]

/** Why a reader of the library's, of certified batches or of commits, was refused: as many as may be are there. */
export type ReaderRefusal = 'too-many-readers'

/** Why a message of another authority's primary was refused, or left unanswered. */
export type AuthorityRefusal =
  | 'message-unknown'
  | 'message-malformed'
  /** Of an epoch that is not ours. */
  | 'epoch-other'
  /** A header comes from its author, a vote from its voter. */
  | 'sender-other'
  /** A signature is not valid: over another committee's digest, for example. */
  | 'signature-invalid'
  /** At or below garbage collection: the sender is behind. */
  | 'round-old'
  /** So far above what we have that it is fetched by range instead. */
  | 'round-ahead'
  /** Its time is before that of its author's header before it. */
  | 'created-before-last'
  /** Its time is so far ahead of our clock that no clock is meant. */
  | 'created-ahead'
  /** A parent is of another round than the one before. */
  | 'parent-of-other-round'
  /** A parent is not known, and is of a round that is collected, or claims to be of genesis. */
  | 'parent-unknown'
  /** Two parents of one author: one of them should not exist. */
  | 'parents-of-one-author'
  | 'parents-without-quorum'
  /** It lists a batch of a worker that its authority does not have. */
  | 'payload-worker-unknown'
  /** It lists a batch of an authority that is not the header's author. */
  | 'payload-of-others'
  /** It lists a batch by another author, worker or sequence than the batch's own bytes say. */
  | 'payload-untrue'
  /** We have voted for another header of that author and round. */
  | 'header-second'
  /** We have voted for a later header of that author. */
  | 'header-older'
  /** Its place among those that wait was given to a later header of that author. */
  | 'header-replaced'
  /** Our store is new or an old backup, and nothing is signed in that round. */
  | 'not-signing'
  /** It is for a header that we do not propose. */
  | 'vote-unexpected'
  /** Its header has its certificate already, or was given up. */
  | 'vote-late'
  | 'vote-replayed'
  | 'certificate-without-quorum'
  /** Of a commit up to which a quorum has signed a later checkpoint already. */
  | 'checkpoint-old'
  /** Its signer has signed another checkpoint of that commit. */
  | 'checkpoint-second'
  | 'checkpoint-without-quorum'
  /** A part of the log, or a state, that is not the one that a quorum has signed. */
  | 'history-untrue'
  /** It asks for more certificates than its share. */
  | 'request-over-share'
  /** An answer to a question that was not asked, or was asked before a restart. */
  | 'answer-not-asked'
