/**
 * Acks: a peer's ACK, from its stream to the quorum-waiter's verdict on it, and what follows from that.
 *
 * ```
 *                    ┌─ not handed over whole: early ─────────▶ the stream ends
 *  ACK ──▶ sender ───┼─ a second answer to what was healed ───▶ the tally has the first; refused: it is owed to the peer
 *                    └─ else ──▶ quorum-waiter ──verdict──▶ accepted: the sender goes on
 *                                     │                └──▶ refused: after a pause, again, unless a quorum has it
 *                                     └──expired──▶ the batch goes to these peers again
 * ```
 *
 * The quorum-waiter is woken for an ACK that may complete a quorum, for a refusal, and for an ACK that its peer is sent the
 * next batch after. Another ACK waits for one of these, at most until the next tick.
 */
import type { Moment } from '../../../shared/freshness.js'
import type { AckVerdict, MainToQuorumWaiter } from '../../../shared/memory/dialogue/quorum-waiter.js'
import { TokenBucket } from '../../../shared/token-bucket.js'
import { ACK_STATUSES, type Ack, isInMask } from '../../../shared/wire/ack.js'
import type { Refused } from '../../network/frame-stream.js'
import { STRAY_ACKS_PER_SECOND } from './limits.js'
import { type OwnBatch, PEER_STATE } from './own-batch.js'
import type { OwnBatches } from './own-batches.js'
import type { PeerSender } from './peer-sender.js'
import type { SlotRoom } from './slot-room.js'

export interface AcksOptions {
  readonly authorities: number
  /** Authority indices of the others. */
  readonly peers: readonly number[]
  /** Stake by authority index, and how much of it is a quorum. */
  readonly stakes: readonly number[]
  readonly ownIndex: number
  readonly quorumThreshold: number
  /** Of both kinds. */
  readonly slots: number
}

export interface AcksDependencies {
  readonly batches: OwnBatches
  readonly senders: ReadonlyMap<number, PeerSender>
  readonly room: SlotRoom
  readonly toQuorumWaiter: (message: MainToQuorumWaiter, isUrgent: boolean) => void
  readonly moment: () => Moment
  readonly nowMs: () => number
}

export interface AcksHandlers {
  readonly onAckRefused: (peer: number, verdict: AckVerdict) => void
  readonly onAckExpired: (peer: number) => void
}

export class Acks {
  private readonly options: AcksOptions
  private readonly dependencies: AcksDependencies
  private readonly handlers: AcksHandlers
  /** ACKs that each peer may have under judgement: as many as there are slots (shared/memory/layout.ts). */
  private readonly credits: number[]
  /** ACKs of each peer that answer nothing. */
  private readonly stray: ReadonlyMap<number, TokenBucket>

  constructor(options: AcksOptions, dependencies: AcksDependencies, handlers: AcksHandlers) {
    this.options = options
    this.dependencies = dependencies
    this.handlers = handlers
    this.credits = new Array(options.authorities).fill(options.slots)
    this.stray = new Map(
      options.peers.map((peer) => [peer, new TokenBucket(STRAY_ACKS_PER_SECOND, STRAY_ACKS_PER_SECOND)]),
    )
  }

  /** It is judged by the quorum-waiter; a refusal here ends the stream. */
  take(peer: number, ack: Ack): Refused | undefined {
    if (this.credits[peer] === 0) {
      return { refused: 'ack-flood', detail: `${this.options.slots} ACKs are under judgement` }
    }
    const { batches, moment, nowMs, senders, toQuorumWaiter } = this.dependencies
    const sender = senders.get(peer)!
    const batch = batches.get(ack.sequence)
    const due = batch === undefined ? 'unawaited' : sender.acknowledge(batch, ack.status === ACK_STATUSES.ok)
    if (due === 'early') {
      return { refused: 'ack-early', detail: `an ACK for batch ${ack.sequence}, which was not sent whole` }
    }
    if (due === 'unawaited' && !this.stray.get(peer)!.tryTake(1, nowMs())) {
      return {
        refused: 'ack-flood',
        detail: `more than ${STRAY_ACKS_PER_SECOND} ACKs a second for what it was not sent`,
      }
    }
    if (due === 'due' && batch!.isHeard(peer)) {
      // The batch was sent to this peer once more because somebody lacks it. The tally has the answer to the first
      // sending.
      if (ack.status === ACK_STATUSES.ok) sender.onAccepted()
      else this.onHealRefused(sender, peer, batch!)
    } else {
      if (due === 'due') batch!.setHeard(peer, true)
      this.credits[peer]! -= 1
      const isUrgent = ack.status !== ACK_STATUSES.ok || sender.isProbing || this.mayBeQuorum(batch)
      const { digest, level, sequence, status } = ack
      toQuorumWaiter({ kind: 'ack', peer, sequence, digest, level, status, at: moment() }, isUrgent)
    }
    if (due === 'due') {
      batches.releaseIfDone(batch!)
      sender.pump()
    }
    return undefined
  }

  /** Whether the quorum-waiter may find a quorum in what it was told of this batch. Only the tally knows. */
  mayBeQuorum(batch: OwnBatch | undefined): boolean {
    if (batch === undefined || batch.certified || batch.digest === undefined) return false
    // The tally may count a peer that is asked again.
    if (batch.wasAskedAgain) return true
    const { ownIndex, peers, quorumThreshold, stakes } = this.options
    let stake = stakes[ownIndex]!
    for (const peer of peers) if (batch.isHeard(peer)) stake += stakes[peer]!
    return stake >= quorumThreshold
  }

  onVerdict(peer: number, sequence: bigint, verdict: AckVerdict): void {
    this.credits[peer]! += 1
    this.judge(peer, sequence, verdict)
  }

  /** An ACK that was held until our own digest was known names another one. */
  onHeldWrong(peer: number, sequence: bigint): void {
    this.judge(peer, sequence, 'wrong-digest')
  }

  /** These peers may have deleted their copies. A peer that still has its copy keeps it as if it were new. */
  onExpired(batch: OwnBatch, peers: Uint8Array): void {
    for (const [peer, sender] of this.dependencies.senders) {
      if (!isInMask(peers, peer)) continue
      this.await(peer, batch)
      this.handlers.onAckExpired(peer)
      if (!batch.isHeldBy(peer)) sender.enqueueHeal(batch)
    }
  }

  private judge(peer: number, sequence: bigint, verdict: AckVerdict): void {
    const { batches, senders } = this.dependencies
    const sender = senders.get(peer)!
    if (verdict === 'counted' || verdict === 'held' || verdict === 'late') {
      sender.onAccepted()
      return
    }
    const batch = batches.get(sequence)
    if (batch?.state(peer) === PEER_STATE.answered && verdict !== 'duplicate') this.onRefused(sender, peer, batch)
    this.handlers.onAckRefused(peer, verdict)
  }

  /** Refused, for whatever reason: on the same stream it is sent again later, unless a quorum does without this peer. */
  private onRefused(sender: PeerSender, peer: number, batch: OwnBatch): void {
    sender.onRefused()
    this.dependencies.room.dropForRefusing(sender, peer)
    if (batch.certified) {
      this.setRefused(peer, batch)
      return
    }
    this.await(peer, batch)
    sender.enqueueAgain(batch)
  }

  /** The same of a batch that was sent once more, of which the tally has the first answer: somebody lacks it still. */
  private onHealRefused(sender: PeerSender, peer: number, batch: OwnBatch): void {
    this.setRefused(peer, batch)
    this.dependencies.room.dropForRefusing(sender, peer)
  }

  private setRefused(peer: number, batch: OwnBatch): void {
    batch.setState(peer, PEER_STATE.refused)
    this.dependencies.room.oweIfWanted(peer, batch)
  }

  /** The peer is going to be sent the batch once more, and its next answer counts. */
  private await(peer: number, batch: OwnBatch): void {
    this.dependencies.toQuorumWaiter({ kind: 'resent', peer, sequence: batch.sequence }, false)
    batch.setHeard(peer, false)
  }
}
