/**
 * The bytes of ordered batches. A batch may be ordered before it is here: it is held by a quorum, and our own worker
 * fetches it.
 *
 * ```
 *  read ──is there──▶ its bytes
 *    │ is not            ▲
 *    ▼                   │
 *  fetch ────────▶ the worker reports it as stored, or ORDERED_RETRY_MS are over: read again
 * ```
 */
import type { Committee } from '../../shared/config/committee.js'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { CommitsPrunedError } from '../../shared/errors.js'
import type { CommittedBatch } from '../../shared/wire/primary/commit-record.js'
import { capitalized } from '../lib/capitalized.js'
import type { Logger } from '../lib/log.js'
import type { RecentBatches } from '../worker/recent-batches.js'
import { ORDERED_RETRY_MS, ORDERED_WAIT_LOG_MS } from './limits.js'

/** One of our workers. */
export interface BatchSource {
  /** @param signal nobody waits for it any more once it is aborted */
  read(digest: Uint8Array, signal: AbortSignal): Promise<{ readonly bytes: Uint8Array } | undefined>
  /** Its batches of just now, where it runs in this process. */
  readonly recent?: Pick<RecentBatches, 'has' | 'read'>
  /** The first commit whose batches it keeps. Asked after a read that found nothing. */
  readonly firstKept: () => number
  /** Has it get batches from the worker of this authority, by its index, and then from others. */
  fetch(author: number, digests: readonly Uint8Array[]): void
}

/** What a reader of commits has waited for so long that somebody should look. */
export interface LateBatch {
  /** For people: which batch it is, and what to do. */
  readonly text: string
  /** Nobody has it who could be asked. */
  readonly isLost: boolean
}

/** A batch that a reader of commits waits for. */
interface Wait {
  readonly batch: CommittedBatch
  readonly commit: number
  readonly sinceMs: number
}

export interface OrderedBatchesDependencies {
  readonly committee: Committee
  readonly ownIndex: number
  readonly workers: ReadonlyMap<number, BatchSource>
  readonly log: Logger
}

export class OrderedBatches {
  private readonly dependencies: OrderedBatchesDependencies
  /** Who waits for which digest; bounded by the readers and what each reads ahead. */
  private readonly waiting = new Map<string, Set<(value?: unknown) => void>>()
  /** What readers wait for; with the same bound. */
  private readonly waits = new Set<Wait>()

  constructor(dependencies: OrderedBatchesDependencies) {
    this.dependencies = dependencies
  }

  /** A worker of ours has it now. */
  stored(digest: Uint8Array): void {
    if (this.waiting.size === 0) return
    for (const wake of this.waiting.get(encodeBase64(digest)) ?? []) wake()
  }

  /** The first of the batches that readers wait for too long; undefined if there is none. */
  get late(): LateBatch | undefined {
    const dueMs = performance.now() - ORDERED_WAIT_LOG_MS
    const late = [...this.waits].filter(({ sinceMs }) => sinceMs <= dueMs).sort((a, b) => a.commit - b.commit)
    return late[0] && { text: this.textOf(late[0]), isLost: this.isAlone }
  }

  /** Whether its bytes are in memory now: nothing is gained by reading it ahead. */
  isRecent({ digest, worker }: CommittedBatch): boolean {
    return this.dependencies.workers.get(worker)!.recent?.has(digest) === true
  }

  /** Its bytes, if they are still in memory. */
  recent({ digest, worker }: CommittedBatch): Uint8Array | undefined {
    return this.dependencies.workers.get(worker)!.recent?.read(digest)
  }

  /** The bytes of a batch of this commit, once they are here. Rejects with the signal's reason, or a CommitsPrunedError. */
  async bytesOf(batch: CommittedBatch, commit: number, signal: AbortSignal): Promise<Uint8Array> {
    const { workers } = this.dependencies
    // Each authority has a worker of each id (authority-options.ts), and no header is certified with another one.
    const worker = workers.get(batch.worker)!
    const wait: Wait = { batch, commit, sinceMs: performance.now() }
    this.waits.add(wait)
    try {
      return await this.waitFor(worker, wait, signal)
    } finally {
      this.waits.delete(wait)
    }
  }

  private async waitFor(worker: BatchSource, wait: Wait, signal: AbortSignal): Promise<Uint8Array> {
    const { batch, commit, sinceMs } = wait
    let isSaid = false
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted()
      // From before the look: it may come meanwhile.
      const arrival = this.arrival(batch.digest, signal)
      try {
        const stored = await worker.read(batch.digest, signal)
        if (stored !== undefined) return stored.bytes
        signal.throwIfAborted()
        // Others may keep it for longer, so they were asked once.
        if (attempt > 0 && commit < worker.firstKept()) {
          throw new CommitsPrunedError(commit - 1, this.firstKept, 'retention has not left the batches of commits')
        }
        const target = this.target(batch.author, attempt)
        if (target !== undefined) worker.fetch(target, [batch.digest])
        if (!isSaid && performance.now() - sinceMs >= ORDERED_WAIT_LOG_MS) {
          isSaid = true
          this.dependencies.log.warn(capitalized(this.textOf(wait)))
        }
        await arrival.come
      } finally {
        arrival.dispose()
      }
    }
  }

  /** The oldest commit that can be read whole, as far as retention goes. */
  get firstKept(): number {
    return Math.max(...Array.from(this.dependencies.workers.values(), (worker) => worker.firstKept()))
  }

  /** Whom to ask first: the author, then one after the other. Never ourselves. */
  private target(author: number, attempt: number): number | undefined {
    const { committee, ownIndex } = this.dependencies
    const asked = (author + attempt) % committee.size
    const target = asked === ownIndex ? (asked + 1) % committee.size : asked
    return target === ownIndex ? undefined : target
  }

  /** There is no other authority. */
  private get isAlone(): boolean {
    return this.dependencies.committee.size === 1
  }

  private textOf({ batch: { author, digest, worker }, commit }: Wait): string {
    const { committee } = this.dependencies
    const what = `commit ${commit} has the batch ${encodeBase64(digest)} of ${committee.authority(author).name}`
    if (!this.isAlone) {
      return `${what}, which worker ${worker} does not have yet: a reader of commits waits for it, and it is asked of the others`
    }
    return `${what}, which worker ${worker} has lost, and no other authority has a copy: a reader of commits waits there for ever. Put the store of worker ${worker} back, or have it read on behind that commit, without its batches: commits({ after: ${commit} })`
  }

  /** `come` resolves when the batch is stored, the time is over or the signal is aborted. */
  private arrival(digest: Uint8Array, signal: AbortSignal): { come: Promise<unknown>; dispose: () => void } {
    const key = encodeBase64(digest)
    const all = this.waiting.get(key) ?? new Set()
    this.waiting.set(key, all)
    let dispose = (): void => {}
    const come = new Promise<unknown>((resolve) => {
      const timer = setTimeout(resolve, ORDERED_RETRY_MS)
      signal.addEventListener('abort', resolve, { once: true })
      all.add(resolve)
      dispose = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', resolve)
        all.delete(resolve)
        if (all.size === 0 && this.waiting.get(key) === all) this.waiting.delete(key)
      }
    })
    return { come, dispose }
  }
}
