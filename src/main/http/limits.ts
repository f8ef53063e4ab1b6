/** Limits of the port for metrics and health, each with its unit and its reason. */

/** Connections to the port for metrics: a few scrapers, health checks and people. */
export const METRICS_CONNECTIONS_MAX = 16
/** A request for metrics is there whole within this, and its answer is not left unread for longer. */
export const METRICS_REQUEST_TIMEOUT_MS = 5_000
/** Bytes of the headers of a request for metrics: what Prometheus sends, several times over. */
export const METRICS_HEADER_BYTES_MAX = 8 * 1024
