/** Limits of main's side of the gateway, each with its unit and its reason. */

/** A batch is waited for so many ms for the gateway's thread, which asks again: less than it waits for an answer. */
export const GATEWAY_BATCH_MS = 2_000
/** Bytes of a token, as it stands in its file. The least is what nobody guesses. */
export const TOKEN_BYTES_MIN = 16
export const TOKEN_BYTES_MAX = 1_024
/** Origins of pages that may call. */
export const ORIGINS_MAX = 64
/** Files that are open for the gateway without any connection: its readers of the stores, and its port. */
export const GATEWAY_FILES_BASE = 64
