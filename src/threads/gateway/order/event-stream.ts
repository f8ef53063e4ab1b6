/**
 * One reader of the stream: a place in the log that goes on as its socket takes what is written. Nothing waits for it: it
 * holds a place, and one event that its socket has not taken. While that is so, what it was reading is let go, and read
 * again when the socket has room.
 */
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LRUCache } from 'lru-cache'
import type { LoggedBatch } from '../../../shared/store/primary/commit-log-reader.js'
import { hasBatchesOrIsGiven, type LogCursor } from '../../../shared/store/primary/follow-commits.js'
import { problemOf } from '../door/problem.js'
import { COMMITS_PER_TURN } from '../limits.js'
import { batchEvents, commitEvent, type EventContext } from './batch-events.js'
import type { Batches } from './batches.js'
import type { CommitHeadView, OrderedLog } from './ordered-log.js'

export interface EventStreamOptions {
  readonly after: LogCursor
  /** Whether commits without batches are given as well. */
  readonly empty: boolean
  /** Whether batches come with their transactions. */
  readonly payload: boolean
}

export interface EventStreamDependencies {
  readonly log: OrderedLog
  readonly batches: Batches
  readonly context: EventContext
  /** By cursor: events of batches, for readers at the same place. */
  readonly cache: LRUCache<string, Buffer[]>
}

/** Who is told what its socket holds. */
export interface StreamHost {
  wrote(stream: EventStream, bytes: number): void
  taken(stream: EventStream): void
  sent(bytes: number): void
}

export class EventStream {
  private readonly options: EventStreamOptions
  private readonly dependencies: EventStreamDependencies
  private readonly response: ServerResponse
  private readonly ending = new AbortController()
  private host!: StreamHost

  constructor(options: EventStreamOptions, dependencies: EventStreamDependencies, response: ServerResponse) {
    this.options = options
    this.dependencies = dependencies
    this.response = response
    response.once('close', () => this.ending.abort())
    // What it sends goes out, or does not: its end is seen by `close`.
    response.on('error', () => {})
  }

  /** Resolves at its end; never rejects. */
  async run(host: StreamHost): Promise<void> {
    this.host = host
    try {
      await this.follow()
    } catch (error) {
      if (!this.ending.signal.aborted) this.say(error)
    }
    this.response.end()
  }

  /** Ends it at once. */
  end(): void {
    this.ending.abort()
    this.response.destroy()
  }

  /** It is told that the connection is alive. */
  beat(): void {
    this.response.write(':\n\n')
  }

  private async follow(): Promise<void> {
    const { log } = this.dependencies
    const { signal } = this.ending
    let { commit: index, position } = this.options.after
    let passed = 0
    while (!signal.aborted) {
      const seen = log.seen
      const commit = log.after(position === Number.POSITIVE_INFINITY ? index : index - 1)
      if (commit === undefined) {
        await log.moved(seen, signal)
        continue
      }
      const from = commit.index === index ? position + 1 : 0
      await this.give(commit, from)
      index = commit.index
      position = Number.POSITIVE_INFINITY
      passed += 1
      if (passed % COMMITS_PER_TURN === 0) await nextTurn()
    }
  }

  private async give(commit: CommitHeadView, from: number): Promise<void> {
    const { index, batchCount } = commit
    if (from < batchCount) {
      for (const batch of this.dependencies.log.batches(index, from)) {
        await this.giveBatch(commit, batch)
        // Others are served between two batches, however quickly this one reads.
        await nextTurn()
        if (this.ending.signal.aborted) return
      }
    }
    if (this.options.empty || hasBatchesOrIsGiven(commit)) {
      await this.write(commitEvent(commit))
    }
  }

  private async giveBatch(commit: CommitHeadView, batch: LoggedBatch): Promise<void> {
    for (let at = 0; ; at += 1) {
      const pieces = await this.pieces(commit, batch)
      const piece = pieces[at]
      if (piece === undefined || this.ending.signal.aborted) return
      await this.write(piece)
    }
  }

  private async pieces(commit: CommitHeadView, batch: LoggedBatch): Promise<Buffer[]> {
    const { batches, cache, context } = this.dependencies
    const { payload } = this.options
    if (!payload) return batchEvents(commit, batch, undefined, context)
    const key = `${commit.index}.${batch.position}`
    const cached = cache.get(key)
    if (cached !== undefined) return cached
    const bytes = await batches.bytesOf(batch, commit.index, this.ending.signal)
    const pieces = batchEvents(commit, batch, bytes, context)
    cache.set(key, pieces)
    return pieces
  }

  private async write(bytes: Buffer): Promise<void> {
    const { host, response } = this
    const { signal } = this.ending
    if (signal.aborted) return
    host.sent(bytes.length)
    if (response.write(bytes)) return
    host.wrote(this, bytes.length)
    await new Promise<void>((resolve) => {
      const done = (): void => {
        response.off('drain', done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      response.on('drain', done)
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })
    host.taken(this)
  }

  /** The last event of a stream that cannot go on: what a request would have been answered with. */
  private say(error: unknown): void {
    this.response.write(`event: problem\ndata: ${problemOf(error).body.trimEnd()}\n\n`)
  }
}
