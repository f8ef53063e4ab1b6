/**
 * PayloadFetcher: batches of delivered certificates that our own workers do not have. A header that waits for our vote has
 * its batches fetched; a certificate needs no vote of ours, and who catches up sees certificates only. What is ordered has
 * to be here all the same.
 *
 * Each author has a share of its own, in the order of delivery, which is parents first: only the first of them are asked
 * for, and again until they come. Each was held by an honest voter, so none is made up.
 */
import type { AuthorityIndex, Digest, Header, PayloadEntry, Round } from './consensus/types.js'
import {
  PAYLOAD_FETCHES_PER_AUTHORITY,
  PAYLOAD_GRACE_MS,
  PAYLOAD_RETRY_MS,
  PAYLOAD_ROUNDS_KEPT,
  PAYLOAD_WANTED_MAX,
  PAYLOAD_WANTED_PER_AUTHORITY,
} from './limits.js'
import { synchronizeRequests } from './synchronize-requests.js'
import type { TurnBuilder } from './turn.js'

interface Wanted {
  readonly entry: PayloadEntry
  readonly round: Round
  askAtMs: number
}

interface Author {
  readonly wanted: Map<Digest, Wanted>
  /** When one of those that may be asked for is due. */
  nextAtMs: number
}

export class PayloadFetcher {
  private readonly wantedMax: number
  private readonly authors: Author[]
  /** The lowest round of batches for which there was no room: they are asked for after a restart. */
  private forgottenRound = Number.POSITIVE_INFINITY

  constructor(authorities: number, wantedMax = shareOfWanted(authorities)) {
    this.wantedMax = wantedMax
    this.authors = Array.from({ length: authorities }, () => ({
      wanted: new Map(),
      nextAtMs: Number.POSITIVE_INFINITY,
    }))
  }

  /** The lowest round of which a batch is not here; Infinity if all are. */
  get lowestRound(): Round {
    let lowest = this.forgottenRound
    for (const { wanted } of this.authors) for (const { round } of wanted.values()) lowest = Math.min(lowest, round)
    return lowest
  }

  get size(): number {
    return this.authors.reduce((sum, { wanted }) => sum + wanted.size, 0)
  }

  /** A certificate with this header is delivered, and these of its batches are not held. They may be on their way. */
  want({ author, round }: Pick<Header, 'author' | 'round'>, missing: readonly PayloadEntry[], nowMs: number): void {
    const share = this.authors[author]!
    for (const entry of missing) {
      if (share.wanted.has(entry.digest)) continue
      if (share.wanted.size >= this.wantedMax) {
        this.forgottenRound = Math.min(this.forgottenRound, round)
        continue
      }
      share.wanted.set(entry.digest, { entry, round, askAtMs: nowMs + PAYLOAD_GRACE_MS })
      share.nextAtMs = Math.min(share.nextAtMs, nowMs + PAYLOAD_GRACE_MS)
    }
  }

  /**
   * A batch is stored: the next one has its place.
   *
   * @returns the round of the certificate for which it was wanted
   */
  stored(author: AuthorityIndex, digest: Digest, nowMs: number): Round | undefined {
    const share = this.authors[author]!
    const round = share.wanted.get(digest)?.round
    if (!share.wanted.delete(digest)) return undefined
    if (share.wanted.size >= PAYLOAD_FETCHES_PER_AUTHORITY) share.nextAtMs = Math.min(share.nextAtMs, nowMs)
    return round
  }

  /** It has become known again which batches our workers have: those of them are not asked for. */
  held(isHeld: (entry: PayloadEntry) => boolean): void {
    for (const { wanted } of this.authors) {
      for (const [digest, { entry }] of wanted) if (isHeld(entry)) wanted.delete(digest)
    }
  }

  /** Asks for what is due. What is so old that nobody keeps it is not asked for any more. */
  tick(gcRound: Round, turn: TurnBuilder): void {
    for (const share of this.authors) if (turn.now.ms >= share.nextAtMs) this.ask(share, gcRound, turn)
  }

  get wakeAtMs(): number {
    return this.authors.reduce((at, { nextAtMs }) => Math.min(at, nextAtMs), Number.POSITIVE_INFINITY)
  }

  private ask(share: Author, gcRound: Round, turn: TurnBuilder): void {
    const { ms } = turn.now
    const due: PayloadEntry[] = []
    let left = PAYLOAD_FETCHES_PER_AUTHORITY
    share.nextAtMs = Number.POSITIVE_INFINITY
    for (const [digest, wanted] of share.wanted) {
      if (left === 0) break
      if (wanted.round + PAYLOAD_ROUNDS_KEPT < gcRound) {
        share.wanted.delete(digest)
        continue
      }
      left -= 1
      if (wanted.askAtMs <= ms) {
        due.push(wanted.entry)
        wanted.askAtMs = ms + PAYLOAD_RETRY_MS
      }
      share.nextAtMs = Math.min(share.nextAtMs, wanted.askAtMs)
    }
    for (const request of synchronizeRequests(due)) turn.request(request)
  }
}

/** How many batches of each authority may be asked for, or be waiting for that. */
export function shareOfWanted(authorities: number): number {
  return Math.min(PAYLOAD_WANTED_PER_AUTHORITY, Math.floor(PAYLOAD_WANTED_MAX / authorities))
}
