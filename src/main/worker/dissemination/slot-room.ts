/**
 * SlotRoom: makes room when slots run short. What gives way is what a quorum has, for the peers that lag behind: each gets
 * it later, by a batch request. What no quorum has is never dropped, since a quorum may depend on any peer.
 *
 * | slots | dropped are batches that | until |
 * |---|---|---|
 * | the batch-maker's | wait for the peer that lags the most, the oldest first | a quarter of them is free |
 * | those for sending again | the same; those that somebody lacks only for who is away or does not answer | the same |
 * | both | wait for a peer that refuses for long | none of them waits |
 *
 * What bytes were sent of cannot be dropped. If that leaves no slot for the batch-maker, the peer that holds the oldest is
 * stuck: once in SLOTS_STARVED_MS.
 */
import { HEAL_PATIENCE_MS, SLOTS_SHORT_SHARE, SLOTS_STARVED_MS } from './limits.js'
import { type OwnBatch, PEER_STATE } from './own-batch.js'
import type { OwnBatches } from './own-batches.js'
import type { PeerSender } from './peer-sender.js'

export interface SlotRoomOptions {
  /** Slots of the batch-maker's. */
  readonly ownSlots: number
}

export interface SlotRoomDependencies {
  readonly batches: OwnBatches
  /** By authority index. */
  readonly senders: ReadonlyMap<number, PeerSender>
  readonly nowMs: () => number
}

export interface SlotRoomHandlers {
  readonly onDropped: (peer: number, batch: OwnBatch) => void
  /** Somebody has asked for this batch, and the peer does not get it now. */
  readonly onOwed: (peer: number, digest: Uint8Array) => void
  readonly onStuck: (peer: number, why: string) => void
}

type MayDrop = (batch: OwnBatch, sender: PeerSender) => boolean

export class SlotRoom {
  private readonly options: SlotRoomOptions
  private readonly dependencies: SlotRoomDependencies
  private readonly handlers: SlotRoomHandlers
  /** Since when none of the batch-maker's slots is free. */
  private starvedSinceMs: number | undefined

  constructor(options: SlotRoomOptions, dependencies: SlotRoomDependencies, handlers: SlotRoomHandlers) {
    this.options = options
    this.dependencies = dependencies
    this.handlers = handlers
  }

  make(): void {
    const { batches } = this.dependencies
    // A batch that is sent again because somebody lacks it is for the very peers that lag behind. So it is dropped only
    // for a peer that is not connected, or does not answer the one that it has. Slots of the batch-maker are needed for more.
    this.makeIn(
      batches.resendSlots,
      batches.resendSlotsFree,
      (batch, sender) =>
        !batches.isMakers(batch) && (!batch.wanted || !sender.isOpen || sender.healAwaitedMs > HEAL_PATIENCE_MS),
    )
    this.relieve(this.makeIn(this.options.ownSlots, batches.makerSlotsFree, (batch) => batches.isMakers(batch)))
  }

  /** Whether fewer of the batch-maker's slots are free than should be. */
  get isShortForMaker(): boolean {
    const { ownSlots } = this.options
    return this.dependencies.batches.makerSlotsFree < wantedFree(ownSlots)
  }

  /** The slot of a batch is free. */
  onSlotFree(): void {
    this.starvedSinceMs = undefined
  }

  /** If the peer has refused for long, what a quorum has is not kept for it. */
  dropForRefusing(sender: PeerSender, peer: number): void {
    if (!sender.isRefusing) return
    for (;;) {
      const batch = sender.dropOldestCertified(() => true)
      if (batch === undefined) return
      this.onDropped(peer, batch)
    }
  }

  /** The peer does not get this batch, which waits for it. */
  drop(sender: PeerSender, peer: number, batch: OwnBatch): void {
    sender.remove(batch)
    this.onDropped(peer, batch)
  }

  /** The peer does not get this batch now: if somebody has asked for it, the peer is owed it. */
  oweIfWanted(peer: number, { digest, wanted }: OwnBatch): void {
    if (wanted && digest !== undefined) this.handlers.onOwed(peer, digest)
  }

  private onDropped(peer: number, batch: OwnBatch): void {
    this.handlers.onDropped(peer, batch)
    this.oweIfWanted(peer, batch)
    this.dependencies.batches.releaseIfDone(batch)
  }

  /** Drops certified batches for the laggards until enough of these slots are free; returns how many are. */
  private makeIn(slots: number, freeNow: number, mayDrop: MayDrop): number {
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
    for (const entry of this.dependencies.senders) {
      const [, sender] = entry
      const count = sender.certifiedQueued((batch) => mayDrop(batch, sender))
      if (count > worstCount) {
        worst = entry
        worstCount = count
      }
    }
    return worst
  }

  /** None of the batch-maker's slots is free, and certified batches hold them: the peer that holds the oldest is stuck. */
  private relieve(free: number): void {
    if (free > 0) {
      this.starvedSinceMs = undefined
      return
    }
    const { batches, nowMs } = this.dependencies
    const now = nowMs()
    this.starvedSinceMs ??= now
    if (now - this.starvedSinceMs < SLOTS_STARVED_MS) return
    for (const batch of batches) {
      if (!batch.certified || batch.holders === 0 || !batches.isMakers(batch)) continue
      const holder = this.holderOf(batch)
      if (holder === undefined) continue
      this.starvedSinceMs = now
      this.handlers.onStuck(holder, `it holds batch ${batch.sequence}, which the others have, and no slot is free`)
      return
    }
  }

  /** The first peer that was handed bytes of the batch and has not answered. */
  private holderOf(batch: OwnBatch): number | undefined {
    for (const peer of this.dependencies.senders.keys()) {
      const state = batch.state(peer)
      if (state === PEER_STATE.sending || state === PEER_STATE.sent) return peer
    }
    return undefined
  }
}

/** So many slots are kept free: below it, certified batches are dropped for laggards. */
function wantedFree(slots: number): number {
  return Math.ceil(slots * SLOTS_SHORT_SHARE)
}
