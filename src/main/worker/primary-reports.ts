/**
 * What the primary is told: reports go to the link, and own batches whose report was delivered lose their `unreported`
 * mark in the store, all of a tick at once.
 */
import type { ProcessorClient } from '../thread-host/processor-client.js'
import type { PrimaryLink, PrimaryReport } from './primary-link/primary-link.js'

export interface PrimaryReportsDependencies {
  readonly processor: Pick<ProcessorClient, 'ask'>
  /** Takes the failure of what nobody waits for. */
  readonly watch: (what: string, promise: Promise<unknown>) => void
  readonly count: (type: PrimaryReport['type']) => void
}

export class PrimaryReports {
  private readonly dependencies: PrimaryReportsDependencies
  private link: PrimaryLink | undefined
  /** Digests whose report was delivered since the last tick; bounded by the reports in the link. */
  private delivered: Uint8Array[] = []

  constructor(dependencies: PrimaryReportsDependencies) {
    this.dependencies = dependencies
  }

  /** From now on reports go there. */
  attach(link: PrimaryLink): void {
    this.link = link
  }

  /** Whether sealing is to pause: too many own reports wait. */
  get isFull(): boolean {
    return this.link?.isFull ?? false
  }

  get isConnected(): boolean {
    return this.link?.isConnected ?? false
  }

  /** Reports that wait for the primary. */
  get queued(): number {
    return this.link?.queued ?? 0
  }

  /** Reports of others' batches that were dropped to make room. */
  get dropped(): number {
    return this.link?.dropped ?? 0
  }

  report(type: PrimaryReport['type'], digest: Uint8Array): void {
    this.link?.report({ type, digest })
    this.dependencies.count(type)
  }

  onDelivered(digests: readonly Uint8Array[]): void {
    this.delivered.push(...digests)
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
