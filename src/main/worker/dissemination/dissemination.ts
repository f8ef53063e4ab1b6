/**
 * Dissemination: an own batch from its sealing until its slot is free again.
 *
 * In: sealed slots from the batch-maker, stored digests from the processor, ACKs from peers, verdicts from the
 * quorum-waiter. Out: `tracked` to the quorum-waiter before the first byte is sent; the batch to the processor and to
 * every peer at once; certified batches to the primary; free slots.
 *
 * ```
 *  sealed, resend ──▶ OwnBatches: who is under way, in which slot
 *       │                 ▲
 *       ├──▶ PeerSender, one for each peer ──▶ stream        stream ──ACK──▶ Acks ──▶ quorum-waiter
 *       │                 ▲                                                   ▲            │
 *       │                 └── SlotRoom: what gives way when slots run short   └──verdict───┘
 *       └──▶ processor        AnswersOwed: which peer is stuck
 * ```
 *
 * A slow peer costs itself only: batches that are certified are dropped for it when slots run short, and what a stuck
 * one holds is bounded. What is not certified is never dropped: a quorum may depend on any peer.
 */

import type { Moment } from '../../../shared/freshness.js'
import type { BatchMakerToMain } from '../../../shared/memory/dialogue/batch-maker.js'
import type { OwnWork } from '../../../shared/memory/dialogue/processor.js'
import type {
  AckVerdict,
  MainToQuorumWaiter,
  QuorumWaiterToMain,
} from '../../../shared/memory/dialogue/quorum-waiter.js'
import type { Arena } from '../../../shared/memory/slots.js'
import { type Ack, peerMask } from '../../../shared/wire/ack.js'
import { FRAME_TYPES, writeFrameHeader } from '../../../shared/wire/frames.js'
import type { Supervisor } from '../../lib/supervisor.js'
import type { Refused } from '../../network/frame-stream.js'
import { Acks } from './acks.js'
import { AnswersOwed } from './answers-owed.js'
import { IN_FLIGHT_MIN, IN_FLIGHT_SLOTS_SHARE } from './limits.js'
import { OwnBatch, PEER_STATE } from './own-batch.js'
import { OwnBatches } from './own-batches.js'
import { PeerSender } from './peer-sender.js'
import { ShareUse } from './share-use.js'
import { SlotRoom } from './slot-room.js'

export interface DisseminationOptions {
  readonly authorities: number
  /** Authority indices of the others. */
  readonly peers: readonly number[]
  /** Stake by authority index, and how much of it is a quorum. */
  readonly stakes: readonly number[]
  readonly ownIndex: number
  readonly quorumThreshold: number
  readonly ownSlots: number
  /** The connection of a peer that owes an answer for this long is closed. */
  readonly ackTimeoutMs: number
}

export interface DisseminationDependencies {
  readonly arena: Arena
  /** What is not urgent waits for what is, at most until the next tick: each wake-up costs both threads. */
  readonly toQuorumWaiter: (message: MainToQuorumWaiter, isUrgent: boolean) => void
  /** Has it read at once what was not urgent. */
  readonly wakeQuorumWaiter: () => void
  readonly toProcessor: (work: OwnWork) => void
  readonly nowMs: () => number
  /** By which ACKs grow old. */
  readonly moment: () => Moment
  /** Whether what somebody lacks is to go before most of what is fresh; false if not given. */
  readonly healsFirst?: () => boolean
  /** Takes what the senders' timers and streams throw. */
  readonly supervisor?: Supervisor
}

export interface DisseminationHandlers {
  /** A quorum has stored it. */
  readonly onCertified: (batch: OwnBatch) => void
  /** Nobody holds the slot any more. */
  readonly onSlotFree: (slot: number) => void
  readonly onAckLatency: (peer: number, ms: number) => void
  readonly onSent: (peer: number, bytes: number) => void
  /** An ACK was not counted, and why. */
  readonly onAckRefused: (peer: number, verdict: AckVerdict) => void
  /** The ACK of a peer counted, and is too old to count on: the batch goes to the peer again. */
  readonly onAckExpired: (peer: number) => void
  readonly onDropped: (peer: number, batch: OwnBatch) => void
  /** Somebody has asked for this batch, and the peer, who may be the one who lacks it, is not being sent it. */
  readonly onOwed: (peer: number, digest: Uint8Array) => void
  /** The peer is stuck or silent: its connection is to be closed. */
  readonly onStuck: (peer: number, why: string) => void
}

/** A stored batch of ours that is to be sent once more. */
export interface Resend {
  readonly slot: number
  readonly sequence: bigint
  readonly byteLength: number
  readonly transactions: number
  readonly transactionBytes: number
  readonly digest: Uint8Array
  /** Tell the primary when it is certified. */
  readonly report: boolean
  /** It was certified, counted and shown before. */
  readonly again: boolean
  /** Who alone is sent it, because it is owed it: it was certified before. All are if not given. */
  readonly peer?: number | undefined
}

export class Dissemination {
  readonly senders: ReadonlyMap<number, PeerSender>
  /** How full our share of the others' stores is. */
  readonly shareUse: ShareUse
  private readonly options: DisseminationOptions
  private readonly dependencies: DisseminationDependencies
  private readonly handlers: DisseminationHandlers
  private readonly batches: OwnBatches
  private readonly room: SlotRoom
  private readonly acks: Acks
  private readonly answersOwed: AnswersOwed
  private readonly allPeers: Uint8Array

  constructor(options: DisseminationOptions, dependencies: DisseminationDependencies, handlers: DisseminationHandlers) {
    const { authorities, ackTimeoutMs, ownIndex, ownSlots, peers, quorumThreshold, stakes } = options
    const { moment, nowMs, toQuorumWaiter } = dependencies
    const { slots } = dependencies.arena
    this.options = options
    this.dependencies = dependencies
    this.handlers = handlers
    this.allPeers = peerMask(peers)
    this.senders = new Map(peers.map((peer) => [peer, this.senderTo(peer)]))
    const { senders } = this
    this.shareUse = new ShareUse({ peers, stakes, ownIndex, quorumThreshold }, (peer) => senders.get(peer)!.isOpen)
    const batches = new OwnBatches({ ownSlots, slots }, { toQuorumWaiter })
    const room = new SlotRoom(
      { ownSlots },
      { batches, senders, nowMs },
      { onDropped: handlers.onDropped, onOwed: handlers.onOwed, onStuck: (peer, why) => this.onStuck(peer, why) },
    )
    this.batches = batches
    this.room = room
    this.acks = new Acks(
      { authorities, peers, stakes, ownIndex, quorumThreshold, slots },
      { batches, senders, room, toQuorumWaiter, moment, nowMs },
      handlers,
    )
    this.answersOwed = new AnswersOwed({ ackTimeoutMs }, { batches, nowMs })
  }

  /** Batches that are not certified yet. */
  get uncertified(): number {
    return this.batches.uncertified
  }

  /** The lowest sequence of the batches that are not certified yet, without those that were so before. */
  get lowestUncertified(): bigint | undefined {
    return this.batches.lowestUncertified
  }

  /** How long the oldest batch that is not certified has waited, ms; 0 if there is none. */
  get oldestUncertifiedMs(): number {
    return Math.max(0, this.dependencies.nowMs() - this.batches.oldestUncertifiedMs)
  }

  /** Of the batch-maker's slots, those that no batch holds. */
  get slotsFree(): number {
    return this.batches.makerSlotsFree
  }

  /** Batches that may be in flight to the peer that takes the most: what keeps all links busy. */
  get inFlightLimit(): number {
    let limit = IN_FLIGHT_MIN
    for (const { window } of this.senders.values()) limit = Math.max(limit, window.limit)
    return limit
  }

  has(sequence: bigint): boolean {
    return this.batches.get(sequence) !== undefined
  }

  /** The highest sequence that was sealed since the start. */
  lastSealed = 0n

  /** A new batch of ours. */
  onSealed(sealed: Extract<BatchMakerToMain, { kind: 'sealed' }>): void {
    this.lastSealed = sealed.sequence
    const batch = this.take({ ...sealed, report: true, again: false })
    this.dependencies.toProcessor({
      kind: 'own',
      slot: batch.slot,
      sequence: batch.sequence,
      byteLength: batch.byteLength,
    })
    this.spread(batch)
    this.room.make()
  }

  /** A stored batch of ours, once more. */
  resend(resend: Resend): void {
    const batch = this.take(resend)
    batch.digest = resend.digest
    if (resend.peer !== undefined) this.takeAsCertified(batch, resend.peer)
    this.sayStored(batch, resend.digest)
    this.spread(batch, resend.peer)
    this.room.make()
  }

  /**
   * Somebody lacks this batch. If its slot is still held, the batch goes again to every connected peer to which it is
   * not on its way. Returns its bytes if it goes to any, 0 if it goes to none, 'leaving' if its slot is about to be free,
   * and 'not-held' if no slot holds it.
   *
   * Each peer that is not sent it now is owed it, and so is each for which it is dropped later. While the batch-maker needs
   * the slot, nothing more is sent from it. If `only` is given, that peer is owed the batch, and the others are left alone.
   */
  heal(digest: Uint8Array, only?: number): number | 'leaving' | 'not-held' {
    const batch = this.batches.find(digest)
    if (batch === undefined) return 'not-held'
    if (batch.releasing) {
      this.dependencies.wakeQuorumWaiter()
      return 'leaving'
    }
    batch.wanted = true
    // A batch without a quorum is on its way to every peer already.
    if (!batch.certified) return 0
    const isNeeded = this.batches.isMakers(batch) && this.room.isShortForMaker
    let isSent = false
    for (const [peer, sender] of this.senders) {
      if (batch.isHeldBy(peer) || (only !== undefined && peer !== only)) continue
      if (sender.isOpen && !isNeeded) {
        sender.enqueueHeal(batch)
        isSent = true
      } else {
        this.handlers.onOwed(peer, digest)
      }
    }
    this.room.make()
    return isSent ? batch.byteLength : 0
  }

  /**
   * The batch was certified and is to be certified anew, from the store, since its ACKs have become too old. A slot that
   * holds it is let go of as soon as no peer is being sent it. Says what it found: 'leaving', such a slot; 'certifies',
   * one of a batch that is certified anew already, and is going to be reported; 'not-held'.
   */
  letGo(digest: Uint8Array): 'leaving' | 'certifies' | 'not-held' {
    const batch = this.batches.find(digest)
    if (batch === undefined) return 'not-held'
    if (!batch.certified) {
      batch.report = true
      return 'certifies'
    }
    batch.letGo = true
    for (const [peer, sender] of this.senders) if (sender.remove(batch)) this.room.oweIfWanted(peer, batch)
    this.batches.releaseIfDone(batch)
    // Who asked waits for the slot, and there may be many of them.
    if (batch.releasing) this.dependencies.wakeQuorumWaiter()
    return 'leaving'
  }

  /**
   * A peer's stream is gone. What it has not answered goes to it again on the next one, but for what others have had for so
   * long, or what is in the way: the peer gets that by a batch request.
   */
  onStreamLost(peer: number): void {
    const sender = this.senders.get(peer)!
    this.shareUse.lost(peer)
    for (const entry of sender.detach()) {
      if (this.answersOwed.isForfeited(entry)) this.room.drop(sender, peer, entry.batch)
    }
    this.room.make()
  }

  onOwnStored(sequence: bigint, digest: Uint8Array): void {
    const batch = this.batches.get(sequence)!
    batch.digest = digest
    this.sayStored(batch, digest)
  }

  /** A peer's ACK. It is judged by the quorum-waiter; a refusal here ends the stream. */
  onAck(peer: number, ack: Ack): Refused | undefined {
    this.shareUse.heard(peer, ack.used)
    return this.acks.take(peer, ack)
  }

  onVerdict(message: QuorumWaiterToMain): void {
    switch (message.kind) {
      case 'certified':
        this.onCertified(this.batches.get(message.sequence)!, message.since)
        return
      case 'released': {
        const batch = this.batches.get(message.sequence)!
        this.batches.remove(batch)
        this.room.onSlotFree()
        this.handlers.onSlotFree(batch.slot)
        return
      }
      case 'expired':
        this.acks.onExpired(this.batches.get(message.sequence)!, message.peers)
        return
      case 'verdict':
        this.acks.onVerdict(message.peer, message.sequence, message.verdict)
        return
      case 'held-wrong':
        this.acks.onHeldWrong(message.peer, message.sequence)
    }
  }

  /** Once in a while: finds peers that owe answers, and slots that only stuck peers hold. */
  tick(): void {
    for (const [peer, sender] of this.senders) {
      const why = this.answersOwed.find(sender)
      if (why !== undefined) this.onStuck(peer, why)
      sender.mend()
    }
    this.room.make()
  }

  private senderTo(peer: number): PeerSender {
    const { arena, healsFirst, nowMs, supervisor } = this.dependencies
    const inFlightMax = Math.max(IN_FLIGHT_MIN, Math.floor(this.options.ownSlots * IN_FLIGHT_SLOTS_SHARE))
    return new PeerSender(
      { peer, arena, inFlightMax, nowMs, healsFirst, supervisor },
      {
        onSent: (bytes) => this.handlers.onSent(peer, bytes),
        onAckLatency: (ms) => this.handlers.onAckLatency(peer, ms),
      },
    )
  }

  private take(init: Omit<Resend, 'digest'>): OwnBatch {
    const { arena, nowMs, toQuorumWaiter } = this.dependencies
    writeFrameHeader(arena.framed(init.slot, init.byteLength), 0, FRAME_TYPES.batch, init.byteLength)
    const batch = new OwnBatch({ ...init, takenMs: nowMs(), authorities: this.options.authorities })
    this.batches.add(batch)
    toQuorumWaiter({ kind: 'tracked', sequence: batch.sequence, peers: this.allPeers }, false)
    return batch
  }

  /** It goes to one peer alone, so the tally finds no quorum in this sending. A quorum was found before. */
  private takeAsCertified(batch: OwnBatch, peer: number): void {
    const { moment, nowMs } = this.dependencies
    batch.certifiedSince = moment()
    batch.certifiedMs = nowMs()
    batch.setHeard(peer, true)
  }

  private sayStored(batch: OwnBatch, digest: Uint8Array): void {
    const { moment, toQuorumWaiter } = this.dependencies
    const { sequence } = batch
    toQuorumWaiter({ kind: 'own-stored', sequence, digest, at: moment() }, this.acks.mayBeQuorum(batch))
  }

  /**
   * What was certified before goes beside the fresh batches, not before them. So does all that is sent again to a peer that
   * was stuck before: one at a time is in flight then, and the peer holds no more than one of the slots for it.
   */
  private spread(batch: OwnBatch, only?: number): void {
    for (const [peer, sender] of this.senders) {
      if (only !== undefined && peer !== only) continue
      if (batch.again || (sender.wasStuck && !this.batches.isMakers(batch))) sender.enqueueHeal(batch)
      else sender.enqueue(batch)
    }
  }

  private onCertified(batch: OwnBatch, since: Moment): void {
    batch.certifiedSince = since
    batch.certifiedMs = this.dependencies.nowMs()
    for (const [peer, sender] of this.senders) {
      sender.onCertified(batch)
      if (batch.state(peer) === PEER_STATE.refused) this.room.oweIfWanted(peer, batch)
      this.room.dropForRefusing(sender, peer)
    }
    this.handlers.onCertified(batch)
    this.batches.releaseIfDone(batch)
    this.room.make()
  }

  private onStuck(peer: number, why: string): void {
    this.senders.get(peer)!.foundStuck()
    this.handlers.onStuck(peer, why)
  }
}
