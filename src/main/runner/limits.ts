/** Limits of the application runner, each with its unit and its reason. */

/** After so long, in ms, within one `apply`, health says that the application hangs. */
export const APPLY_STILL_MS = 30_000
/** What `close` waits at most, in ms, for an `apply` that is under way: a usual write of a state is done by then. */
export const APPLY_CLOSE_MS = 2_000
/** Of what is kept, the part by which the application may be behind before health says so. */
export const LAG_PART_MAX = 1 / 2
/** Commits over which repeats are dropped, at most: after a restart these are read again. */
export const DUPLICATE_COMMITS_MAX = 1_000_000
/** Transactions that are remembered for it, at most: some 200 bytes of memory each. */
export const DUPLICATE_TRANSACTIONS_MAX = 4_194_304
/** The same, unless it is said: some 50 MB. */
export const DUPLICATE_TRANSACTIONS = 262_144
/** Characters that are shown of an application's reason to refuse a transaction. */
export const REASON_CHARS_MAX = 200
/** Characters that health shows of an application's error. */
export const FAILURE_CHARS_MAX = 500
