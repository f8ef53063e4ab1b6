/**
 * UnnamedBatches: batches that another authority's worker itself handed to ours, and that are not in the order. As long as
 * no header or certificate of its author names one, only others can bring it into the order: `adoption.ts`.
 *
 * ```
 *  delivered ──▶ waiting ◀──▶ claimed ──▶ in the order: forgotten
 *                ▲     │         │
 *                └named┘         └──▶ again: the header that claimed it fell out
 * ```
 *
 * What was fetched from others is not among them: it does not show who made it.
 *
 * Each author has a share of its own. When that is full its oldest give way; they are known again after a restart, since
 * our workers tell of all that is not committed.
 */
import { digestKey } from '../../shared/wire/digest-key.js'
import type { BatchEntry } from '../../shared/wire/primary/header.js'
import { NOBODY, only } from './consensus/authority-set.js'
import type { AuthorityIndex, AuthoritySet, Digest, Header, Round } from './consensus/types.js'
import { UNNAMED_BATCHES_MAX, UNNAMED_BATCHES_PER_AUTHORITY } from './limits.js'

export interface UnnamedBatch {
  readonly batch: BatchEntry
  readonly digest: Digest
  /** When it came, or was named or claimed last. */
  readonly sinceMs: number
  /** How many headers of ours there had been then. */
  readonly sinceHeader: number
  /** The highest round in which a header of its author that got our vote, or its certificate, lists it. */
  readonly namedRound: Round | undefined
  /** The same of certificates alone. */
  readonly certifiedRound: Round | undefined
  /** Others whose headers list it. */
  readonly claimants: AuthoritySet
}

/** What becomes of a batch: it waits for its author, or we or others have claimed it, or it is to be claimed at once. */
export type Stage = 'again' | 'waiting' | 'claimed'

type Batches = Map<Digest, UnnamedBatch>

export class UnnamedBatches {
  /** Headers of ours that could have had claims, since the start: as long as rounds stand still there is none. */
  headers = 0
  private readonly batchesMax: number
  /** By author and stage, and then the one that has been in it for longest first. */
  private readonly authors: readonly Readonly<Record<Stage, Batches>>[]
  private unnamed = 0

  constructor(authorities: number, batchesMax = shareOfUnnamed(authorities)) {
    this.batchesMax = batchesMax
    this.authors = Array.from({ length: authorities }, () => ({
      again: new Map(),
      waiting: new Map(),
      claimed: new Map(),
    }))
  }

  /** Batches that no header names, of all authors. */
  get size(): number {
    return this.unnamed
  }

  /** The batches of an author in a stage, the one that has been in it for longest first. */
  in(stage: Stage, author: AuthorityIndex): Iterable<UnnamedBatch> {
    return this.authors[author]![stage].values()
  }

  /**
   * Its author's worker has handed it to ours, and it is not in the order.
   *
   * @param certifiedRound of a certificate of its author that was delivered before it
   */
  delivered(batch: BatchEntry, certifiedRound: Round | undefined, nowMs: number): void {
    const { author } = batch
    const digest = digestKey(batch.digest)
    if (this.find(author, digest) !== undefined) return
    const namedRound = certifiedRound
    const sinceHeader = this.headers
    this.put('waiting', { batch, digest, sinceMs: nowMs, sinceHeader, namedRound, certifiedRound, claimants: NOBODY })
    const { again, claimed, waiting } = this.authors[author]!
    if (again.size + claimed.size + waiting.size <= this.batchesMax) return
    for (const stage of [claimed, waiting, again]) {
      const [oldest] = stage.keys()
      if (oldest === undefined) continue
      this.forget(author, oldest)
      return
    }
  }

  /**
   * A header got our vote, or its certificate is delivered: what it lists of its author waits for that from now on.
   *
   * @returns those that nobody had named before
   */
  listed({ author, payload, round }: Header, isCertified: boolean, nowMs: number): BatchEntry[] {
    const named: BatchEntry[] = []
    for (const entry of payload) {
      const found = this.find(entry.author, entry.digest)
      if (found === undefined) continue
      const [stage, batch] = found
      if (entry.author !== author) {
        this.authors[entry.author]![stage].set(batch.digest, { ...batch, claimants: batch.claimants | only(author) })
        continue
      }
      if (batch.namedRound === undefined) named.push(batch.batch)
      const certifiedRound = isCertified ? Math.max(round, batch.certifiedRound ?? 0) : batch.certifiedRound
      const namedRound = Math.max(round, batch.namedRound ?? 0)
      this.forget(author, batch.digest)
      const since = { sinceMs: nowMs, sinceHeader: this.headers }
      this.put('waiting', { ...batch, ...since, namedRound, certifiedRound })
    }
    return named
  }

  /** Puts a batch that is in one of these stages at the end of another. */
  move(from: readonly Stage[], to: Stage, { batch: { author }, digest }: UnnamedBatch, nowMs: number): void {
    const found = this.find(author, digest)
    if (found === undefined || !from.includes(found[0])) return
    this.forget(author, digest)
    this.put(to, { ...found[1], sinceMs: nowMs, sinceHeader: this.headers })
  }

  /** It is in the order, or never will be. */
  forget(author: AuthorityIndex, digest: Digest): void {
    const found = this.find(author, digest)
    if (found === undefined) return
    const [stage, batch] = found
    this.authors[author]![stage].delete(digest)
    if (batch.namedRound === undefined) this.unnamed -= 1
  }

  /** A worker of ours has lost its store. */
  forgetWorker(worker: number): void {
    for (const [author, stages] of this.authors.entries()) {
      const batches = [...stages.again.values(), ...stages.waiting.values(), ...stages.claimed.values()]
      for (const { batch, digest } of batches) if (batch.worker === worker) this.forget(author, digest)
    }
  }

  private put(stage: Stage, batch: UnnamedBatch): void {
    this.authors[batch.batch.author]![stage].set(batch.digest, batch)
    if (batch.namedRound === undefined) this.unnamed += 1
  }

  private find(author: AuthorityIndex, digest: Digest): [Stage, UnnamedBatch] | undefined {
    const stages = this.authors[author]!
    for (const stage of ['waiting', 'claimed', 'again'] as const) {
      const batch = stages[stage].get(digest)
      if (batch !== undefined) return [stage, batch]
    }
    return undefined
  }
}

/** How many batches of each author are remembered. */
export function shareOfUnnamed(authorities: number): number {
  return Math.min(UNNAMED_BATCHES_PER_AUTHORITY, Math.floor(UNNAMED_BATCHES_MAX / authorities))
}
