/**
 * GarbageCollector: what follows from commits. What is ordered is done with; rounds at or below consensus's `gcRound` are
 * forgotten by every stage; batches of own headers that fell out are proposed again.
 */
import type { CertificateWaiter } from './certificate-waiter.js'
import type { CertificatesAggregator } from './certificates-aggregator.js'
import type { Consensus } from './consensus/consensus.js'
import type { AuthorityIndex, Commit, Round } from './consensus/types.js'
import type { HeaderWaiter } from './header-waiter.js'
import { batchKey, type OwnBatches } from './own-batches.js'
import type { PayloadReceiver } from './payload-receiver.js'
import type { Proposer } from './proposer.js'
import type { CertificateRecord } from './records.js'
import type { TurnBuilder } from './turn.js'

export interface GarbageCollectorDependencies {
  readonly consensus: Consensus
  readonly certificates: CertificatesAggregator
  readonly headerWaiter: HeaderWaiter
  readonly certificateWaiter: CertificateWaiter
  readonly payload: PayloadReceiver
  readonly ownBatches: OwnBatches
  readonly proposer: Proposer
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
    turn.commit(commits)
    for (const { vertices } of commits) {
      for (const { certificate } of vertices) this.ordered(certificate as CertificateRecord, turn)
    }
    const { consensus, ownBatches, proposer } = this.stages
    const again = ownBatches.collect((round) => consensus.isOver(round, this.authority))
    if (again > 0) turn.notice({ type: 'proposed-again', batches: again })
    proposer.collect((round, author) => consensus.isOver(round, author))
    return this.collect(turn)
  }

  /** All entries of the header are done, also those that the commit drops as repeats: they are in an earlier one. */
  private ordered({ digest, header }: CertificateRecord, turn: TurnBuilder): void {
    this.stages.proposer.ordered(digest)
    for (const { author, digest, worker, sequence } of header.payload) {
      if (author === this.authority) {
        const batch = this.stages.ownBatches.done(batchKey({ worker, sequence: sequence! }))
        if (batch !== undefined) turn.write({ type: 'own-batch-done', batch })
      } else {
        this.stages.payload.done(author, digest, turn)
      }
    }
  }

  private collect(turn: TurnBuilder): CertificateRecord[] {
    const { consensus, certificates, headerWaiter, certificateWaiter } = this.stages
    const { gcRound } = consensus
    if (gcRound === this.gcRound) return []
    this.gcRound = gcRound
    turn.write({ type: 'collected', gcRound })
    certificates.collect(gcRound)
    headerWaiter.collect(gcRound)
    return certificateWaiter.collect(gcRound)
  }
}
