/** Main's ends of all rings, with the doorbells behind them. */

import { RING_DRAIN_LIMIT } from '../../shared/constants.js'
import { ByteRingProducer } from '../../shared/memory/byte-ring.js'
import {
  type BatchMakerToMain,
  batchMakerToMain,
  type MainToBatchMaker,
  mainToBatchMaker,
} from '../../shared/memory/dialogue/batch-maker.js'
import {
  type InboundWork,
  inboundWork,
  type OwnWork,
  ownWork,
  type ProcessorToMain,
  processorToMain,
} from '../../shared/memory/dialogue/processor.js'
import {
  type MainToQuorumWaiter,
  mainToQuorumWaiter,
  type QuorumWaiterToMain,
  quorumWaiterToMain,
} from '../../shared/memory/dialogue/quorum-waiter.js'
import { Doorbell } from '../../shared/memory/doorbell.js'
import type { Layout, RingName } from '../../shared/memory/layout.js'
import { RingConsumer, RingProducer } from '../../shared/memory/ring.js'

export interface RingHandlers {
  readonly onBatchMaker: (message: BatchMakerToMain) => void
  readonly onProcessor: (message: ProcessorToMain) => void
  readonly onQuorumWaiter: (message: QuorumWaiterToMain) => void
}

export class MainRings {
  readonly toBatchMaker: (message: MainToBatchMaker) => void
  readonly toProcessorOwn: (work: OwnWork) => void
  readonly toProcessorInbound: (work: InboundWork) => void
  /** A message that is not urgent is read with the next one that is, or after `ringLate`. */
  readonly toQuorumWaiter: (message: MainToQuorumWaiter, isUrgent?: boolean) => void
  /** Puts a transaction in the submit ring; false if it has no room now. */
  readonly submit: (transaction: Uint8Array) => boolean
  readonly doorbell: Doorbell
  private readonly fromBatchMaker: RingConsumer<BatchMakerToMain>
  private readonly fromProcessor: RingConsumer<ProcessorToMain>
  private readonly fromQuorumWaiter: RingConsumer<QuorumWaiterToMain>
  private readonly quorumWaiter: Doorbell
  /** The quorum-waiter has messages that it was not woken for. */
  private isRingDue = false
  private readonly depthOf: Readonly<Record<RingName, { readonly depth: number }>>

  constructor(layout: Layout) {
    const { doorbells, rings } = layout
    const batchMaker = new Doorbell(doorbells['batch-maker'])
    const processor = new Doorbell(doorbells.processor)
    this.quorumWaiter = new Doorbell(doorbells['quorum-waiter'])
    const send =
      <M>(ring: RingProducer<M>, doorbell: Doorbell) =>
      (message: M): void => {
        ring.push(message)
        doorbell.ring()
      }
    const toBatchMaker = new RingProducer(rings.mainToBatchMaker, mainToBatchMaker)
    const toProcessorOwn = new RingProducer(rings.ownWork, ownWork)
    const toProcessorInbound = new RingProducer(rings.inboundWork, inboundWork)
    const toQuorumWaiter = new RingProducer(rings.mainToQuorumWaiter, mainToQuorumWaiter)
    const submitted = new ByteRingProducer(layout.submit)
    this.doorbell = new Doorbell(doorbells.main)
    this.toBatchMaker = send(toBatchMaker, batchMaker)
    this.toProcessorOwn = send(toProcessorOwn, processor)
    this.toProcessorInbound = send(toProcessorInbound, processor)
    this.toQuorumWaiter = (message, isUrgent = true) => {
      toQuorumWaiter.push(message)
      if (isUrgent) this.quorumWaiter.ring()
      this.isRingDue = !isUrgent
    }
    this.submit = (transaction) => {
      const taken = submitted.push(transaction)
      if (taken) batchMaker.ring()
      return taken
    }
    this.fromBatchMaker = new RingConsumer(rings.batchMakerToMain, batchMakerToMain)
    this.fromProcessor = new RingConsumer(rings.processorToMain, processorToMain)
    this.fromQuorumWaiter = new RingConsumer(rings.quorumWaiterToMain, quorumWaiterToMain)
    this.depthOf = {
      batchMakerToMain: this.fromBatchMaker,
      mainToBatchMaker: toBatchMaker,
      ownWork: toProcessorOwn,
      inboundWork: toProcessorInbound,
      processorToMain: this.fromProcessor,
      mainToQuorumWaiter: toQuorumWaiter,
      quorumWaiterToMain: this.fromQuorumWaiter,
    }
  }

  /** Has the quorum-waiter read what was not urgent. */
  ringLate(): void {
    if (!this.isRingDue) return
    this.isRingDue = false
    this.quorumWaiter.ring()
  }

  /** Messages in each ring now. */
  depth(ring: RingName): number {
    return this.depthOf[ring].depth
  }

  /** Handles what the threads have said, and says how many messages that were. */
  drain(handlers: RingHandlers): number {
    return (
      this.fromProcessor.drain(handlers.onProcessor, RING_DRAIN_LIMIT) +
      this.fromQuorumWaiter.drain(handlers.onQuorumWaiter, RING_DRAIN_LIMIT) +
      this.fromBatchMaker.drain(handlers.onBatchMaker, RING_DRAIN_LIMIT)
    )
  }
}
