/**
 * Batches of the others: from a peer's stream into a slot of that peer's, to the processor, and an ACK back when the
 * processor says that it is stored.
 *
 * Each peer has its own slots: one that sends faster than we store waits on its own stream, and on nobody else's. Each
 * has its own rate of small batches too (limits.ts): slots bound bytes, and small batches cost more than their bytes.
 */

import { ACK_BYTES, BATCH_FRAME_HEADER_BYTES, BATCH_HEADER_BYTES, FRAME_STALL_MS } from '../../../shared/constants.js'
import { copyBytes } from '../../../shared/memory/copy-bytes.js'
import type { InboundWork, ProcessorToMain } from '../../../shared/memory/dialogue/processor.js'
import type { Arena } from '../../../shared/memory/slots.js'
import type { PeerRefusal } from '../../../shared/refusals.js'
import { TokenBucket } from '../../../shared/token-bucket.js'
import { ACK_LEVELS, ACK_STATUSES, type AckLevel, writeAck } from '../../../shared/wire/ack.js'
import { FRAME_TYPES, writeFrameHeader } from '../../../shared/wire/frames.js'
import { SlotPool } from '../../lib/slot-pool.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import type { FrameSink, FrameStream, Refused } from '../../network/frame-stream.js'
import { sendOn, takesMore } from '../../network/hand-over.js'
import { widenWindow } from '../../network/lean-yamux.js'
import type { SessionOf } from '../../network/router.js'
import { ACK_BYTES_UNREAD_MAX, SMALL_BATCH_BYTES, SMALL_BATCHES_BURST, SMALL_BATCHES_PER_SECOND } from './limits.js'

export type InboundDone = Extract<ProcessorToMain, { kind: 'inbound-done' }>

export interface InboundBatchesOptions {
  readonly batchBytesMax: number
  readonly ackLevel: AckLevel
  /** Authority indices of the others, and the slots of each. */
  readonly peers: readonly number[]
  readonly slotsPerPeer: number
  /** FRAME_STALL_MS unless given. */
  readonly frameStallMs?: number
  /** SMALL_BATCHES_PER_SECOND unless given. */
  readonly smallBatchesPerSecond?: number
}

export interface InboundBatchesDependencies {
  /** Takes what the streams' events throw. */
  readonly supervisor?: Supervisor
  readonly arena: Arena
  readonly toProcessor: (work: InboundWork) => void
}

export interface InboundBatchesHandlers {
  readonly onReceived: (peer: number, bytes: number) => void
  readonly onRefused: (peer: number, refusal: PeerRefusal, detail: string) => void
  readonly onSlotFree: (slot: number) => void
}

/** One stream on which a peer sends its batches. */
interface InboundStream {
  readonly peer: number
  readonly frames: FrameStream
  /** ACK frames that go out together when the stream takes more. At most ACK_BYTES_UNREAD_MAX, and those of a turn. */
  readonly acks: Uint8Array[]
  /** Batches of this stream that the processor has: each is owed an ACK. */
  owed: number
  /** Asks the stream again when the peer may send a small batch. */
  pause: NodeJS.Timeout | undefined
  /** The peer has ended its side, and all its batches were taken: ours ends when no ACK is owed. */
  ended: boolean
}

/** ms until a stream whose peer has sent too many small batches is asked again: some come at once then. */
const PACE_MS = 20

const ACK_FRAME_BYTES = BATCH_FRAME_HEADER_BYTES + ACK_BYTES

export class InboundBatches {
  private readonly options: InboundBatchesOptions
  private readonly dependencies: InboundBatchesDependencies
  private readonly handlers: InboundBatchesHandlers
  private readonly pools = new Map<number, SlotPool>()
  /** Small batches that each peer may send, over all streams that it opens. */
  private readonly paces = new Map<number, TokenBucket>()
  private readonly streams = new Map<number, InboundStream>()
  /** The stream that each slot was filled from, while the processor has it. */
  private readonly origins = new Map<number, InboundStream>()
  private readonly toFlush = new Set<InboundStream>()

  constructor(
    options: InboundBatchesOptions,
    dependencies: InboundBatchesDependencies,
    handlers: InboundBatchesHandlers,
  ) {
    this.options = options
    this.dependencies = dependencies
    this.handlers = handlers
    for (const [rank, peer] of options.peers.entries()) {
      this.pools.set(peer, new SlotPool(rank * options.slotsPerPeer, options.slotsPerPeer))
      this.paces.set(
        peer,
        new TokenBucket(options.smallBatchesPerSecond ?? SMALL_BATCHES_PER_SECOND, SMALL_BATCHES_BURST),
      )
    }
  }

  /** Slots that are free, over all peers. */
  get slotsFree(): number {
    let free = 0
    for (const pool of this.pools.values()) free += pool.available
    return free
  }

  /** A verified peer opened a batch stream; it replaces an older one, and frees what that held. */
  accept(peer: number, frames: FrameStream): SessionOf<'their-batches'> {
    this.streams.get(peer)?.frames.abort('replaced by a newer stream')
    const { stream } = frames
    const inbound: InboundStream = { peer, acks: [], owed: 0, pause: undefined, ended: false, frames }
    this.streams.set(peer, inbound)
    // The stream dispatches `idle` in the middle of its own sending. What is sent at that moment would stay in the
    // stream, so the ACKs are sent in a microtask.
    const { guard } = this.dependencies.supervisor ?? unsupervised
    const send = guard('acknowledging', () => this.sendAcks(inbound))
    const onRoom = guard('acknowledging', () => {
      if (inbound.acks.length > 0) queueMicrotask(send)
    })
    widenWindow(stream)
    stream.addEventListener('drain', onRoom)
    stream.addEventListener('idle', onRoom)
    return {
      stream: 'their-batches',
      stallMs: this.options.frameStallMs ?? FRAME_STALL_MS,
      batch: (payloadBytes) => this.begin(inbound, payloadBytes),
      onEnd: () => {
        inbound.ended = true
        this.endIfDone(inbound)
      },
      onClosed: () => {
        clearTimeout(inbound.pause)
        if (this.streams.get(peer) === inbound) this.streams.delete(peer)
      },
    }
  }

  /** The processor is done with a slot of a peer's: the peer is told, and the slot is free. */
  onDone(done: InboundDone): void {
    const origin = this.origins.get(done.slot)!
    this.origins.delete(done.slot)
    origin.owed -= 1
    if (!origin.frames.isClosed) {
      origin.acks.push(this.ackFrame(done))
      this.toFlush.add(origin)
    }
    this.free(origin.peer, done.slot)
  }

  /** Sends the ACKs of this turn: one write per stream. */
  flush(): void {
    for (const inbound of this.toFlush) this.sendAcks(inbound)
    this.toFlush.clear()
  }

  /**
   * What the stream does not take now stays here, where it is counted: a peer that opens its window and reads nothing
   * would have it pile up below the stream (hand-over.ts).
   */
  private sendAcks(inbound: InboundStream): void {
    const { acks, frames, peer } = inbound
    if (frames.isClosed || frames.stream.writeStatus !== 'writable') acks.length = 0
    if (acks.length === 0) return
    if (takesMore(frames.stream)) {
      const bytes = acks.length === 1 ? acks[0]! : Buffer.concat(acks)
      // Emptied first: `send` dispatches events that lead back here.
      acks.length = 0
      sendOn(frames.stream, bytes)
    }
    this.endIfDone(inbound)
    if (frames.stream.writeBufferLength + acks.length * ACK_FRAME_BYTES <= ACK_BYTES_UNREAD_MAX) return
    this.handlers.onRefused(peer, 'ack-unread', `more than ${ACK_BYTES_UNREAD_MAX} bytes of ACKs`)
    frames.abort('ACKs are not read')
  }

  private endIfDone({ acks, ended, frames, owed }: InboundStream): void {
    if (!ended || owed > 0 || acks.length > 0 || frames.isClosed) return
    // What the stream holds goes out first; a peer that does not take it keeps no stream for it.
    const { stream } = frames
    const { supervisor = unsupervised } = this.dependencies
    const closed = stream.close({ signal: AbortSignal.timeout(this.options.frameStallMs ?? FRAME_STALL_MS) })
    supervisor.watch(
      'the end of a batch stream',
      closed.catch(() => frames.abort('the last ACKs are not read')),
    )
  }

  private begin(inbound: InboundStream, payloadBytes: number): FrameSink | 'wait' | Refused {
    const { batchBytesMax } = this.options
    if (payloadBytes > batchBytesMax) {
      return { refused: 'batch-too-long', detail: `${payloadBytes} bytes, at most ${batchBytesMax}` }
    }
    if (payloadBytes < BATCH_HEADER_BYTES) {
      return { refused: 'batch-too-short', detail: `${payloadBytes} bytes, at least ${BATCH_HEADER_BYTES}` }
    }
    const pool = this.pools.get(inbound.peer)!
    if (pool.available === 0 || !this.paced(inbound, payloadBytes)) return 'wait'
    const slot = pool.take()!
    const bytes = this.dependencies.arena.batch(slot, payloadBytes)
    let length = 0
    return {
      write: (piece) => {
        copyBytes(piece, bytes, length)
        length += piece.length
        this.handlers.onReceived(inbound.peer, piece.length)
      },
      end: () => {
        this.origins.set(slot, inbound)
        inbound.owed += 1
        const { peer } = inbound
        this.dependencies.toProcessor({
          kind: 'inbound',
          slot,
          peer,
          author: peer,
          byteLength: payloadBytes,
          expected: null,
        })
        return undefined
      },
      abort: () => this.free(inbound.peer, slot),
    }
  }

  /** Whether the peer may send this batch now. If not, its stream is asked again when it may. */
  private paced(inbound: InboundStream, payloadBytes: number): boolean {
    if (payloadBytes >= Math.min(SMALL_BATCH_BYTES, this.options.batchBytesMax / 2)) return true
    const { peer } = inbound
    if (this.paces.get(peer)!.tryTake(1, performance.now())) return true
    if (inbound.pause === undefined) {
      const { guard } = this.dependencies.supervisor ?? unsupervised
      const again = guard('a batch that waited for its time', () => {
        inbound.pause = undefined
        inbound.frames.retry()
      })
      inbound.pause = setTimeout(again, PACE_MS)
    }
    return false
  }

  private free(peer: number, slot: number): void {
    this.handlers.onSlotFree(slot)
    this.pools.get(peer)!.give(slot)
    this.streams.get(peer)?.frames.retry()
  }

  private ackFrame(done: InboundDone): Uint8Array {
    const frame = new Uint8Array(ACK_FRAME_BYTES)
    const status = done.status === 'not-as-asked' ? 'invalid' : done.status
    writeFrameHeader(frame, 0, FRAME_TYPES.ack, ACK_BYTES)
    writeAck(
      frame,
      BATCH_FRAME_HEADER_BYTES,
      done.sequence,
      done.digest,
      ACK_LEVELS[this.options.ackLevel],
      ACK_STATUSES[status],
      done.used,
    )
    return frame
  }
}
