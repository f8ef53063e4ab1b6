/**
 * AnswersOwed: finds the peers that owe an answer which an honest one would have given. Each decides when it answers, but
 * a batch that is not answered holds a slot, and others may need that.
 *
 * | a peer is stuck when for `ack_timeout` | because |
 * |---|---|
 * | it has answered nothing, or nothing fresh, of what it was sent | it does not go on |
 * | the answer to one is missing, though it has accepted a fresh one that was sent later | it goes on without this one |
 * | it has not answered one that a quorum has, and the slot of that is needed | its pace is not the others' |
 */
import { HELD_ACK_TIMEOUTS_MAX } from './limits.js'
import type { OwnBatch } from './own-batch.js'
import type { OwnBatches } from './own-batches.js'
import type { InFlight, PeerSender } from './peer-sender.js'

export interface AnswersOwedOptions {
  readonly ackTimeoutMs: number
}

export interface AnswersOwedDependencies {
  readonly batches: OwnBatches
  readonly nowMs: () => number
}

export class AnswersOwed {
  private readonly options: AnswersOwedOptions
  private readonly dependencies: AnswersOwedDependencies

  constructor(options: AnswersOwedOptions, dependencies: AnswersOwedDependencies) {
    this.options = options
    this.dependencies = dependencies
  }

  /** Why the peer is stuck; undefined if it is not. What is in the way is let go of. */
  find(sender: PeerSender): string | undefined {
    const { ackTimeoutMs } = this.options
    const { overtakenMs, silentMs } = sender
    const inTheWay = sender.inFlightFor(ackTimeoutMs).filter((batch) => this.isInTheWay(batch))
    for (const batch of inTheWay) batch.letGo = true
    if (silentMs > ackTimeoutMs) return `no ACK for ${Math.round(silentMs)} ms, at most ${ackTimeoutMs}`
    if (overtakenMs > ackTimeoutMs) {
      return `an ACK is missing for ${Math.round(overtakenMs)} ms after those of later batches, at most ${ackTimeoutMs}`
    }
    const [oldest] = inTheWay
    return oldest && `no ACK of batch ${oldest.sequence} for ${ackTimeoutMs} ms, and its slot is needed`
  }

  /**
   * Whether a batch that a lost stream had in flight is not sent to the peer again: a quorum has it, and its slot is needed,
   * or the peer has had it for so long that it may have kept its answer back, perhaps over several streams.
   */
  isForfeited({ batch, overtakenAtMs }: InFlight): boolean {
    if (!batch.certified) return false
    const { ackTimeoutMs } = this.options
    const nowMs = this.dependencies.nowMs()
    if (batch.letGo || (overtakenAtMs !== undefined && nowMs - overtakenAtMs > ackTimeoutMs)) return true
    return nowMs - batch.certifiedMs > HELD_ACK_TIMEOUTS_MAX * ackTimeoutMs
  }

  /** Others have the batch, and its slot is what something waits for. */
  private isInTheWay(batch: OwnBatch): boolean {
    const { batches } = this.dependencies
    return batch.certified && (batch.letGo || (!batches.isMakers(batch) && batches.resendSlotsFree === 0))
  }
}
