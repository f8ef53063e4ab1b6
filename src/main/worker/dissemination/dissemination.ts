/**
 * Dissemination: an own batch from its sealing until its slot is free again.
 *
 * In: sealed slots from the batch-maker, stored digests from the processor, ACKs from peers, verdicts from the
 * quorum-waiter. Out: `tracked` to the quorum-waiter before the first byte is sent; the batch to the processor and to
 * every peer at once; certified batches to the primary; free slots.
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
import { ACK_STATUSES, type Ack, isInMask, peerMask } from '../../../shared/wire/ack.js'
import { FRAME_TYPES, writeFrameHeader } from '../../../shared/wire/frames.js'
import type { Supervisor } from '../../lib/supervisor.js'
import { TokenBucket } from '../../lib/token-bucket.js'
import type { Refused } from '../../network/frame-stream.js'
import {
  HEAL_PATIENCE_MS,
  HELD_ACK_TIMEOUTS_MAX,
  IN_FLIGHT_MIN,
  IN_FLIGHT_SLOTS_SHARE,
  SLOTS_PLENTY_SHARE,
  SLOTS_SHORT_SHARE,
  SLOTS_STARVED_MS,
  STRAY_ACKS_PER_SECOND,
} from './limits.js'
import { OwnBatch, PEER_STATE } from './own-batch.js'
import { type InFlight, PeerSender } from './peer-sender.js'

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
}

type MayDrop = (batch: OwnBatch, sender: PeerSender) => boolean

export class Dissemination {
  readonly senders: ReadonlyMap<number, PeerSender>
  private readonly options: DisseminationOptions
  private readonly dependencies: DisseminationDependencies
  private readonly handlers: DisseminationHandlers
  /** Own batches whose slots are held, by sequence: at most one per own slot. */
  private readonly batches = new Map<bigint, OwnBatch>()
  /** ACKs that each peer may have under judgement: as many as there are slots (shared/layout.ts). */
  private readonly ackCredits: number[]
  /** ACKs of each peer that answer nothing. */
  private readonly strayAcks: ReadonlyMap<number, TokenBucket>
  private readonly allPeers: Uint8Array
  /** Slots that batches hold, of the batch-maker's and of those for sending again. */
  private makerSlotsHeld = 0
  private resendSlotsHeld = 0
  private starvedSinceMs: number | undefined

  constructor(options: DisseminationOptions, dependencies: DisseminationDependencies, handlers: DisseminationHandlers) {
    this.options = options
    this.dependencies = dependencies
    this.handlers = handlers
    this.allPeers = peerMask(options.peers)
    this.ackCredits = new Array(options.authorities).fill(dependencies.arena.slots)
    this.strayAcks = new Map(
      options.peers.map((peer) => [peer, new TokenBucket(STRAY_ACKS_PER_SECOND, STRAY_ACKS_PER_SECOND)]),
    )
    const inFlightMax = Math.max(IN_FLIGHT_MIN, Math.floor(options.ownSlots * IN_FLIGHT_SLOTS_SHARE))
    this.senders = new Map(
      options.peers.map((peer) => [
        peer,
        new PeerSender(
          {
            peer,
            arena: dependencies.arena,
            inFlightMax,
            nowMs: dependencies.nowMs,
            healsFirst: dependencies.healsFirst,
            supervisor: dependencies.supervisor,
          },
          {
            onSent: (bytes) => handlers.onSent(peer, bytes),
            onAckLatency: (ms) => handlers.onAckLatency(peer, ms),
          },
        ),
      ]),
    )
  }

  /** Batches that are not certified yet. */
  get uncertified(): number {
    let count = 0
    for (const batch of this.batches.values()) if (!batch.certified) count += 1
    return count
  }

  /** The lowest sequence of the batches that are not certified yet, without those that were so before. */
  get lowestUncertified(): bigint | undefined {
    let lowest: bigint | undefined
    for (const { again, certified, sequence } of this.batches.values()) {
      if (!certified && !again && (lowest === undefined || sequence < lowest)) lowest = sequence
    }
    return lowest
  }

  /** How long the oldest batch that is not certified has waited, ms; 0 if there is none. */
  get oldestUncertifiedMs(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const batch of this.batches.values()) if (!batch.certified) oldest = Math.min(oldest, batch.takenMs)
    return oldest === Number.POSITIVE_INFINITY ? 0 : this.dependencies.nowMs() - oldest
  }

  /** Of the batch-maker's slots, those that no batch holds. */
  get slotsFree(): number {
    return this.options.ownSlots - this.makerSlotsHeld
  }

  /** Batches that may be in flight to the peer that takes the most: what keeps all links busy. */
  get inFlightLimit(): number {
    let limit = IN_FLIGHT_MIN
    for (const { window } of this.senders.values()) limit = Math.max(limit, window.limit)
    return limit
  }

  has(sequence: bigint): boolean {
    return this.batches.has(sequence)
  }

  /** A new batch of ours. */
  onSealed(sealed: Extract<BatchMakerToMain, { kind: 'sealed' }>): void {
    const batch = this.take({ ...sealed, report: true, again: false })
    this.dependencies.toProcessor({
      kind: 'own',
      slot: batch.slot,
      sequence: batch.sequence,
      byteLength: batch.byteLength,
    })
    this.spread(batch)
    this.makeRoom()
  }

  /** A stored batch of ours, once more. */
  resend(resend: Resend): void {
    const batch = this.take(resend)
    batch.digest = resend.digest
    this.sayStored(batch, resend.digest)
    this.spread(batch)
    this.makeRoom()
  }

  /**
   * Somebody lacks this batch. If its slot is still held, the batch goes again to every connected peer to which it is
   * not on its way. Returns its bytes if it goes to any, 0 if it goes to none, 'leaving' if its slot is about to be free,
   * and 'not-held' if no slot holds it.
   *
   * Each peer that is not sent it now is owed it, and so is each for which it is dropped later. While the batch-maker needs
   * the slot, nothing more is sent from it.
   */
  heal(digest: Uint8Array): number | 'leaving' | 'not-held' {
    const batch = this.find(digest)
    if (batch === undefined) return 'not-held'
    if (batch.releasing) return 'leaving'
    batch.wanted = true
    // A batch without a quorum is on its way to every peer already.
    if (!batch.certified) return 0
    const isNeeded = this.isMakers(batch) && this.slotsFree < wantedFree(this.options.ownSlots)
    let isSent = false
    for (const [peer, sender] of this.senders) {
      if (batch.isHeldBy(peer)) continue
      if (sender.isOpen && !isNeeded) {
        sender.enqueueHeal(batch)
        isSent = true
      } else {
        this.handlers.onOwed(peer, digest)
      }
    }
    this.makeRoom()
    return isSent ? batch.byteLength : 0
  }

  /**
   * The batch was certified and is to be certified anew, from the store, since its ACKs have become too old. A slot that
   * holds it is let go of as soon as no peer is being sent it. Says what it found: 'leaving', such a slot; 'certifies',
   * one of a batch that is certified anew already, and is going to be reported; 'not-held'.
   */
  letGo(digest: Uint8Array): 'leaving' | 'certifies' | 'not-held' {
    const batch = this.find(digest)
    if (batch === undefined) return 'not-held'
    if (!batch.certified) {
      batch.report = true
      return 'certifies'
    }
    batch.letGo = true
    for (const [peer, sender] of this.senders) if (sender.remove(batch)) this.oweIfWanted(peer, batch)
    this.releaseIfDone(batch)
    return 'leaving'
  }

  /**
   * A peer's stream is gone. What it has not answered goes to it again on the next one, but for what others have had for so
   * long, or what is in the way: the peer gets that by a batch request.
   */
  onStreamLost(peer: number): void {
    const sender = this.senders.get(peer)!
    for (const entry of sender.detach()) {
      const { batch } = entry
      if (!batch.certified || !(batch.letGo || this.wasWithheld(entry))) continue
      sender.remove(batch)
      this.onDropped(peer, batch)
    }
    this.makeRoom()
  }

  /** The peer had the batch for so long that it may have kept its answer back, perhaps over several streams. */
  private wasWithheld({ batch, overtakenAtMs }: InFlight): boolean {
    const { ackTimeoutMs } = this.options
    const nowMs = this.dependencies.nowMs()
    if (overtakenAtMs !== undefined && nowMs - overtakenAtMs > ackTimeoutMs) return true
    return nowMs - batch.certifiedMs > HELD_ACK_TIMEOUTS_MAX * ackTimeoutMs
  }

  onOwnStored(sequence: bigint, digest: Uint8Array): void {
    const batch = this.batches.get(sequence)!
    batch.digest = digest
    this.sayStored(batch, digest)
  }

  /** A peer's ACK. It is judged by the quorum-waiter; a refusal here ends the stream. */
  onAck(peer: number, ack: Ack): Refused | undefined {
    if (this.ackCredits[peer] === 0) {
      return { refused: 'ack-flood', detail: `${this.dependencies.arena.slots} ACKs are under judgement` }
    }
    const sender = this.senders.get(peer)!
    const batch = this.batches.get(ack.sequence)
    const due = batch === undefined ? 'unawaited' : sender.acknowledge(batch, ack.status === ACK_STATUSES.ok)
    if (due === 'early') {
      return { refused: 'ack-early', detail: `an ACK for batch ${ack.sequence}, which was not sent whole` }
    }
    if (due === 'unawaited' && !this.strayAcks.get(peer)!.tryTake(1, this.dependencies.nowMs())) {
      return {
        refused: 'ack-flood',
        detail: `more than ${STRAY_ACKS_PER_SECOND} ACKs a second for what it was not sent`,
      }
    }
    if (due === 'due' && batch!.isHeard(peer)) {
      // The batch was sent to this peer once more because somebody lacks it. The tally has the answer to the first
      // sending.
      if (ack.status === ACK_STATUSES.ok) sender.onAccepted()
    } else {
      if (due === 'due') batch!.setHeard(peer, true)
      this.ackCredits[peer]! -= 1
      const isUrgent = ack.status !== ACK_STATUSES.ok || sender.isProbing || this.mayBeQuorum(batch)
      this.dependencies.toQuorumWaiter({ kind: 'ack', peer, ...ack, at: this.dependencies.moment() }, isUrgent)
    }
    if (due === 'due') {
      this.releaseIfDone(batch!)
      sender.pump()
    }
    return undefined
  }

  onVerdict(message: QuorumWaiterToMain): void {
    switch (message.kind) {
      case 'certified': {
        const batch = this.batches.get(message.sequence)!
        batch.certifiedSince = message.since
        batch.certifiedMs = this.dependencies.nowMs()
        for (const [peer, sender] of this.senders) {
          sender.onCertified(batch)
          if (batch.state(peer) === PEER_STATE.refused) this.oweIfWanted(peer, batch)
          this.dropForRefusing(sender, peer)
        }
        this.handlers.onCertified(batch)
        this.releaseIfDone(batch)
        this.makeRoom()
        return
      }
      case 'released': {
        const batch = this.batches.get(message.sequence)!
        this.batches.delete(message.sequence)
        this.starvedSinceMs = undefined
        this.handlers.onSlotFree(batch.slot)
        return
      }
      case 'expired':
        this.onExpired(this.batches.get(message.sequence)!, message.peers)
        return
      case 'verdict':
        this.ackCredits[message.peer]! += 1
        this.judge(message.peer, message.sequence, message.verdict)
        return
      case 'held-wrong':
        this.judge(message.peer, message.sequence, 'wrong-digest')
    }
  }

  /** Once in a while: finds peers that owe answers, and slots that only stuck peers hold. */
  tick(): void {
    for (const [peer, sender] of this.senders) {
      const why = this.owes(sender)
      if (why !== undefined) this.stuck(peer, why)
    }
    this.makeRoom()
  }

  /** What a peer owes that an honest one would not; undefined if it owes nothing like that. */
  private owes(sender: PeerSender): string | undefined {
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

  /** Others have the batch, and its slot is what something waits for. */
  private isInTheWay(batch: OwnBatch): boolean {
    return batch.certified && (batch.letGo || (!this.isMakers(batch) && this.resendSlotsFree === 0))
  }

  private stuck(peer: number, why: string): void {
    this.senders.get(peer)!.wasStuck = true
    this.handlers.onStuck(peer, why)
  }

  private take(init: Omit<Resend, 'digest'>): OwnBatch {
    const { arena, nowMs, toQuorumWaiter } = this.dependencies
    writeFrameHeader(arena.framed(init.slot, init.byteLength), 0, FRAME_TYPES.batch, init.byteLength)
    const batch = new OwnBatch({ ...init, takenMs: nowMs(), authorities: this.options.authorities })
    this.batches.set(batch.sequence, batch)
    if (this.isMakers(batch)) this.makerSlotsHeld += 1
    else this.resendSlotsHeld += 1
    toQuorumWaiter({ kind: 'tracked', sequence: batch.sequence, peers: this.allPeers }, false)
    return batch
  }

  private sayStored(batch: OwnBatch, digest: Uint8Array): void {
    const { moment, toQuorumWaiter } = this.dependencies
    const { sequence } = batch
    toQuorumWaiter({ kind: 'own-stored', sequence, digest, at: moment() }, this.mayBeQuorum(batch))
  }

  /** Whether the quorum-waiter may find a quorum in what it was told of this batch. Only the tally knows. */
  private mayBeQuorum(batch: OwnBatch | undefined): boolean {
    if (batch === undefined || batch.certified || batch.digest === undefined) return false
    // The tally may count a peer that is asked again.
    if (batch.wasAskedAgain) return true
    const { ownIndex, peers, quorumThreshold, stakes } = this.options
    let stake = stakes[ownIndex]!
    for (const peer of peers) if (batch.isHeard(peer)) stake += stakes[peer]!
    return stake >= quorumThreshold
  }

  /**
   * What was certified before goes beside the fresh batches, not before them. So does all that is sent again to a peer that
   * was stuck before: one at a time is in flight then, and the peer holds no more than one of the slots for it.
   */
  private spread(batch: OwnBatch): void {
    for (const sender of this.senders.values()) {
      if (batch.again || (sender.wasStuck && !this.isMakers(batch))) sender.enqueueHeal(batch)
      else sender.enqueue(batch)
    }
  }

  private find(digest: Uint8Array): OwnBatch | undefined {
    for (const batch of this.batches.values()) {
      if (batch.digest !== undefined && Buffer.compare(batch.digest, digest) === 0) return batch
    }
    return undefined
  }

  private judge(peer: number, sequence: bigint, verdict: AckVerdict): void {
    const sender = this.senders.get(peer)!
    if (verdict === 'counted' || verdict === 'held' || verdict === 'late') {
      sender.onAccepted()
      return
    }
    const batch = this.batches.get(sequence)
    if (batch?.state(peer) === PEER_STATE.answered && verdict !== 'duplicate') this.onRefused(sender, peer, batch)
    this.handlers.onAckRefused(peer, verdict)
  }

  /** Refused, for whatever reason: on the same stream it is sent again later, unless a quorum does without this peer. */
  private onRefused(sender: PeerSender, peer: number, batch: OwnBatch): void {
    sender.onRefused()
    this.dropForRefusing(sender, peer)
    if (batch.certified) {
      batch.setState(peer, PEER_STATE.refused)
      this.oweIfWanted(peer, batch)
      return
    }
    this.dependencies.toQuorumWaiter({ kind: 'resent', peer, sequence: batch.sequence }, false)
    batch.setHeard(peer, false)
    sender.enqueueAgain(batch)
  }

  /** These peers may have deleted their copies. A peer that still has its copy keeps it as if it were new. */
  private onExpired(batch: OwnBatch, peers: Uint8Array): void {
    for (const [peer, sender] of this.senders) {
      if (!isInMask(peers, peer)) continue
      this.dependencies.toQuorumWaiter({ kind: 'resent', peer, sequence: batch.sequence }, false)
      batch.setHeard(peer, false)
      this.handlers.onAckExpired(peer)
      if (!batch.isHeldBy(peer)) sender.enqueueHeal(batch)
    }
  }

  private dropForRefusing(sender: PeerSender, peer: number): void {
    if (!sender.isRefusing) return
    for (;;) {
      const batch = sender.dropOldestCertified(() => true)
      if (batch === undefined) return
      this.onDropped(peer, batch)
    }
  }

  private onDropped(peer: number, batch: OwnBatch): void {
    this.handlers.onDropped(peer, batch)
    this.oweIfWanted(peer, batch)
    this.releaseIfDone(batch)
  }

  private oweIfWanted(peer: number, { digest, wanted }: OwnBatch): void {
    if (wanted && digest !== undefined) this.handlers.onOwed(peer, digest)
  }

  private releaseIfDone(batch: OwnBatch): void {
    if (!batch.isDone || batch.releasing) return
    batch.releasing = true
    if (this.isMakers(batch)) this.makerSlotsHeld -= 1
    else this.resendSlotsHeld -= 1
    const { arena, toQuorumWaiter } = this.dependencies
    const isShort = !this.isMakers(batch) || this.batches.size > arena.slots * SLOTS_PLENTY_SHARE
    toQuorumWaiter({ kind: 'release', sequence: batch.sequence }, isShort)
  }

  private isMakers(batch: OwnBatch): boolean {
    return batch.slot < this.options.ownSlots
  }

  private get resendSlots(): number {
    return this.dependencies.arena.slots - this.options.ownSlots
  }

  private get resendSlotsFree(): number {
    return this.resendSlots - this.resendSlotsHeld
  }

  private makeRoom(): void {
    const { ownSlots } = this.options
    // A batch that is sent again because somebody lacks it is for the very peers that lag behind. So it is dropped only
    // for a peer that is not connected, or does not answer the one that it has. Slots of the batch-maker are needed for more.
    this.makeRoomIn(
      this.resendSlots,
      this.resendSlotsFree,
      (batch, sender) =>
        !this.isMakers(batch) && (!batch.wanted || !sender.isOpen || sender.healAwaitedMs > HEAL_PATIENCE_MS),
    )
    this.relieve(this.makeRoomIn(ownSlots, this.slotsFree, (batch) => this.isMakers(batch)))
  }

  /** Drops certified batches for the laggards until enough of these slots are free; returns how many are. */
  private makeRoomIn(slots: number, freeNow: number, mayDrop: MayDrop): number {
    const wanted = wantedFree(slots)
    let free = freeNow
    while (free < wanted) {
      const laggard = this.laggard(mayDrop)
      if (laggard === undefined) break
      const [peer, sender] = laggard
      const batch = sender.dropOldestCertified((queued) => mayDrop(queued, sender))!
      this.onDropped(peer, batch)
      if (batch.releasing) free += 1
    }
    return free
  }

  /** The sender with the most certified batches in its queue that may be dropped. */
  private laggard(mayDrop: MayDrop): [number, PeerSender] | undefined {
    let worst: [number, PeerSender] | undefined
    let worstCount = 0
    for (const entry of this.senders) {
      const [, sender] = entry
      const count = sender.certifiedQueued((batch) => mayDrop(batch, sender))
      if (count > worstCount) {
        worst = entry
        worstCount = count
      }
    }
    return worst
  }

  /** No slot is free, and certified batches hold them: the peer that holds the oldest is stuck. */
  private relieve(free: number): void {
    if (free > 0) {
      this.starvedSinceMs = undefined
      return
    }
    const now = this.dependencies.nowMs()
    this.starvedSinceMs ??= now
    if (now - this.starvedSinceMs < SLOTS_STARVED_MS) return
    for (const batch of this.batches.values()) {
      if (!batch.certified || batch.holders === 0 || !this.isMakers(batch)) continue
      const holder = this.options.peers.find(
        (peer) => batch.state(peer) === PEER_STATE.sending || batch.state(peer) === PEER_STATE.sent,
      )
      if (holder === undefined) continue
      this.starvedSinceMs = now
      this.stuck(holder, `it holds batch ${batch.sequence}, which the others have, and no slot is free`)
      return
    }
  }
}

/** So many slots are kept free: below it, certified batches are dropped for laggards. */
function wantedFree(slots: number): number {
  return Math.ceil(slots * SLOTS_SHORT_SHARE)
}
