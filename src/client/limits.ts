/** Limits of the client, each with its unit and its reason. */

/** The pause behind the first failed attempt, in ms; it doubles, to this at most, so that a gateway that starts is not flooded. */
export const RETRY_MS_MIN = 100
export const RETRY_MS_MAX = 5_000
/** What a gateway may ask for by Retry-After, in ms: more is not waited for, another authority is asked meanwhile. */
export const RETRY_AFTER_MS_MAX = 30_000
/** How long a request is tried in all, at all authorities, in ms, unless the caller says. */
export const REQUEST_MS = 30_000
/** How long one attempt may take without an answer, in ms, beside what it was asked to wait for. */
export const ATTEMPT_MS = 10_000
/** How long one request waits for a stage at the gateway, in ms; then it is asked again. */
export const WAIT_MS = 10_000
/** The least time between two questions for one receipt, in ms: of a gateway that does not wait. */
export const POLL_MS = 250
/** Silence on a stream after which it is opened anew, in ms: two heartbeats of 15 s that did not come. */
export const STREAM_SILENCE_MS = 40_000
/** Bytes of an answer that is JSON: a page of commits. */
export const ANSWER_BYTES_MAX = 64 * 1024 * 1024
/** Characters of one event of a stream: the largest batch in base64 is 11 MiB. */
export const EVENT_CHARS_MAX = 16 * 1024 * 1024
/** Authorities that a client knows: those of the largest committee. */
export const GATEWAYS_MAX = 256
