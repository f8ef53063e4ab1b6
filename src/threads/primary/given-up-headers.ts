/**
 * GivenUpHeaders: our last headers that had no certificate when the next one was made. Votes that come late still certify
 * them: those for an authority that is far always do. Whether one was in vain is known only when votes have had their time;
 * until then it shows nothing about its batches (`payload-limit.ts`).
 */
import type { Vote } from '../../shared/wire/primary/vote.js'
import type { Digest, PayloadEntry, Round } from './consensus/types.js'
import { GIVEN_UP_KEPT } from './limits.js'
import { isFor } from './signatures.js'
import type { VotesAggregator } from './votes-aggregator.js'

interface GivenUp {
  readonly votes: VotesAggregator
  readonly proposedAtMs: number
  /** When it counts as one that gets no certificate. */
  readonly inVainAtMs: number
  isInVain: boolean
}

export class GivenUpHeaders {
  /** Oldest first. */
  private headers: GivenUp[] = []

  get size(): number {
    return this.headers.length
  }

  add(votes: VotesAggregator, proposedAtMs: number, inVainAtMs: number): void {
    this.headers.push({ votes, proposedAtMs, inVainAtMs, isInVain: false })
    if (this.headers.length > GIVEN_UP_KEPT) this.headers.shift()
  }

  /** The one that a vote is for. */
  find(vote: Vote): VotesAggregator | undefined {
    return this.headers.find(({ votes }) => isFor(vote, votes.header))?.votes
  }

  /** A certificate is delivered. Returns what it is of, if that is one of these. */
  certified(digest: Digest): Readonly<GivenUp> | undefined {
    const header = this.headers.find(({ votes }) => votes.header.id === digest)
    if (header !== undefined) this.headers = this.headers.filter((each) => each !== header)
    return header
  }

  /** The batches of those that have become in vain, header by header. */
  inVain(nowMs: number): (readonly PayloadEntry[])[] {
    const now = this.headers.filter(({ isInVain, inVainAtMs }) => !isInVain && inVainAtMs <= nowMs)
    for (const header of now) header.isInVain = true
    return now.map(({ votes }) => votes.header.payload)
  }

  /** Forgets what no certificate is taken for. */
  collect(gcRound: Round): void {
    this.headers = this.headers.filter(({ votes }) => votes.header.round > gcRound)
  }
}
