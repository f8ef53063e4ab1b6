/** What the other threads say, to the stages that it is for. */
import type { BatchMakerToMain } from '../../shared/memory/dialogue/batch-maker.js'
import type { ProcessorToMain } from '../../shared/memory/dialogue/processor.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { OwnBatch } from './dissemination/own-batch.js'
import type { Wiring } from './wiring.js'

export class ThreadMessages {
  private readonly stages: Wiring
  private readonly supervisor: Supervisor
  /** Slots of the batch-maker's; those beyond are for sending again. */
  private readonly ownSlots: number
  private readonly ownIndex: number
  /** The batch-maker knows that all batches up to this one are certified. */
  private toldCertified = 0n

  constructor(stages: Wiring, options: { ownSlots: number; ownIndex: number }, supervisor: Supervisor) {
    this.stages = stages
    this.supervisor = supervisor
    this.ownSlots = options.ownSlots
    this.ownIndex = options.ownIndex
  }

  /** Handles what is in the rings, and says how many messages that were. */
  poll(): number {
    const { dissemination, inbound, rings, submits } = this.stages
    const found = rings.drain({
      onBatchMaker: (message) => this.onBatchMaker(message),
      onProcessor: (message) => this.onProcessor(message),
      onQuorumWaiter: (message) => dissemination.onVerdict(message),
    })
    inbound.flush()
    submits.proceed()
    return found
  }

  /** A batch of ours has a quorum. */
  onCertified(batch: OwnBatch): void {
    const { activity, certified, commits, gate, metrics, reports } = this.stages
    const { again, certifiedSince, sequence, transactions, transactionBytes } = batch
    const digest = batch.digest!
    if (batch.slot < this.ownSlots) gate.onCertified()
    this.tellAllCertified()
    if (batch.report) {
      reports.ownCertified({ digest, author: this.ownIndex, sequence }, certifiedSince!, again)
      commits.onCertified()
    }
    if (again) return
    metrics.certified(transactions, transactionBytes, performance.now() - batch.takenMs)
    activity.certified(digest, transactions, transactionBytes)
    certified.push({ digest, sequence, transactions, transactionBytes })
  }

  private tellAllCertified(): void {
    const { dissemination, rings } = this.stages
    const { lastSealed, lowestUncertified } = dissemination
    if (lastSealed === this.toldCertified || lowestUncertified !== undefined) return
    this.toldCertified = lastSealed
    rings.toBatchMaker({ kind: 'all-certified', through: lastSealed })
  }

  private onBatchMaker(message: BatchMakerToMain): void {
    const { activity, dissemination, frontier, metrics, processor, rings } = this.stages
    if (message.kind === 'sealed') {
      frontier.onSealed(message.sequence)
      activity.sealed()
      metrics.sealed(message.transactions, message.byteLength)
      dissemination.onSealed(message)
      return
    }
    const reserved = processor
      .ask({ type: 'reserve-sequences' })
      .then(({ start, end }) => rings.toBatchMaker({ kind: 'range', start, end }))
    this.supervisor.watch('reserving sequences', reserved)
  }

  private onProcessor(message: ProcessorToMain): void {
    const { dissemination, foreign, inbound, metrics, own, recent, repeatedReports, reports, synchronizer } =
      this.stages
    if (message.kind === 'own-stored') {
      recent.stored(message.digest, own.batch(message.slot, message.byteLength))
      dissemination.onOwnStored(message.sequence, message.digest)
      return
    }
    const from = this.stages.nameOf(message.peer)
    metrics.inbound(from, message.status)
    // The processor has logged it: it knows more.
    if (message.status !== 'ok') metrics.refused('batch', message.status)
    else if (!message.again) recent.stored(message.digest, foreign.batch(message.slot, message.byteLength))
    if (synchronizer.owns(message.slot)) {
      synchronizer.onDone(message)
      return
    }
    if (message.status === 'ok') {
      synchronizer.onStoredElsewhere(message.digest)
      if (!message.again || repeatedReports.admit(message.peer, message.digest, performance.now())) {
        reports.othersStored({ ...message, isDelivered: message.peer === message.author })
      }
    }
    inbound.onDone(message)
  }
}
