/**
 * Reads the commit log from a place in the past on, and goes on with what comes.
 *
 * In the process of the primary the reader is told that the log has moved (commit-log-head.ts). In another process it looks
 * by itself: soon again while commits come, ever more rarely while none do. In both, all that is read comes from the
 * store, past and new alike, so there is no seam between the two.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { CommitLogHead } from '../../memory/commit-log-head.js'
import type { CommitLogReader, LoggedBatch, LoggedCommit } from './commit-log-reader.js'
import { EMPTY_COMMITS_GIVEN_EVERY, LOG_POLL_MS_MAX, LOG_POLL_MS_MIN, LOG_SKIPPED_PER_TURN } from './limits.js'

export interface FollowOptions {
  /** Ends the reading, at the next commit, without an error. */
  readonly signal?: AbortSignal | undefined
  /** Of the node in this process. */
  readonly head?: CommitLogHead | undefined
  /** Whether it waits at the end of the log for more; unless false, it does. */
  readonly follow?: boolean | undefined
  /** Which commits are given; unless said, all are. */
  readonly isWanted?: ((commit: LoggedCommit) => boolean) | undefined
}

/** Whether a commit is given to readers that want none without batches. */
export function hasBatchesOrIsGiven({ batchCount, index }: Pick<LoggedCommit, 'batchCount' | 'index'>): boolean {
  return batchCount > 0 || index % EMPTY_COMMITS_GIVEN_EVERY === 0
}

/** A place in the log: behind the batch at this position of this commit. */
export interface LogCursor {
  /** 0 for the beginning. */
  readonly commit: number
  /** The position of the last batch that was taken; −1 if none of this commit was, Infinity if all were. */
  readonly position: number
}

export interface OrderedBatch {
  readonly commit: LoggedCommit
  readonly batch: LoggedBatch
  /** Behind this batch: what to go on with after a restart. */
  readonly cursor: LogCursor
}

/**
 * The commits behind `after`, in order. A commit may be used until the next one is asked for.
 *
 * @throws CommitsPrunedError, NarvalError ERR_STORE_DAMAGED
 */
export async function* followCommits(
  reader: CommitLogReader,
  after: number,
  { follow = true, head, isWanted, signal }: FollowOptions = {},
): AsyncGenerator<LoggedCommit, void, undefined> {
  let last = after
  for (let pollMs = LOG_POLL_MS_MIN; !signal?.aborted; ) {
    // Both before the store is read: what comes while it is read is seen in the next turn.
    const [seen, transaction] = [head?.seen ?? 0, reader.transaction]
    for (const commit of reader.commits(last)) {
      if (signal?.aborted) return
      pollMs = LOG_POLL_MS_MIN
      if (isWanted === undefined || isWanted(commit)) yield commit
      else if (commit.index % LOG_SKIPPED_PER_TURN === 0) await nextTurn()
      last = commit.index
    }
    if (!follow) return
    if (head !== undefined) {
      await head.moved(seen, signal)
      continue
    }
    do {
      await sleep(pollMs, undefined, { ...(signal && { signal }) }).catch(() => {})
      pollMs = Math.min(2 * pollMs, LOG_POLL_MS_MAX)
    } while (!signal?.aborted && reader.transaction === transaction)
  }
}

/**
 * The batches behind `after`, in order, and those of the commits to come.
 *
 * @throws CommitsPrunedError, NarvalError ERR_STORE_DAMAGED
 */
export async function* followBatches(
  reader: CommitLogReader,
  after: LogCursor,
  options: FollowOptions = {},
): AsyncGenerator<OrderedBatch, void, undefined> {
  const isWhole = after.position === Number.POSITIVE_INFINITY || after.commit === 0
  for await (const commit of followCommits(reader, isWhole ? after.commit : after.commit - 1, options)) {
    const from = commit.index === after.commit ? after.position + 1 : 0
    for (const batch of commit.batches(from)) {
      if (options.signal?.aborted) return
      yield { commit, batch, cursor: { commit: commit.index, position: batch.position } }
    }
  }
}
