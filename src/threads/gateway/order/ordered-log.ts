/**
 * The log, for all readers of the stream together: a commit that many are about to read is read from the store once, and one
 * wait serves all that are at the end.
 */
import { LRUCache } from 'lru-cache'
import type { CommitLogHead } from '../../../shared/memory/commit-log-head.js'
import type {
  CommitLogReader,
  LogBounds,
  LoggedBatch,
  LoggedCommit,
} from '../../../shared/store/primary/commit-log-reader.js'
import { COMMITS_KEPT, COMMITS_READ_AHEAD } from '../limits.js'

/** A commit without its batches. */
export interface CommitHeadView {
  readonly index: number
  readonly epoch: number
  readonly timestamp: number
  readonly firstBatch: number
  readonly batchCount: number
  readonly certificateCount: number
  /** In hex, as `previous`. */
  readonly digest: string
  readonly previous: string
}

export class OrderedLog {
  private readonly reader: CommitLogReader
  private readonly head: CommitLogHead
  private readonly kept = new LRUCache<number, CommitHeadView>({ max: COMMITS_KEPT })
  private last: number

  constructor(reader: CommitLogReader, head: CommitLogHead) {
    this.reader = reader
    this.head = head
    this.last = reader.bounds().last
  }

  /** @throws NarvalError ERR_STORE_DAMAGED */
  bounds(): LogBounds {
    const bounds = this.reader.bounds()
    this.last = Math.max(this.last, bounds.last)
    return bounds
  }

  /** The commit after this one; undefined at the end of the log. @throws CommitsPrunedError, NarvalError */
  after(index: number): CommitHeadView | undefined {
    const kept = this.kept.get(index + 1)
    if (kept !== undefined) return kept
    if (index >= this.last && index >= this.bounds().last) return undefined
    let count = 0
    for (const commit of this.reader.commits(index)) {
      this.kept.set(commit.index, headView(commit))
      count += 1
      if (count === COMMITS_READ_AHEAD) break
    }
    return this.kept.get(index + 1)
  }

  /** Batches of a commit that is there, from a position on. @throws CommitsPrunedError, NarvalError */
  *batches(index: number, from: number): Generator<LoggedBatch, void, undefined> {
    for (const commit of this.reader.commits(index - 1)) {
      yield* commit.batches(from)
      return
    }
  }

  /** To be read before `after` is, and handed to `moved`. */
  get seen(): number {
    return this.head.seen
  }

  /** Resolves when the log has moved since, or the signal is aborted. */
  async moved(seen: number, signal: AbortSignal): Promise<void> {
    await this.head.moved(seen, signal)
  }
}

export function headView(commit: LoggedCommit): CommitHeadView {
  const { batchCount, certificateCount, epoch, firstBatch, index, previous, timestamp } = commit
  return {
    ...{ index, epoch, timestamp, firstBatch, batchCount, certificateCount },
    digest: Buffer.from(commit.digest()).toString('hex'),
    previous: Buffer.from(previous).toString('hex'),
  }
}
