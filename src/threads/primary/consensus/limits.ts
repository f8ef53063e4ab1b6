/** Limits that consensus alone needs, each with its unit and its reason. */

/**
 * The least `gcDepth`, in rounds: the timestamp of a commit is read from the anchor's parents, one round below it, so the
 * DAG must still have that round.
 */
export const CONSENSUS_GC_DEPTH_MIN = 2
/**
 * Runs of committed sequences of one worker of one authority. An honest worker leaves a gap only where a restart lost
 * reserved sequences, so it never has so many; one that lies costs at most a few megabytes.
 */
export const COMMITTED_RUNS_MAX = 65_536
/**
 * Claims of batches of others that are not in the order, of all authorities together: where consensus stands is written
 * with each commit, and a claim takes some 90 bytes of it.
 */
export const CLAIMS_MAX = 2048
/** The same of each authority: two headers of it are full of them at the most. */
export const CLAIMS_PER_AUTHORITY_MAX = 256
/** Committed own slots in a row, in rounds, after which an authority that was weak counts as if it had never been. */
export const STREAK_FORGIVEN = 200
/** The longest penalty of a weak authority, in committed own slots in a row until it is an anchor again. */
export const PENALTY_MAX = 64
/** The penalty at first. It doubles with each relapse, up to PENALTY_MAX. */
export const PENALTY_MIN = 2
