/**
 * Synchronizer: finds the batches that the primary misses.
 *
 * In: `Synchronize(digests, target)` and `Cleanup(round)` from the primary. What is stored is reported again; what is
 * not is requested from the target, and after `sync_retry_delay` from `sync_retry_nodes` others at random, until it
 * comes or is older than `gc_depth` rounds. What comes is stored only if it has the digest that was asked for.
 *
 * A primary that says what is committed has no Cleanups, and asks again for what it still misses: a digest is looked for as
 * long as it does that. Headers can list batches that do not exist, so each target has a share of what is looked for.
 *
 * Replies of each peer have slots of their own. A peer that sends a byte now and then holds up its own replies only;
 * the batches that it was asked for come from others. While a peer goes on sending batches, what waits behind them is asked
 * of nobody else, up to a limit: after a long absence the same batches would come from several peers.
 *
 * Source: asonnino/narwhal worker/src/synchronizer.rs.
 */

import type { Stream } from '@libp2p/interface'
import {
  BATCH_HEADER_BYTES,
  DIGEST_BYTES,
  PUBLIC_KEY_BYTES,
  REQUEST_DIGESTS_MAX,
  SYNC_PENDING_MAX,
} from '../../../shared/constants.js'
import { NarvalError } from '../../../shared/errors.js'
import { copyBytes } from '../../../shared/memory/copy-bytes.js'
import type { InboundWork } from '../../../shared/memory/dialogue/processor.js'
import type { Arena } from '../../../shared/memory/slots.js'
import type { PeerRefusal } from '../../../shared/refusals.js'
import { digestKey } from '../../../shared/wire/digest-key.js'
import { encodeFrameOf } from '../../../shared/wire/frames.js'
import { decodeDigests, encodeDigests } from '../../../shared/wire/sync-messages.js'
import { SlotPool } from '../../lib/slot-pool.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import { collect, type FrameSink, type FrameStream, type Refused } from '../../network/frame-stream.js'
import { sendOn } from '../../network/hand-over.js'
import { widenWindow } from '../../network/lean-yamux.js'
import type { Router } from '../../network/router.js'
import type { ProcessorClient } from '../../thread-host/processor-client.js'
import type { InboundDone } from '../inbound/inbound-batches.js'
import type { ReportedBatch } from '../primary-link/primary-link.js'
import { REQUEST_BYTES_MAX, REQUESTS_OPEN_MAX, SYNC_LOOKUPS_MAX, SYNC_PATIENCE_DELAYS, SYNC_TICK_MS } from './limits.js'
import { type PendingDigest, PendingDigests } from './pending-digests.js'

export interface SynchronizerOptions {
  readonly batchBytesMax: number
  readonly syncRetryDelayMs: number
  readonly syncRetryNodes: number
  readonly gcDepthRounds: number
  /** Given where the primary asks again: what it has not asked for in so many ms is given up. */
  readonly unnamedMs?: number | undefined
  /** Authority indices of the others. */
  readonly peers: readonly number[]
  /** Where our part of the arena begins: so many slots for each peer, in their order. */
  readonly firstSlot: number
  readonly slotsPerPeer: number
}

export interface SynchronizerDependencies {
  /** Takes what a timer or a request that nobody waits for throws. */
  readonly supervisor?: Supervisor
  readonly arena: Arena
  readonly processor: Pick<ProcessorClient, 'ask'>
  readonly router: Pick<Router, 'open'>
  readonly toProcessor: (work: InboundWork) => void
  /** The authority index of a public key; -1 for none. */
  readonly indexOf: (publicKey: Uint8Array) => number
  /** Opens a sync stream to a peer; undefined if it is not connected. */
  readonly openStream: (peer: number) => Promise<Stream | undefined>
  /** False while the store takes no batches: what came would be thrown away, and asked for again. */
  readonly mayStore: () => boolean
  readonly nowMs: () => number
  /** A number in [0, 1). */
  readonly random: () => number
}

export interface SynchronizerHandlers {
  /** The batch is stored: the primary is to be told. */
  readonly onStored: (batch: ReportedBatch) => void
  readonly onRefused: (peer: number, refusal: PeerRefusal, detail: string) => void
  /** So many digests of a Synchronize are not looked up, since too many others are. */
  readonly onOverrun: (digestCount: number) => void
  readonly onReceived: (peer: number, bytes: number) => void
  readonly onSlotFree: (slot: number) => void
}

interface Request {
  readonly peer: number
  /** What was neither sent nor named as missing. */
  readonly wanted: Map<string, Uint8Array>
  /** What was not sent. */
  readonly unsent: Map<string, Uint8Array>
  /** The list of what is missing has come: nothing may follow. */
  isAnswered: boolean
}

/** Digest and author, in front of the batch in a reply. */
const FOUND_HEAD_BYTES = DIGEST_BYTES + PUBLIC_KEY_BYTES
/** Digests looked up in the store at once: a large Synchronize must not hold up the batches that are being stored. */
const FIND_CHUNK = 512

export class Synchronizer {
  private readonly options: SynchronizerOptions
  private readonly dependencies: SynchronizerDependencies
  private readonly supervisor: Supervisor
  private readonly handlers: SynchronizerHandlers
  private readonly pending: PendingDigests
  /** Digests that are being looked up in the store: at most SYNC_LOOKUPS_MAX. */
  private lookups = 0
  /** What each peer is to be asked for when it has a place free; each digest once, at most SYNC_PENDING_MAX. */
  private readonly queues = new Map<number, Map<string, Uint8Array>>()
  private readonly open = new Map<number, number>()
  /** When each peer last sent a batch that it was asked for. */
  private readonly sentMs = new Map<number, number>()
  private readonly pools = new Map<number, SlotPool>()
  /** Streams with a found batch and no slot for it, by peer; of each at most REQUESTS_OPEN_MAX. */
  private readonly waiting = new Map<number, Set<FrameStream>>()
  private readonly timer: NodeJS.Timeout
  private round = 0n
  private isClosed = false

  constructor(options: SynchronizerOptions, dependencies: SynchronizerDependencies, handlers: SynchronizerHandlers) {
    this.options = options
    this.dependencies = dependencies
    this.handlers = handlers
    const share = Math.floor(SYNC_PENDING_MAX / (options.peers.length + 1))
    this.pending = new PendingDigests(SYNC_PENDING_MAX, options.unnamedMs === undefined ? undefined : share)
    for (const [rank, peer] of options.peers.entries()) {
      this.pools.set(peer, new SlotPool(options.firstSlot + rank * options.slotsPerPeer, options.slotsPerPeer))
      this.waiting.set(peer, new Set())
    }
    this.supervisor = dependencies.supervisor ?? unsupervised
    this.timer = setInterval(
      this.supervisor.guard('the synchronizer', () => this.tick()),
      SYNC_TICK_MS,
    )
  }

  get pendingCount(): number {
    return this.pending.size
  }

  /** Slots that are free, over all peers. */
  get slotsFree(): number {
    let free = 0
    for (const pool of this.pools.values()) free += pool.available
    return free
  }

  /** The primary misses these batches of `target`'s. */
  async synchronize(digests: readonly Uint8Array[], target: number): Promise<void> {
    if (this.lookups + digests.length > SYNC_LOOKUPS_MAX) {
      this.handlers.onOverrun(digests.length)
      return
    }
    this.lookups += digests.length
    try {
      await this.lookUp(digests, target)
    } finally {
      this.lookups -= digests.length
    }
    this.tick()
  }

  private async lookUp(digests: readonly Uint8Array[], target: number): Promise<void> {
    for (let at = 0; at < digests.length; at += FIND_CHUNK) {
      const chunk = digests.slice(at, at + FIND_CHUNK)
      const found = await this.dependencies.processor.ask({ type: 'find', digests: chunk, touch: true })
      for (const [index, digest] of chunk.entries()) {
        const stored = found[index]
        if (stored === undefined) {
          this.pending.add(digest, target, this.round, this.dependencies.nowMs())
          continue
        }
        // One whose author is not in the committee any more is of no use to the primary.
        const author = this.dependencies.indexOf(stored.author)
        const { isDelivered, sequence } = stored
        if (author !== -1) this.handlers.onStored({ digest, author, sequence, isDelivered })
      }
    }
  }

  cleanup(round: bigint): void {
    if (round > this.round) this.round = round
    // A stamp is no round of a primary that asks again.
    if (this.options.unnamedMs !== undefined) return
    this.pending.cleanup(this.round, BigInt(this.options.gcDepthRounds))
    this.unqueue()
  }

  /**
   * Digests that are no longer looked for are skipped when a request is made. That may be long after, so they are also
   * removed here: they must not pile up.
   */
  private unqueue(): void {
    for (const queue of this.queues.values()) {
      for (const [key, digest] of queue) if (this.pending.get(digest) === undefined) queue.delete(key)
    }
  }

  /** The batch came by another way: nobody needs to look for it. */
  onStoredElsewhere(digest: Uint8Array): void {
    this.pending.delete(digest)
  }

  /** The processor is done with a slot of ours. */
  onDone(done: InboundDone): void {
    if (done.status === 'ok') {
      this.pending.delete(done.digest)
      this.handlers.onStored({ ...done, isDelivered: done.peer === done.author })
    } else if (done.status === 'not-as-asked' || done.status === 'invalid') {
      this.handlers.onRefused(done.peer, 'reply-not-asked', `a batch that is ${done.status}`)
    }
    this.freeSlot(done.peer, done.slot)
  }

  owns(slot: number): boolean {
    return slot >= this.options.firstSlot
  }

  close(): void {
    this.isClosed = true
    clearInterval(this.timer)
  }

  private tick(): void {
    const { mayStore, nowMs } = this.dependencies
    const { unnamedMs } = this.options
    if (unnamedMs !== undefined) {
      this.pending.forget(nowMs() - unnamedMs)
      this.unqueue()
    }
    if (!mayStore()) return
    const { syncRetryDelayMs: retryMs } = this.options
    const { first, again } = this.pending.takeDue(nowMs(), {
      retryMs,
      longestMs: SYNC_PATIENCE_DELAYS * retryMs,
      sentMs: (peer) => this.sentMs.get(peer) ?? Number.NEGATIVE_INFINITY,
    })
    for (const entry of first) this.want(entry.target, entry)
    for (const entry of again) {
      for (const peer of this.lot(this.options.syncRetryNodes)) this.want(peer, entry)
    }
    for (const peer of this.queues.keys()) this.next(peer)
  }

  private want(peer: number, { digest }: PendingDigest): void {
    if (!this.options.peers.includes(peer)) return
    const queue = this.queues.get(peer) ?? new Map<string, Uint8Array>()
    this.queues.set(peer, queue)
    queue.set(digestKey(digest), digest)
  }

  /** Takes the next request out of a peer's queue; what came meanwhile by another way is left out. */
  private takeRequest(peer: number): Uint8Array[] {
    const queue = this.queues.get(peer)
    const digests: Uint8Array[] = []
    for (const [key, digest] of queue ?? []) {
      if (digests.length === REQUEST_DIGESTS_MAX) break
      queue!.delete(key)
      if (this.pending.get(digest) !== undefined) digests.push(digest)
    }
    return digests
  }

  /** `count` of the peers, drawn without putting back. */
  private lot(count: number): number[] {
    const left = [...this.options.peers]
    const drawn: number[] = []
    while (drawn.length < count && left.length > 0) {
      drawn.push(...left.splice(Math.floor(this.dependencies.random() * left.length), 1))
    }
    return drawn
  }

  private next(peer: number): void {
    while (!this.isClosed && (this.open.get(peer) ?? 0) < REQUESTS_OPEN_MAX && this.dependencies.mayStore()) {
      const digests = this.takeRequest(peer)
      if (digests.length === 0) return
      this.open.set(peer, (this.open.get(peer) ?? 0) + 1)
      const over = this.request(peer, digests).then((isOver) => {
        this.open.set(peer, this.open.get(peer)! - 1)
        // One that is not connected is looked at again with the next tick.
        if (isOver) this.next(peer)
        else this.requeue(peer, digests)
      })
      this.supervisor.watch('a batch request', over)
    }
  }

  /** In front of what else it is to be asked for. */
  private requeue(peer: number, digests: readonly Uint8Array[]): void {
    const queue = this.queues.get(peer)!
    const rest = [...queue]
    queue.clear()
    for (const digest of digests) queue.set(digestKey(digest), digest)
    for (const [key, digest] of rest) queue.set(key, digest)
  }

  /** One request on a stream of its own; over when the stream is. False if the peer cannot be asked now. */
  private async request(peer: number, digests: readonly Uint8Array[]): Promise<boolean> {
    const stream = await this.dependencies.openStream(peer).catch(() => undefined)
    if (stream === undefined) return false
    widenWindow(stream)
    const all = digests.map((digest) => [digestKey(digest), digest] as const)
    const request: Request = {
      peer,
      wanted: new Map(all),
      unsent: new Map(all),
      isAnswered: false,
    }
    await new Promise<void>((resolve) => {
      const frames = this.dependencies.router.open(peer, stream, (frames) => ({
        stream: 'our-request',
        // A peer that never replies must not keep its places for ever.
        owesFrames: true,
        found: (bytes) => this.takeFound(request, frames, bytes),
        missing: (bytes) => this.takeMissing(request, frames, bytes),
        onEnd: () => frames.abort('the reply is over'),
        onClosed: () => {
          this.waiting.get(peer)!.delete(frames)
          for (const digest of request.unsent.values()) this.pending.notSent(digest, peer)
          resolve()
        },
      }))
      // The peer may have reset the stream as soon as it was open.
      const isSent = sendOn(stream, encodeFrameOf('request', encodeDigests(digests)))
      if (!isSent) frames.abort('the stream was closed as it was opened')
    })
    return true
  }

  private takeFound(request: Request, frames: FrameStream, payloadBytes: number): FrameSink | 'wait' | Refused {
    const byteLength = payloadBytes - FOUND_HEAD_BYTES
    if (byteLength < BATCH_HEADER_BYTES || byteLength > this.options.batchBytesMax) {
      return { refused: 'reply-malformed', detail: `a batch of ${byteLength} bytes` }
    }
    if (request.wanted.size === 0) return { refused: 'reply-not-asked', detail: 'more batches than digests' }
    const { peer } = request
    const slot = this.pools.get(peer)!.take()
    if (slot === undefined) {
      this.waiting.get(peer)!.add(frames)
      return 'wait'
    }
    const head = new Uint8Array(FOUND_HEAD_BYTES)
    const bytes = this.dependencies.arena.batch(slot, byteLength)
    let length = 0
    return {
      write: (piece) => {
        this.handlers.onReceived(peer, piece.length)
        const ofHead = Math.min(piece.length, Math.max(0, FOUND_HEAD_BYTES - length))
        if (ofHead > 0) head.set(piece.subarray(0, ofHead), length)
        if (ofHead < piece.length) copyBytes(piece.subarray(ofHead), bytes, Math.max(0, length - FOUND_HEAD_BYTES))
        length += piece.length
      },
      end: () => {
        const digest = head.slice(0, DIGEST_BYTES)
        const author = this.dependencies.indexOf(head.subarray(DIGEST_BYTES))
        if (author === -1 || !request.wanted.delete(digestKey(digest))) {
          this.freeSlot(peer, slot)
          return author === -1
            ? { refused: 'reply-unknown-author', detail: 'its author is not in the committee' }
            : { refused: 'reply-not-asked', detail: 'a batch that was not asked for' }
        }
        request.unsent.delete(digestKey(digest))
        this.sentMs.set(peer, this.dependencies.nowMs())
        this.dependencies.toProcessor({
          kind: 'inbound',
          slot,
          peer,
          author,
          byteLength,
          expected: digest,
        })
        return undefined
      },
      abort: () => this.freeSlot(peer, slot),
    }
  }

  /** What the peer does not have is asked of others when it is due again. */
  private takeMissing(request: Request, frames: FrameStream, payloadBytes: number): FrameSink | Refused {
    if (request.isAnswered) return { refused: 'reply-malformed', detail: 'a second list of what is missing' }
    request.isAnswered = true
    if (payloadBytes > REQUEST_BYTES_MAX) return { refused: 'reply-malformed', detail: `${payloadBytes} bytes` }
    return collect(payloadBytes, (payload) => {
      const refused = accountFor(request.wanted, payload)
      if (refused !== undefined) return refused
      // A stream that cannot be closed is gone.
      frames.stream.close().catch(() => {})
      return undefined
    })
  }

  private freeSlot(peer: number, slot: number): void {
    this.handlers.onSlotFree(slot)
    this.pools.get(peer)!.give(slot)
    const waiting = this.waiting.get(peer)!
    const [frames] = waiting
    if (frames === undefined) return
    waiting.delete(frames)
    frames.retry()
  }
}

/** The end of a reply names all that was not sent, and nothing else. */
function accountFor(wanted: Map<string, Uint8Array>, missing: Uint8Array): Refused | undefined {
  try {
    for (const digest of decodeDigests(missing)) {
      if (wanted.delete(digestKey(digest))) continue
      return { refused: 'reply-not-asked', detail: 'a missing batch that was not asked for, or was sent' }
    }
  } catch (error) {
    if (!(error instanceof NarvalError)) throw error
    return { refused: 'reply-malformed', detail: error.message }
  }
  if (wanted.size === 0) return undefined
  return { refused: 'reply-malformed', detail: `${wanted.size} batches are neither sent nor named as missing` }
}
