/** Limits of the load client, each with its unit and its reason. */

/** Bursts that the load client sends a second: the reference client's, and part of what its rate means. */
export const CLIENT_BURSTS_PER_S = 20
/** Bytes of one burst, which the client allocates once: beyond it more clients are needed, not a larger burst. */
export const CLIENT_BURST_BYTES_MAX = 256 * 1024 * 1024
/** The load client asks each of its `--nodes` this often whether it accepts connections. */
export const CLIENT_PROBE_DELAY_MS = 10
/** How long a client that is told to stop waits for the node to take the burst that is on its way. */
export const CLIENT_STOP_GRACE_MS = 2_000
/** A worker that does not answer a client's connection for so long, in ms, is not there. */
export const CLIENT_CONNECT_MS = 10_000
/** At its end, a client waits so long, in ms, for the worker to have read all: after Ctrl-C, CLIENT_STOP_GRACE_MS. */
export const CLIENT_READ_MS = 10_000
/** A client that is to say what was certified waits for it so long, in ms: as long as health does. */
export const CLIENT_CERTIFIED_MS = 10_000
/** And looks at the worker's metrics this often, in ms. */
export const CLIENT_CERTIFIED_POLL_MS = 200
