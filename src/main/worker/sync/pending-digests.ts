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
  /** The one that it waits for, after its first request; undefined when that has answered without it. */
  askedOf: number | undefined
  /** When somebody wanted it last. */
  namedMs: number
}

/** When what was asked for is due again. */
export interface Patience {
  /** After so long, in ms, unless the peer that it was asked of goes on sending what it was asked for. */
  readonly retryMs: number
  /** After so long, in ms, however steadily it sends. */
  readonly longestMs: number
  /** When the peer last sent a batch that it was asked for. */
  readonly sentMs: (peer: number) => number
}

export class PendingDigests {
  private readonly entries = new Map<string, PendingDigest>()
  /** By target, its digests, the oldest first. */
  private readonly byTarget = new Map<number, Set<string>>()
  private readonly max: number
  private readonly sharePerTarget: number

  /** @param sharePerTarget so many of one target, if there is such a share: its newest take the place of its oldest */
  constructor(max: number, sharePerTarget = Number.POSITIVE_INFINITY) {
    this.max = max
    this.sharePerTarget = sharePerTarget
  }

  get size(): number {
    return this.entries.size
  }

  /** False if there is no room for it. One that is looked for already stays as it is, and is wanted anew. */
  add(digest: Uint8Array, target: number, round: bigint, nowMs = 0): boolean {
    const key = digestKey(digest)
    const known = this.entries.get(key)
    if (known !== undefined) {
      known.namedMs = nowMs
      return true
    }
    const share = this.byTarget.get(target) ?? new Set<string>()
    this.byTarget.set(target, share)
    if (share.size >= this.sharePerTarget) {
      const [oldest] = share
      if (oldest !== undefined) this.remove(oldest)
    }
    if (this.entries.size >= this.max) return false
    share.add(key)
    this.entries.set(key, { digest, target, round, askedMs: undefined, askedOf: undefined, namedMs: nowMs })
    return true
  }

  get(digest: Uint8Array): PendingDigest | undefined {
    return this.entries.get(digestKey(digest))
  }

  delete(digest: Uint8Array): boolean {
    return this.remove(digestKey(digest))
  }

  /**
   * Takes what is due: never asked, or asked some time ago. Marks it as asked now. What waits for its turn with a peer that
   * sends steadily would otherwise be asked of others too, and come from each of them.
   */
  takeDue(nowMs: number, patience: Patience): { first: PendingDigest[]; again: PendingDigest[] } {
    const first: PendingDigest[] = []
    const again: PendingDigest[] = []
    for (const entry of this.entries.values()) {
      if (entry.askedMs === undefined) {
        first.push(entry)
        entry.askedOf = entry.target
      } else if (isDueAgain(entry, nowMs, patience)) {
        again.push(entry)
        entry.askedOf = undefined
      } else continue
      entry.askedMs = nowMs
    }
    return { first, again }
  }

  /** This peer has answered without it: others are asked when the delay is over. */
  notSent(digest: Uint8Array, peer: number): void {
    const entry = this.get(digest)
    if (entry?.askedOf === peer) entry.askedOf = undefined
  }

  /** Gives up what was asked for `gcDepth` rounds before `round` or earlier; says how many that were. */
  cleanup(round: bigint, gcDepth: bigint): number {
    let cancelled = 0
    for (const [key, entry] of this.entries) {
      if (entry.round + gcDepth > round) continue
      this.remove(key)
      cancelled += 1
    }
    return cancelled
  }

  /** Gives up what nobody has wanted since then; says how many that were. */
  forget(sinceMs: number): number {
    let forgotten = 0
    for (const [key, { namedMs }] of this.entries) {
      if (namedMs >= sinceMs) continue
      this.remove(key)
      forgotten += 1
    }
    return forgotten
  }

  private remove(key: string): boolean {
    const entry = this.entries.get(key)
    if (entry === undefined) return false
    this.byTarget.get(entry.target)!.delete(key)
    return this.entries.delete(key)
  }
}

function isDueAgain({ askedMs, askedOf }: PendingDigest, nowMs: number, patience: Patience): boolean {
  const { longestMs, retryMs, sentMs } = patience
  const waitedMs = nowMs - askedMs!
  if (waitedMs < retryMs) return false
  return askedOf === undefined || waitedMs >= longestMs || nowMs - sentMs(askedOf) >= retryMs
}
