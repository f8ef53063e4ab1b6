/**
 * Whether our primary commits: its Cleanups go on while there is something to commit. Pure: the clock is handed in.
 *
 * ```
 *  a batch is certified ──▶ owed a commit ──a Cleanup is followed──▶ nothing owed
 *                               │
 *                               └─ for longer than `stillMs`, primary connected ──▶ it stands still
 * ```
 *
 * A Cleanup says that some round was committed, not which batches were. So any Cleanup ends it; so does any commit of a primary
 * that says what it commits. Time in which the primary
 * is not connected does not count: then something else is wrong, and is said.
 */
import { COMMITS_STILL_HEADERS, COMMITS_STILL_MS, COMMITS_UNHEARD_MS } from './limits.js'

export interface CommitWatchOptions {
  /** The time in which an idle primary makes a round. */
  readonly maxHeaderDelayMs: number
}

export interface CommitWatchDependencies {
  readonly nowMs: () => number
  /** Whether the primary can be told anything now. */
  readonly isConnected: () => boolean
}

/** The primary has committed nothing for this time, though so many batches were certified in it. */
export interface Stillness {
  readonly forMs: number
  readonly batches: number
}

export class CommitWatch {
  private readonly dependencies: CommitWatchDependencies
  private readonly stillMs: number
  private hasCommitted = false
  /** Batches that were certified since the last Cleanup, and when the first of them was. */
  private batches = 0
  private sinceMs = 0
  private still = false

  constructor({ maxHeaderDelayMs }: CommitWatchOptions, dependencies: CommitWatchDependencies) {
    this.dependencies = dependencies
    this.stillMs = Math.max(COMMITS_STILL_MS, COMMITS_STILL_HEADERS * maxHeaderDelayMs)
  }

  /** An own batch is certified: the primary is told of it. */
  onCertified(): void {
    if (this.batches === 0) this.sinceMs = this.dependencies.nowMs()
    this.batches += 1
  }

  /** A Cleanup was followed. */
  onCommitted(): void {
    this.hasCommitted = true
    this.still = false
    this.batches = 0
  }

  /** Undefined while the primary commits, or has nothing to commit, or is away. To be asked now and then. */
  look(): Stillness | undefined {
    const still = this.find()
    this.still = still !== undefined && this.hasCommitted
    return still
  }

  /** What the last look found, of a primary that has committed before. */
  get isStill(): boolean {
    return this.still
  }

  private find(): Stillness | undefined {
    const nowMs = this.dependencies.nowMs()
    if (!this.dependencies.isConnected()) this.sinceMs = nowMs
    if (this.batches === 0) return undefined
    const forMs = nowMs - this.sinceMs
    // One that was never heard of may be a program that sends no Cleanups, which is said once, and later.
    if (forMs < (this.hasCommitted ? this.stillMs : COMMITS_UNHEARD_MS)) return undefined
    return { forMs, batches: this.batches }
  }
}
