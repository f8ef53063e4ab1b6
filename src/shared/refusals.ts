/**
 * Why something that came from outside was refused. Every refusal is counted under its reason
 * (`narval_refusals_total{kind, reason}`); the first of each reason and sender is logged.
 */

/** Why a client's connection was closed. */
export const CLIENT_REFUSALS = [
  'transaction-too-large',
  'transaction-empty',
  /** A frame was begun and not finished within `client_idle_timeout`. */
  'frame-stalled',
  /** More connections than `client_connections_max`. */
  'too-many-connections',
  /** The unfinished frames of all clients together fill their memory. */
  'frame-memory',
  /** The connection ended in the middle of a frame. */
  'frame-truncated',
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
  | 'batch-invalid'
  | 'request-malformed'
  | 'request-too-many-digests'
  | 'request-rate'
  /** What it asked for is sent, and it does not take it. */
  | 'reply-unread'
  | 'reply-malformed'
  | 'reply-not-asked'
  | 'reply-unknown-author'
  | 'too-many-connections'
  /** The committee file names every worker's PeerId, and not this one. */
  | 'peer-id-unknown'
  | 'hello-timeout'
  /** A second hello on a connection, or one from the side that did not dial. */
  | 'hello-unexpected'
  /** A reason of hello-check.ts, of the hello's frames, or `out-of-turn`. */
  | `hello-${string}`

/** Why something on the primary link was refused. */
export type PrimaryRefusal =
  | 'frame-too-large'
  | 'frame-truncated'
  | 'message-malformed'
  | 'cleanup-foreign'
  | 'synchronize-foreign'
  | 'synchronize-unknown-target'
  | 'synchronize-rate'
  | 'synchronize-too-many'
  | 'too-many-connections'
