/**
 * PeerSender: sends our batches to one peer, in order, over one long-lived stream, with a few in flight.
 *
 * ```
 *  queue: batches in order ──▶ sending: one, slice by slice ──▶ in flight: sent, ACK awaited
 *         ▲                                                         │
 *         ├── the stream is gone: all that was not ACKed, in order ─┤
 *         └── refused, and a quorum lacks it: behind all others ────┘
 *  heals: those that somebody lacks ──▶ beside the others, one in flight
 * ```
 *
 * Batches that somebody lacks go beside the fresh ones and have a share of the link of their own (`heal-share.ts`). So
 * neither kind has to wait until the other is through.
 *
 * After a refusal the peer gets nothing for a while, then one batch at a time until it accepts again
 * (`refusal-backoff.ts`). A refused batch goes behind the others: one that is too large for the room that the peer has
 * left must not hold up those that fit.
 *
 * A peer may answer in any order, but an answer comes within a bounded time of those to later batches: the stream hands
 * batches over one behind the other, and a store commits them about in that order. So what a peer owes is looked at in
 * three ways: how long it has answered nothing (`silentMs`), nothing of the fresh batches (the same), and how long an
 * answer has been missing that later ones have overtaken (`overtakenMs`). An answer to a heal overtakes nothing: the peer
 * may have had that batch already, and answers it without a commit.
 *
 * Queue and heals are bounded by the own slots: each entry holds one.
 */

import assert from 'node:assert'
import type { Stream } from '@libp2p/interface'
import { SLICE_BYTES } from '../../../shared/constants.js'
import type { Arena } from '../../../shared/memory/slots.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import { sendOn } from '../../network/hand-over.js'
import { HealShare } from './heal-share.js'
import { InFlightWindow } from './in-flight-window.js'
import { DRAIN_WATCHDOG_MS, HEAL_PATIENCE_MS, STUCK_MENDED_MS } from './limits.js'
import { type OwnBatch, PEER_STATE } from './own-batch.js'
import { RefusalBackoff } from './refusal-backoff.js'

export interface PeerSenderDependencies {
  /** The peer's authority index. */
  readonly peer: number
  readonly arena: Arena
  /** Batches in flight at most, however long the link: each holds a slot. */
  readonly inFlightMax: number
  readonly nowMs: () => number
  /** Whether what somebody lacks is to go before most of what is fresh; false if not given. */
  readonly healsFirst?: (() => boolean) | undefined
  /** Takes what its timers and the stream's events throw. */
  readonly supervisor?: Supervisor | undefined
}

export interface PeerSenderHandlers {
  /** Bytes were handed to the stream. */
  readonly onSent: (bytes: number) => void
  /** From the hand-over of a batch's first byte to its ACK. */
  readonly onAckLatency: (ms: number) => void
}

export interface InFlight {
  readonly batch: OwnBatch
  readonly startedMs: number
  readonly windowWasFull: boolean
  readonly isHeal: boolean
  /** When the peer first accepted a fresh batch that was handed over after this one; undefined if it did not. */
  overtakenAtMs: number | undefined
}

export class PeerSender {
  readonly window: InFlightWindow
  private readonly dependencies: PeerSenderDependencies
  private readonly handlers: PeerSenderHandlers
  private readonly queue: OwnBatch[] = []
  /** What somebody lacks, in the order in which it was asked for. */
  private readonly heals: OwnBatch[] = []
  private readonly healShare = new HealShare()
  /** In the order in which they were handed over. */
  private readonly inFlight: InFlight[] = []
  /** Of these the one that is a heal. */
  private healInFlight: InFlight | undefined
  private stream: Stream | undefined
  private current: Uint8Array | undefined
  private currentOffset = 0
  private watchdog: NodeJS.Timeout | undefined
  private readonly backoff = new RefusalBackoff()
  private resumption: NodeJS.Timeout | undefined
  private pumping = false
  /** When the peer answered last, or when it first owed an answer after it owed none. */
  private lastAnswerMs: number
  /** The same of fresh batches alone. */
  private lastFreshAnswerMs: number
  /** Since when it has answered all in time after it was found stuck; undefined if it was not, or is like the others again. */
  private mendingSinceMs: number | undefined

  constructor(dependencies: PeerSenderDependencies, handlers: PeerSenderHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
    this.window = new InFlightWindow(dependencies.inFlightMax)
    this.lastAnswerMs = dependencies.nowMs()
    this.lastFreshAnswerMs = this.lastAnswerMs
  }

  get isOpen(): boolean {
    return this.stream !== undefined
  }

  /** It was found stuck not long ago: what is sent again goes to it one at a time. */
  get wasStuck(): boolean {
    return this.mendingSinceMs !== undefined
  }

  foundStuck(): void {
    this.mendingSinceMs = this.dependencies.nowMs()
  }

  /** Once in a while. After STUCK_MENDED_MS in which it has answered all within HEAL_PATIENCE_MS, it is like the others. */
  mend(): void {
    if (this.mendingSinceMs === undefined) return
    const now = this.dependencies.nowMs()
    if (!this.isOpen || this.inFlightFor(HEAL_PATIENCE_MS).length > 0) this.mendingSinceMs = now
    else if (now - this.mendingSinceMs >= STUCK_MENDED_MS) this.mendingSinceMs = undefined
  }

  get queued(): number {
    return this.queue.length + this.heals.length
  }

  /** Certified batches that wait for this peer and may be dropped for it. */
  certifiedQueued(mayDrop: (batch: OwnBatch) => boolean): number {
    let count = 0
    for (const batch of this.queue) if (batch.certified && mayDrop(batch)) count += 1
    for (const batch of this.heals) if (batch.certified && mayDrop(batch)) count += 1
    return count
  }

  get inFlightCount(): number {
    return this.inFlight.length
  }

  /**
   * How long the peer has answered nothing while something of ours awaited an answer, in ms; 0 if nothing did. Answers to
   * heals alone do not count while fresh batches await theirs.
   */
  get silentMs(): number {
    if (this.stream === undefined || this.inFlight.length === 0) return 0
    const since = this.freshInFlight > 0 ? Math.min(this.lastAnswerMs, this.lastFreshAnswerMs) : this.lastAnswerMs
    return this.dependencies.nowMs() - since
  }

  /** How long an answer has been missing since one to a later batch came, in ms; 0 if none is. */
  get overtakenMs(): number {
    let since = Number.POSITIVE_INFINITY
    for (const { overtakenAtMs } of this.inFlight) since = Math.min(since, overtakenAtMs ?? since)
    return since === Number.POSITIVE_INFINITY ? 0 : this.dependencies.nowMs() - since
  }

  /** How long the answer to a heal has been awaited, in ms; 0 if none is. */
  get healAwaitedMs(): number {
    return this.healInFlight === undefined ? 0 : this.dependencies.nowMs() - this.healInFlight.startedMs
  }

  /** Batches in flight of which the first byte was handed over longer ago than this. */
  inFlightFor(ms: number): OwnBatch[] {
    const before = this.dependencies.nowMs() - ms
    const batches: OwnBatch[] = []
    for (const { batch, startedMs } of this.inFlight) if (startedMs < before) batches.push(batch)
    return batches
  }

  /** The peer has refused for long. Batches that a quorum has are no longer kept for it. */
  get isRefusing(): boolean {
    return this.backoff.isLong
  }

  /** It is connected, takes what it is sent, and has none of what somebody lacks before it. */
  get takesHeals(): boolean {
    return (
      this.isOpen && !this.isRefusing && !this.isPaused && this.healInFlight === undefined && this.heals.length === 0
    )
  }

  /** After a refusal: the next batch is started when the last one was accepted. */
  get isProbing(): boolean {
    return this.backoff.isProbing
  }

  /** The peer refuses what it is sent: nothing is started for a while. */
  get isPaused(): boolean {
    return this.backoff.waitMs(this.dependencies.nowMs()) > 0
  }

  enqueue(batch: OwnBatch): void {
    const { peer } = this.dependencies
    batch.setState(peer, PEER_STATE.queued)
    // Recovered and pushed batches come with old sequences; the order of the queue is that of the sequences.
    let at = this.queue.length
    while (at > 0 && this.queue[at - 1]!.sequence > batch.sequence) at -= 1
    this.queue.splice(at, 0, batch)
    this.pump()
  }

  /** Somebody lacks this batch, perhaps this peer. */
  enqueueHeal(batch: OwnBatch): void {
    batch.setState(this.dependencies.peer, PEER_STATE.queued)
    this.heals.push(batch)
    this.pump()
  }

  /** The peer has refused this batch, which a quorum lacks: it is sent again after the others. */
  enqueueAgain(batch: OwnBatch): void {
    batch.setState(this.dependencies.peer, PEER_STATE.queuedAgain)
    this.queue.push(batch)
    this.pump()
  }

  /** A quorum has the batch. If the peer has refused it once, it is not sent to the peer again. */
  onCertified(batch: OwnBatch): void {
    if (batch.state(this.dependencies.peer) !== PEER_STATE.queuedAgain) return
    this.queue.splice(this.queue.indexOf(batch), 1)
    batch.setState(this.dependencies.peer, PEER_STATE.refused)
  }

  /** What the peer answered was a refusal. */
  onRefused(): void {
    this.backoff.refused(this.dependencies.nowMs())
    this.resumeLater()
  }

  /** What the peer answered was an acceptance. */
  onAccepted(): void {
    if (!this.isProbing) return
    this.backoff.accepted(this.dependencies.nowMs())
    this.pump()
  }

  /** The stream to send on from now. What the old one had not delivered was put back by `detach`. */
  attach(stream: Stream): void {
    assert(this.stream === undefined, 'one stream at a time')
    this.stream = stream
    this.lastAnswerMs = this.dependencies.nowMs()
    this.lastFreshAnswerMs = this.lastAnswerMs
    this.backoff.reset()
    const { guard } = this.dependencies.supervisor ?? unsupervised
    const onDrain = guard('sending', () => {
      if (this.stream === stream) this.pump()
    })
    stream.addEventListener('drain', onDrain)
    const onSilence = guard('sending', () => {
      if (!stream.writableNeedsDrain) this.pump()
    })
    this.watchdog = setInterval(onSilence, DRAIN_WATCHDOG_MS)
    this.pump()
  }

  /** The stream is gone: what was not ACKed goes back to the queue, in order. Returns it as it was in flight. */
  detach(): readonly InFlight[] {
    if (this.stream === undefined) return []
    clearInterval(this.watchdog)
    clearTimeout(this.resumption)
    this.resumption = undefined
    this.stream = undefined
    this.current = undefined
    this.healInFlight = undefined
    const unacked = this.inFlight.splice(0)
    for (const { batch } of unacked) batch.setState(this.dependencies.peer, PEER_STATE.queued)
    this.heals.unshift(...unacked.filter(({ isHeal }) => isHeal).map(({ batch }) => batch))
    this.queue.unshift(...unacked.filter(({ isHeal }) => !isHeal).map(({ batch }) => batch))
    this.queue.sort((a, b) => (a.sequence < b.sequence ? -1 : 1))
    return unacked
  }

  /**
   * The peer has answered. Says whether an answer was due: 'early' is one for a batch that was not handed over whole,
   * 'unawaited' one that was not in flight.
   *
   * @param accepted whether the peer says that it has stored it
   */
  acknowledge(batch: OwnBatch, accepted: boolean): 'due' | 'early' | 'unawaited' {
    const { peer, nowMs } = this.dependencies
    const state = batch.state(peer)
    if (state === PEER_STATE.queued || state === PEER_STATE.queuedAgain || state === PEER_STATE.sending) return 'early'
    if (state !== PEER_STATE.sent) return 'unawaited'
    let index = 0
    while (index < this.inFlight.length && this.inFlight[index]!.batch !== batch) index += 1
    const entry = this.inFlight[index]
    assert(entry !== undefined)
    this.inFlight.splice(index, 1)
    const now = nowMs()
    this.lastAnswerMs = now
    if (entry.isHeal) this.healInFlight = undefined
    else this.lastFreshAnswerMs = now
    if (accepted && entry.isHeal) {
      // The peer may have the batch already. Its answer then comes without a commit, and its latency says nothing.
    } else if (accepted) {
      for (let earlier = 0; earlier < index; earlier += 1) this.inFlight[earlier]!.overtakenAtMs ??= now
      const latencyMs = now - entry.startedMs
      this.window.onAck(latencyMs, entry.windowWasFull, now)
      this.handlers.onAckLatency(latencyMs)
    } else {
      // A refusal comes without a commit, and its latency says nothing.
      this.onRefused()
    }
    batch.setState(peer, PEER_STATE.answered)
    return 'due'
  }

  /** Takes the oldest batch that is certified and may be dropped out of the queue; undefined if there is none. */
  dropOldestCertified(mayDrop: (batch: OwnBatch) => boolean): OwnBatch | undefined {
    const isDue = (batch: OwnBatch): boolean => batch.certified && mayDrop(batch)
    const from = this.queue.some(isDue) ? this.queue : this.heals
    const index = from.findIndex(isDue)
    if (index === -1) return undefined
    const [batch] = from.splice(index, 1)
    batch!.setState(this.dependencies.peer, PEER_STATE.dropped)
    return batch
  }

  /** Takes this batch out of the queue, unless bytes of it were sent; says whether it did. */
  remove(batch: OwnBatch): boolean {
    if (batch.state(this.dependencies.peer) !== PEER_STATE.queued) return false
    for (const from of [this.queue, this.heals]) {
      const index = from.indexOf(batch)
      if (index !== -1) from.splice(index, 1)
    }
    batch.setState(this.dependencies.peer, PEER_STATE.dropped)
    return true
  }

  /** Hands over as much as the stream and the window take. */
  pump(): void {
    // `send` may dispatch events that lead back here.
    if (this.pumping) return
    this.pumping = true
    try {
      while (this.stream !== undefined && this.stream.status === 'open' && this.stream.writeStatus === 'writable') {
        if (this.stream.writableNeedsDrain) return
        if (this.current === undefined && !this.start()) return
        this.sendSlice(this.stream)
      }
    } finally {
      this.pumping = false
    }
  }

  private resumeLater(): void {
    if (this.stream === undefined || this.resumption !== undefined) return
    const waitMs = this.backoff.waitMs(this.dependencies.nowMs())
    if (waitMs === 0) {
      this.pump()
      return
    }
    const { guard } = this.dependencies.supervisor ?? unsupervised
    const resume = guard('sending after a pause', () => {
      this.resumption = undefined
      this.resumeLater()
    })
    this.resumption = setTimeout(resume, Math.ceil(waitMs))
  }

  private start(): boolean {
    if (this.isPaused) return false
    if (this.isProbing && this.inFlight.length > 0) return false
    const batch = this.takeHeal() ?? this.takeFresh()
    if (batch === undefined) return false
    const { arena, peer } = this.dependencies
    batch.setState(peer, PEER_STATE.sending)
    this.current = arena.framed(batch.slot, batch.byteLength)
    this.currentOffset = 0
    return true
  }

  /** The next of the queue, if the window has room. */
  private takeFresh(): OwnBatch | undefined {
    const { freshInFlight } = this
    if (freshInFlight >= this.window.limit) return undefined
    const batch = this.queue.shift()
    if (batch === undefined) return undefined
    this.healShare.startedFresh(batch.byteLength)
    this.addInFlight(batch, { windowWasFull: freshInFlight + 1 >= this.window.limit, isHeal: false })
    return batch
  }

  /** The next of what somebody lacks, if it may go beside the fresh ones: it takes none of their window. */
  private takeHeal(): OwnBatch | undefined {
    if (this.healInFlight !== undefined || !this.healShare.allows(this.queue.length > 0)) return undefined
    const batch = this.heals.shift()
    if (batch === undefined) return undefined
    this.healShare.startedHeal(batch.byteLength, this.dependencies.healsFirst?.())
    this.healInFlight = this.addInFlight(batch, { windowWasFull: false, isHeal: true })
    return batch
  }

  private addInFlight(
    batch: OwnBatch,
    { windowWasFull, isHeal }: { windowWasFull: boolean; isHeal: boolean },
  ): InFlight {
    const startedMs = this.dependencies.nowMs()
    if (this.inFlight.length === 0) this.lastAnswerMs = startedMs
    if (!isHeal && this.freshInFlight === 0) this.lastFreshAnswerMs = startedMs
    const entry: InFlight = { batch, startedMs, windowWasFull, isHeal, overtakenAtMs: undefined }
    this.inFlight.push(entry)
    return entry
  }

  private get freshInFlight(): number {
    return this.inFlight.length - (this.healInFlight === undefined ? 0 : 1)
  }

  private sendSlice(stream: Stream): void {
    const bytes = this.current!
    const end = Math.min(this.currentOffset + SLICE_BYTES, bytes.length)
    const slice = bytes.subarray(this.currentOffset, end)
    this.currentOffset = end
    if (end === bytes.length) {
      this.current = undefined
      this.inFlight.at(-1)!.batch.setState(this.dependencies.peer, PEER_STATE.sent)
    }
    this.handlers.onSent(slice.length)
    // If the stream is gone, its `close` event detaches it.
    sendOn(stream, slice)
  }
}
