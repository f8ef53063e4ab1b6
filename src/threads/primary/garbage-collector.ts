/**
 * GarbageCollector: what follows from commits. What is ordered is done with; rounds at or below consensus's `gcRound` are
 * forgotten by every stage; batches of own headers that fell out are proposed again.
 */
import { digestKey } from '../../shared/wire/digest-key.js'
import type { BatchEntry } from '../../shared/wire/primary/header.js'
import type { Adoption } from './adoption.js'
import type { CertificateWaiter } from './certificate-waiter.js'
import type { CertificatesAggregator } from './certificates-aggregator.js'
import type { Checkpointer } from './checkpointer.js'
import type { Consensus } from './consensus/consensus.js'
import type { AuthorityIndex, Commit, PayloadEntry, Round } from './consensus/types.js'
import type { HeaderWaiter } from './header-waiter.js'
import type { HistoryServer } from './history/history-server.js'
import type { NamedBatches } from './named-batches.js'
import { batchKey, type OwnBatches } from './own-batches.js'
import type { PayloadFetcher } from './payload-fetcher.js'
import type { PayloadReceiver } from './payload-receiver.js'
import type { Proposer } from './proposer.js'
import type { CertificateRecord } from './records.js'
import type { Synchronizer } from './synchronizer.js'
import type { TurnBuilder } from './turn.js'
import type { UnnamedBatches } from './unnamed-batches.js'

export interface GarbageCollectorDependencies {
  readonly consensus: Consensus
  readonly certificates: CertificatesAggregator
  readonly headerWaiter: HeaderWaiter
  readonly certificateWaiter: CertificateWaiter
  readonly payload: PayloadReceiver
  readonly ownBatches: OwnBatches
  readonly payloadFetcher: PayloadFetcher
  readonly synchronizer: Pick<Synchronizer, 'isMissing'>
  readonly unnamed: UnnamedBatches
  readonly adoption: Adoption
  readonly names: NamedBatches
  readonly proposer: Proposer
  readonly checkpointer: Checkpointer
  readonly historyServer: HistoryServer
}

export class GarbageCollector {
  private readonly authority: AuthorityIndex
  private readonly stages: GarbageCollectorDependencies
  private gcRound: Round

  constructor(authority: AuthorityIndex, dependencies: GarbageCollectorDependencies) {
    this.authority = authority
    this.stages = dependencies
    this.gcRound = dependencies.consensus.gcRound
  }

  /**
   * Takes commits, which may be none.
   *
   * @returns certificates that waited for parents that nobody asks for any more
   */
  committed(commits: readonly Commit[], turn: TurnBuilder): CertificateRecord[] {
    if (commits.length === 0) return []
    this.stages.checkpointer.committed(commits, turn)
    this.stages.historyServer.committed(commits)
    for (const { batches, vertices } of commits) {
      this.wantOwn(batches, turn)
      const first = new Set<PayloadEntry>(batches)
      for (const { certificate } of vertices) this.ordered(certificate as CertificateRecord, first, turn)
      for (const entry of batches) this.stages.unnamed.forget(entry.author, entry.digest)
    }
    const { adoption, consensus, ownBatches, proposer } = this.stages
    const isOver = (round: Round): boolean => consensus.isOver(round, this.authority)
    const again = ownBatches.collect(isOver)
    adoption.collect(isOver, turn.now.ms)
    if (again > 0) turn.notice({ type: 'proposed-again', batches: again })
    proposer.collect((round, author) => consensus.isOver(round, author))
    return this.collect(turn)
  }

  /**
   * Batches of our own that our worker did not tell of, and that others have brought into the order: it died after it had
   * sent them and before it had stored them. It has to have them, as all that is ordered.
   */
  private wantOwn(batches: readonly PayloadEntry[], turn: TurnBuilder): void {
    const { consensus, ownBatches, payloadFetcher } = this.stages
    for (const entry of batches) {
      const { author, sequence, worker } = entry
      if (author !== this.authority || ownBatches.has(batchKey({ worker, sequence: sequence! }))) continue
      payloadFetcher.want({ author, round: consensus.gcRound }, [entry], turn.now.ms)
    }
  }

  /**
   * All entries of the header are done, also those that the commit drops as repeats: they are in an earlier one. Claims of
   * others' batches that are not enough yet are neither.
   */
  private ordered({ digest, header }: CertificateRecord, first: ReadonlySet<PayloadEntry>, turn: TurnBuilder): void {
    const { names, ownBatches, payload, proposer } = this.stages
    proposer.ordered(digest)
    for (const entry of header.payload) {
      const { author, digest, worker, sequence } = entry
      if (author !== header.author && !this.isOrderedClaim(entry, header.round, first, turn)) continue
      names.ordered(digest)
      if (author === this.authority) {
        const batch = ownBatches.done(batchKey({ worker, sequence: sequence! }))
        if (batch === undefined) continue
        turn.write({ type: 'own-batch-done', batch })
        if (!first.has(entry) || digestKey(batch.digest) !== digest) sayOrdered(batch, turn)
      } else {
        const batch = payload.done(author, digest, turn)
        if (batch !== undefined && !first.has(entry)) sayOrdered(batch, turn)
      }
    }
  }

  /** Whether what is claimed is in the order. What a claim has brought there has to be here, as what certificates list. */
  private isOrderedClaim(
    entry: PayloadEntry,
    round: Round,
    first: ReadonlySet<PayloadEntry>,
    turn: TurnBuilder,
  ): boolean {
    const { adoption, consensus, payloadFetcher, synchronizer } = this.stages
    const { author, sequence, worker } = entry
    if (!first.has(entry)) return consensus.hasBatch(author, worker, sequence!)
    adoption.ordered += 1
    if (author !== this.authority && synchronizer.isMissing(entry)) {
      payloadFetcher.want({ author, round }, [entry], turn.now.ms)
    }
    return true
  }

  private collect(turn: TurnBuilder): CertificateRecord[] {
    const { consensus, certificates, headerWaiter, certificateWaiter, names } = this.stages
    const { gcRound } = consensus
    if (gcRound === this.gcRound) return []
    this.gcRound = gcRound
    turn.write({ type: 'collected', gcRound })
    certificates.collect(gcRound)
    names.collect(gcRound, turn.now.ms)
    headerWaiter.collect(gcRound)
    return certificateWaiter.collect(gcRound)
  }
}

/** What the log does not name: another batch of this sequence is in it, so this one never will be. */
function sayOrdered({ digest, worker }: BatchEntry, turn: TurnBuilder): void {
  turn.request({ type: 'ordered', worker, digest })
}
