/**
 * The order, for the application: the commits of the log with the bytes of their batches, from a place in the past on.
 *
 * ```
 *  commit log ──followCommits──▶ commit ──its batches, in order──▶ OrderedBatches ──▶ bytes, some batches ahead ──▶ reader
 * ```
 *
 * A commit can be gigabytes, so it is read as the reader goes on. What is in memory is its place, a part of the commit's
 * record and COMMITS_AHEAD_BYTES of batches. A slow reader takes no more, and holds nobody up.
 */
import { setMaxListeners } from 'node:events'
import { booleanArgument, integerArgument, objectArgument, refuseUnknownKeys } from '../../shared/arguments.js'
import type { Committee } from '../../shared/config/committee.js'
import { NarvalError } from '../../shared/errors.js'
import type { CommitLogHead } from '../../shared/memory/commit-log-head.js'
import type { CommitLogReader, LoggedBatch, LoggedCommit } from '../../shared/store/primary/commit-log-reader.js'
import { followCommits, hasBatchesOrIsGiven } from '../../shared/store/primary/follow-commits.js'
import { readBatchHeader, transactions } from '../../shared/wire/batch.js'
import { signalArgument } from '../worker/option-arguments.js'
import { BatchesAhead, ReadBudget } from './batches-ahead.js'
import { Endings } from './endings.js'
import { COMMIT_READERS_MAX, COMMITS_AHEAD_BYTES, COMMITS_AHEAD_MAX, COMMITS_FOLLOWED_AHEAD } from './limits.js'
import type { OrderedBatches } from './ordered-batches.js'
import { pulledAhead } from './pulled-ahead.js'

/** A place in the order: behind the batch at this position of this commit. */
export interface CommitCursor {
  readonly commit: number
  /** Of the last batch that was dealt with, from 0; −1 if none of this commit was. */
  readonly position: number
}

export interface CommitsOptions {
  /**
   * The reader begins behind it: the index of the last commit that was dealt with whole, or the cursor of a batch in it.
   * Default: 0, the beginning.
   */
  readonly after?: number | CommitCursor
  /** Ends the reader: what it waits for rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /**
   * Whether commits without batches are given as well. At rest the committee makes some every second, to keep its clock and
   * its memory going. Default: false, and only those of which the index is a multiple of 1,024 are, so that the index that
   * you remember goes on. They are the same on all authorities either way.
   */
  readonly empty?: boolean
}

/** A batch in the order, with its bytes. */
export interface OrderedBatch {
  /** Behind this batch: what to begin with after a restart. */
  readonly cursor: CommitCursor
  readonly digest: Uint8Array
  /** The public key of the authority that made it. */
  readonly author: Uint8Array
  readonly workerId: number
  /** The encoded batch. */
  readonly bytes: Uint8Array
  readonly transactionCount: number
  /** Views of `bytes`, in order. */
  transactions(): Generator<Uint8Array, void, undefined>
}

/** A commit: what all authorities have put in the order together. The same on all of them. */
export interface OrderedCommit {
  /** In the log, from 1, without gaps. A reader that is given no empty commits sees gaps. */
  readonly index: number
  /** Unix ms; never less than that of the commit before. */
  readonly timestamp: number
  readonly batchCount: number
  /** Batches in all commits before this one. */
  readonly firstBatch: number
  /** 32 bytes that name the commit and, by the digest of the one before in it, all before. Reads the commit's record: not once it is closed. */
  digest(): Uint8Array
  /**
   * Its batches in order, those behind the cursor that the reader began with. It waits for bytes that are not here yet.
   * When the authority is closed it rejects with `ERR_CLOSED`, so that what has been read of a commit is not taken for all.
   */
  batches(): AsyncGenerator<OrderedBatch, void, undefined>
  /** The transactions of all these batches: the simplest to use. Under load, `batches()` saves a promise for each. */
  transactions(): AsyncGenerator<Uint8Array, void, undefined>
}

export interface CommitsDependencies {
  readonly committee: Committee
  readonly batchBytesMax: number
  readonly reader: CommitLogReader
  readonly head: CommitLogHead
  readonly batches: Pick<OrderedBatches, 'bytesOf' | 'isRecent' | 'recent'>
  /** There are as many readers as may be. */
  readonly onRefused: (detail: string) => void
}

export class Commits {
  private readonly dependencies: CommitsDependencies
  private readonly aheadMax: number
  /** Aborted when nothing more may be read; its reason is an ERR_CLOSED. */
  private readonly closing = new AbortController()
  private readers = 0

  constructor(dependencies: CommitsDependencies) {
    this.dependencies = dependencies
    // Each reader listens to it: Node would take more than ten for a leak, and say so.
    setMaxListeners(0, this.closing.signal)
    const ahead = Math.floor(COMMITS_AHEAD_BYTES / dependencies.batchBytesMax)
    this.aheadMax = Math.min(Math.max(ahead, 1), COMMITS_AHEAD_MAX)
  }

  /** @throws TypeError, RangeError that name what is wrong in the options */
  read(options: unknown): AsyncGenerator<OrderedCommit, void, undefined> {
    return this.follow(commitsArgument(options))
  }

  /** Readers end; those within a commit fail. */
  close(): void {
    this.closing.abort(new NarvalError('ERR_CLOSED', 'the authority is closed'))
  }

  private async *follow({
    after,
    empty,
    signal,
  }: CheckedCommitsOptions): AsyncGenerator<OrderedCommit, void, undefined> {
    const { head, reader } = this.dependencies
    if (this.readers >= COMMIT_READERS_MAX) {
      const detail = `${this.readers} readers of commits, at most ${COMMIT_READERS_MAX}: end those that are done`
      this.dependencies.onRefused(detail)
      throw new NarvalError('ERR_BUSY', detail)
    }
    this.readers += 1
    const endings = new Endings(signal === undefined ? [this.closing.signal] : [this.closing.signal, signal])
    const { dispose, signal: ending } = endings.join()
    const window = new ReaderWindow(this.aheadMax)
    try {
      const isWhole = after.position === Number.POSITIVE_INFINITY
      const behind = isWhole ? after.commit : after.commit - 1
      const isWanted = empty ? undefined : hasBatchesOrIsGiven
      const logged = followCommits(reader, behind, { head, signal: ending, isWanted })
      const toCommit = (commit: LoggedCommit): Commit => {
        const from = commit.index === after.commit ? after.position + 1 : 0
        return window.add(new Commit(commit, from, endings, window, this.dependencies))
      }
      const ahead = pulledAhead(logged, COMMITS_FOLLOWED_AHEAD, toCommit, dispose)
      for await (const commit of ahead) {
        if (ending.aborted) break
        window.reach(commit)
        yield commit
      }
      signal?.throwIfAborted()
    } finally {
      window.leave()
      dispose()
      this.readers -= 1
    }
  }
}

/** What a reader has read ahead: of the commit that it deals with, and of those behind it. */
class ReaderWindow {
  readonly budget: ReadBudget
  /** The one that it deals with, and those that it has not reached. */
  private commits: Commit[] = []
  /** Whether it reads batches at all. */
  private areBatchesRead = false

  constructor(batchesMax: number) {
    this.budget = new ReadBudget(batchesMax)
  }

  add(commit: Commit): Commit {
    this.commits.push(commit)
    this.fill()
    return commit
  }

  /** The reader has gone on to this one. */
  reach(commit: Commit): void {
    const at = this.commits.indexOf(commit)
    for (const passed of this.commits.splice(0, at)) passed.leaveUnread()
  }

  fill(): void {
    if (!this.areBatchesRead) return
    for (const commit of this.commits) if (!commit.fill()) return
  }

  read(): void {
    this.areBatchesRead = true
    this.fill()
  }

  leave(): void {
    for (const commit of this.commits.splice(0)) commit.leaveUnread()
  }
}

class Commit implements OrderedCommit {
  private readonly logged: LoggedCommit
  private readonly from: number
  private readonly endings: Endings
  private readonly window: ReaderWindow
  private readonly dependencies: CommitsDependencies
  /** Its batches for the first who reads them. */
  private ahead: BatchesAhead | undefined
  private isRead = false

  constructor(
    logged: LoggedCommit,
    from: number,
    endings: Endings,
    window: ReaderWindow,
    dependencies: CommitsDependencies,
  ) {
    this.logged = logged
    this.from = from
    this.endings = endings
    this.window = window
    this.dependencies = dependencies
  }

  get index(): number {
    return this.logged.index
  }

  get timestamp(): number {
    return this.logged.timestamp
  }

  get batchCount(): number {
    return this.logged.batchCount
  }

  get firstBatch(): number {
    return this.logged.firstBatch
  }

  digest(): Uint8Array {
    this.endings.throwIfAborted()
    return this.logged.digest()
  }

  /** Begins to read its batches for who comes first, as far as the budget goes. Returns whether all are begun. */
  fill(): boolean {
    if (this.batchCount === 0) return true
    this.ahead ??= this.batchesAhead()
    return this.ahead.fill()
  }

  /** Nobody reads its batches: what was read ahead is not waited for any more. */
  leaveUnread(): void {
    if (this.isRead) return
    this.ahead?.leave()
    this.ahead = undefined
  }

  async *batches(): AsyncGenerator<OrderedBatch, void, undefined> {
    this.endings.throwIfAborted()
    const ahead = (this.isRead ? undefined : this.ahead) ?? this.batchesAhead()
    if (!this.isRead) this.ahead = ahead
    this.isRead = true
    try {
      this.window.read()
      for (;;) {
        this.endings.throwIfAborted()
        const next = ahead.take()
        if (next === undefined) return
        ahead.fill()
        this.window.fill()
        yield orderedBatch(next.entry, this.index, await next.bytes(), this.dependencies.committee)
      }
    } finally {
      ahead.leave()
    }
  }

  async *transactions(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const batch of this.batches()) yield* batch.transactions()
  }

  private batchesAhead(): BatchesAhead {
    const { batches } = this.dependencies
    const { dispose, signal } = this.endings.join()
    return new BatchesAhead({
      entries: this.logged.batches(this.from),
      bytesOf: (entry) => batches.bytesOf(entry, this.index, signal),
      isRecent: (entry) => batches.isRecent(entry),
      recent: (entry) => batches.recent(entry),
      budget: this.window.budget,
      onLeft: dispose,
    })
  }
}

function orderedBatch(entry: LoggedBatch, commit: number, bytes: Uint8Array, committee: Committee): OrderedBatch {
  return {
    cursor: { commit, position: entry.position },
    digest: entry.digest,
    author: new Uint8Array(committee.authority(entry.author).publicKey),
    workerId: entry.worker,
    bytes,
    transactionCount: readBatchHeader(bytes).count,
    transactions: () => transactions(bytes),
  }
}

interface CheckedCommitsOptions {
  /** A position of Infinity: behind all of the commit. */
  readonly after: CommitCursor
  readonly signal: AbortSignal | undefined
  readonly empty: boolean
}

function commitsArgument(value: unknown = {}): CheckedCommitsOptions {
  const options = objectArgument('options', value, 'the options of commits: { after, signal, empty }')
  refuseUnknownKeys('options', options, ['after', 'signal', 'empty'])
  const { after = 0, empty = false, signal } = options
  return {
    after: afterArgument(after),
    empty: booleanArgument('empty', empty),
    signal: signal === undefined ? undefined : signalArgument('signal', signal),
  }
}

function afterArgument(value: unknown): CommitCursor {
  if (typeof value === 'number') {
    return { commit: integerArgument('after', value, 0, Number.MAX_SAFE_INTEGER), position: Number.POSITIVE_INFINITY }
  }
  const cursor = objectArgument('after', value, 'the index of a commit, or { commit, position }')
  refuseUnknownKeys('after', cursor, ['commit', 'position'])
  return {
    commit: integerArgument('after.commit', cursor.commit, 1, Number.MAX_SAFE_INTEGER),
    position: integerArgument('after.position', cursor.position, -1, Number.MAX_SAFE_INTEGER),
  }
}
