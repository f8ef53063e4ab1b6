/**
 * The digests that the Synchronizer looks for: which are due to be asked for, and whom to ask. Pure: the clock and the
 * choice of peers are handed in.
 */
import { digestKey } from '../../../shared/wire/digest-key.js'

export interface PendingDigest {
  readonly digest: Uint8Array
  /** Authority index of the one that should have it. */
  readonly target: number
  /** The last Cleanup round when it was asked for: it is given up `gc_depth` rounds later. */
  readonly round: bigint
  /** When it was last requested; undefined if not yet. */
  askedMs: number | undefined
}

export class PendingDigests {
  private readonly entries = new Map<string, PendingDigest>()
  private readonly max: number

  constructor(max: number) {
    this.max = max
  }

  get size(): number {
    return this.entries.size
  }

  /** False if there is no room for it. One that is looked for already stays as it is. */
  add(digest: Uint8Array, target: number, round: bigint): boolean {
    const key = digestKey(digest)
    if (this.entries.has(key)) return true
    if (this.entries.size >= this.max) return false
    this.entries.set(key, { digest, target, round, askedMs: undefined })
    return true
  }

  get(digest: Uint8Array): PendingDigest | undefined {
    return this.entries.get(digestKey(digest))
  }

  delete(digest: Uint8Array): boolean {
    return this.entries.delete(digestKey(digest))
  }

  /** Takes what is due: never asked, or asked at least `retryMs` ago. Marks it as asked now. */
  takeDue(nowMs: number, retryMs: number): { first: PendingDigest[]; again: PendingDigest[] } {
    const first: PendingDigest[] = []
    const again: PendingDigest[] = []
    for (const entry of this.entries.values()) {
      if (entry.askedMs === undefined) first.push(entry)
      else if (nowMs - entry.askedMs >= retryMs) again.push(entry)
      else continue
      entry.askedMs = nowMs
    }
    return { first, again }
  }

  /** Gives up what was asked for `gcDepth` rounds before `round` or earlier; says how many that were. */
  cleanup(round: bigint, gcDepth: bigint): number {
    let cancelled = 0
    for (const [key, entry] of this.entries) {
      if (entry.round + gcDepth > round) continue
      this.entries.delete(key)
      cancelled += 1
    }
    return cancelled
  }
}
