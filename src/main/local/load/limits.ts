/** Limits of the load client, each with its unit and its reason. */

/** Bursts that the load client sends a second: the reference client's, and part of what its rate means. */
export const CLIENT_BURSTS_PER_S = 20
/** Bytes of one burst, which the client allocates once: beyond it more clients are needed, not a larger burst. */
export const CLIENT_BURST_BYTES_MAX = 256 * 1024 * 1024
/** The load client asks each of its `--nodes` this often whether it accepts connections. */
export const CLIENT_PROBE_DELAY_MS = 10
/** How long a client that is told to stop waits for the node to take the burst that is on its way. */
export const CLIENT_STOP_GRACE_MS = 2_000
