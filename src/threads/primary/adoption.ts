/**
 * Adoption: batches that an author has spread and then does not bring into the order, since it died, or its primary did.
 * Others that hold one list it in headers of their own. A header that lists a batch of another is a claim: its author says
 * that the batch's author handed it the batch. Where authorities with V of the stake have claimed it, it is in the order
 * (`consensus/claims.ts`); so what a liar lists of others leads to nothing, and nobody fetches it or waits for it.
 *
 * ```
 *  delivered, or last named, ADOPTION_MS ago ──▶ claimed in our next header ──▶ in the order
 *                                                          │ the header fell out: claimed again at once
 *                                                          └ others did not claim it: again after ADOPTION_AGAIN_MS
 * ```
 *
 * Those who come next behind the author in the committee claim first, V of the stake of them, and the others later, if
 * there are not enough claims: so a batch is listed by no more than have to list it.
 *
 * One header at a time has claims: when it is in the order, or never will be, the next one may. So what an honest authority
 * claims never drives its own claims out of the bounded memory of all.
 */
import type { BatchEntry } from '../../shared/wire/primary/header.js'
import { HEADER_ADOPTED_MAX } from '../../shared/wire/primary/limits.js'
import { claimsOfEach } from './consensus/claims.js'
import type { Consensus } from './consensus/consensus.js'
import type { Stakes } from './consensus/stakes.js'
import type { AuthorityIndex, Round } from './consensus/types.js'
import { ADOPTION_AGAIN_MS, ADOPTION_HEADERS, ADOPTION_MS, ADOPTION_STAGGER_MS } from './limits.js'
import type { TurnBuilder } from './turn.js'
import type { Stage, UnnamedBatch, UnnamedBatches } from './unnamed-batches.js'

const ALL: readonly Stage[] = ['again', 'waiting', 'claimed']

export interface AdoptionDependencies {
  readonly consensus: Pick<Consensus, 'decidedRound' | 'hasBatch' | 'isClaimed'>
  readonly unnamed: UnnamedBatches
}

export class Adoption {
  /** Batches that claims have brought into the order, since the start. */
  ordered = 0
  private readonly authority: AuthorityIndex
  private readonly stakes: Stakes
  private readonly consensus: AdoptionDependencies['consensus']
  private readonly unnamed: UnnamedBatches
  /** Batches that one header may claim. */
  private readonly countMax: number
  /** By author: how long its batches wait for it. */
  private readonly waitMs: readonly number[]
  /** What our last header with claims claims, until that is in the order or fell out. */
  private claimed: { readonly round: Round; readonly batches: readonly UnnamedBatch[] } | undefined
  /** Our last header with claims was given up: the next one has none, should they be the reason. */
  private pauses = false

  constructor(authority: AuthorityIndex, stakes: Stakes, { consensus, unnamed }: AdoptionDependencies) {
    this.authority = authority
    this.stakes = stakes
    this.consensus = consensus
    this.unnamed = unnamed
    this.countMax = Math.min(HEADER_ADOPTED_MAX, Math.floor(claimsOfEach(stakes.size) / 2))
    this.waitMs = Array.from(
      { length: stakes.size },
      (_, author) => ADOPTION_MS + turnOf(stakes, author, authority) * ADOPTION_STAGGER_MS,
    )
  }

  /** What our header of this round is to claim. */
  take(round: Round, turn: TurnBuilder): BatchEntry[] {
    this.unnamed.headers += 1
    if (this.claimed !== undefined) return []
    if (this.pauses) {
      this.pauses = false
      return []
    }
    const { size } = this.stakes
    const batches: UnnamedBatch[] = []
    for (let step = 0; step < size && batches.length < this.countMax; step += 1) {
      // Another one is first each time.
      const author = (round + step) % size
      if (author !== this.authority) this.takeOf(author, batches, turn)
    }
    for (const batch of batches) this.unnamed.move(ALL, 'claimed', batch, turn.now.ms)
    if (batches.length > 0) this.claimed = { round, batches }
    return batches.map(({ batch }) => batch)
  }

  /** Our header of this round got no certificate in time. */
  giveUp(round: Round, nowMs: number): void {
    if (this.claimed?.round !== round) return
    this.pauses = true
    this.fellOut(nowMs)
  }

  /** When our header with claims is over, the next may have some: what is neither in the order nor claimed is claimed again. */
  collect(isOver: (round: Round) => boolean, nowMs: number): void {
    if (this.claimed !== undefined && isOver(this.claimed.round)) this.fellOut(nowMs)
  }

  private fellOut(nowMs: number): void {
    const { batches } = this.claimed!
    this.claimed = undefined
    for (const batch of batches) if (!this.stands(batch)) this.unnamed.move(['claimed'], 'again', batch, nowMs)
  }

  private takeOf(author: AuthorityIndex, batches: UnnamedBatch[], turn: TurnBuilder): void {
    const { ms } = turn.now
    const waitMs: Readonly<Record<Stage, number>> = {
      again: 0,
      waiting: this.waitMs[author]!,
      claimed: ADOPTION_AGAIN_MS,
    }
    for (const stage of ALL) {
      for (const batch of this.unnamed.in(stage, author)) {
        if (batches.length >= this.countMax || batch.sinceMs + waitMs[stage] > ms) break
        // In a stall nobody can name anything: behind it the author has a few rounds for that.
        if (stage === 'waiting' && this.unnamed.headers - batch.sinceHeader < ADOPTION_HEADERS) break
        if (this.isToBeClaimed(stage, batch, turn)) batches.push(batch)
      }
    }
  }

  private isToBeClaimed(stage: Stage, batch: UnnamedBatch, turn: TurnBuilder): boolean {
    const { consensus, stakes, unnamed } = this
    const { author, digest, sequence, worker } = batch.batch
    if (consensus.hasBatch(author, worker, sequence)) {
      // Another one of that sequence: this one never will be.
      unnamed.forget(author, batch.digest)
      turn.request({ type: 'ordered', worker, digest })
      return false
    }
    // The order has not come to its certificate yet.
    if ((batch.certifiedRound ?? 0) > consensus.decidedRound) {
      unnamed.move(ALL, 'waiting', batch, turn.now.ms)
      return false
    }
    const isClaimedByOthers = stage === 'waiting' && stakes.ofSet(batch.claimants) >= stakes.validity
    if (!isClaimedByOthers && !this.stands(batch)) return true
    unnamed.move(ALL, 'claimed', batch, turn.now.ms)
    return false
  }

  /** Whether our claim of it is in the order, and counts still. */
  private stands({ batch, digest }: UnnamedBatch): boolean {
    return this.consensus.isClaimed(this.authority, { ...batch, digest })
  }
}

/** How many times V of the stake come before us, of those behind the author. */
export function turnOf(stakes: Stakes, author: AuthorityIndex, authority: AuthorityIndex): number {
  let stake = 0
  for (let at = (author + 1) % stakes.size; at !== authority && at !== author; at = (at + 1) % stakes.size) {
    stake += stakes.of(at)
  }
  return Math.floor(stake / stakes.validity)
}
