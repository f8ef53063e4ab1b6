/**
 * What the primary is told: reports go to the link, and own batches whose report was delivered lose their `unreported`
 * mark in the store, all of a tick at once.
 */
import type { Moment } from '../../shared/freshness.js'
import type { ProcessorClient } from '../thread-host/processor-client.js'
import type { Renewer } from './dissemination/renewer.js'
import type { RemoteLink } from './primary-link/ordering-primary.js'
import type { PrimaryLink, PrimaryReport, ReportedBatch } from './primary-link/primary-link.js'

export interface PrimaryReportsDependencies {
  readonly processor: Pick<ProcessorClient, 'ask'>
  /** Takes the failure of what nobody waits for. */
  readonly watch: (what: string, promise: Promise<unknown>) => void
  readonly count: (type: PrimaryReport['type']) => void
  /** Own batches that are certified anew before they are reported. */
  readonly renewals: () => Pick<Renewer, 'isFull' | 'onDelivered' | 'size'>
}

export class PrimaryReports {
  private readonly dependencies: PrimaryReportsDependencies
  private link: PrimaryLink | undefined
  private remoteLink: RemoteLink | undefined
  /** Digests whose report was delivered since the last tick; bounded by the reports in the link. */
  private delivered: Uint8Array[] = []

  constructor(dependencies: PrimaryReportsDependencies) {
    this.dependencies = dependencies
  }

  /** From now on reports go there. */
  attach(link: PrimaryLink): void {
    this.link = link
  }

  /** Where the primary is another process: before it can be told anything. */
  attachRemote(remote: RemoteLink): void {
    this.remoteLink = remote
  }

  /** Whether sealing is to pause: too many own reports wait. */
  get isFull(): boolean {
    return (this.link?.isFull ?? false) || this.dependencies.renewals().isFull
  }

  get isConnected(): boolean {
    return this.link?.isConnected ?? false
  }

  /** Where a narval primary is another process. */
  get remote(): RemoteLink | undefined {
    return this.remoteLink
  }

  /** Reports that wait for the primary, or for a new certificate. */
  get queued(): number {
    return (this.link?.queued ?? 0) + this.dependencies.renewals().size
  }

  /** Reports of others' batches that were dropped to make room. */
  get dropped(): number {
    return this.link?.dropped ?? 0
  }

  /** Resolves when what was committed before the start is known to be so, where somebody says it. */
  get replayed(): Promise<void> | undefined {
    return this.link?.replayed
  }

  /** The highest sequence of our batches that the primary knows of; 0 where it knows of none, or cannot say. */
  get sequencesAfter(): bigint {
    return this.link?.sequencesAfter ?? 0n
  }

  /** A batch of another authority is stored. */
  othersStored(batch: ReportedBatch): void {
    const { author, digest, isDelivered, sequence } = batch
    this.link?.report({ type: 'OthersBatch', author, digest, sequence, isDelivered })
    this.dependencies.count('OthersBatch')
  }

  /** An own batch that an earlier run reported, and that no commit has as far as we know. */
  ownAgain(batch: ReportedBatch): void {
    this.link?.report({ type: 'OurBatch', ...batch })
  }

  /**
   * An own batch is certified by ACKs of which the oldest is of the moment `since`.
   *
   * @param again it was, and so it was counted
   */
  ownCertified(batch: ReportedBatch, since: Moment, again: boolean): void {
    this.link?.report({ type: 'OurBatch', ...batch, since })
    if (!again) this.dependencies.count('OurBatch')
  }

  onDelivered(digests: readonly Uint8Array[]): void {
    for (const digest of digests) this.delivered.push(digest)
    this.dependencies.renewals().onDelivered(digests)
  }

  /** Marks in the store what was delivered. */
  tick(): void {
    if (this.delivered.length === 0) return
    const digests = this.delivered
    this.delivered = []
    const { processor, watch } = this.dependencies
    watch('marking what was reported', processor.ask({ type: 'reported', digests }))
  }
}
