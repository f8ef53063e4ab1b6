/**
 * Helper: answers the batch requests of other workers from the store, and says which batches it does not have.
 *
 * Each peer may have a few requests open, of a few digests each, and gets so many bytes a second; the rest of its
 * requests wait their turn on its own streams. Of each reply one batch is in memory, and one slice of it in the stream;
 * of all replies together there are REPLY_BYTES_MAX. A request keeps its place until its reply is handed over; and it keeps
 * the place, and its share of that memory, until the memory is free again, also when its stream is reset long before.
 *
 * Source: asonnino/narwhal worker/src/helper.rs.
 */
import type { Stream } from '@libp2p/interface'
import {
  BATCH_FRAME_HEADER_BYTES,
  DIGEST_BYTES,
  FRAME_STALL_MS,
  PUBLIC_KEY_BYTES,
  SLICE_BYTES,
} from '../../../shared/constants.js'
import { NarvalError } from '../../../shared/errors.js'
import type { PeerRefusal } from '../../../shared/refusals.js'
import { TokenBucket } from '../../../shared/token-bucket.js'
import { encodeFrameOf, FRAME_TYPES, writeFrameHeader } from '../../../shared/wire/frames.js'
import { decodeDigests, encodeDigests } from '../../../shared/wire/sync-messages.js'
import { sleep } from '../../lib/sleep.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import { collect, type FrameSink, type FrameStream, type Refused } from '../../network/frame-stream.js'
import { handOver, PeerStalledError, StreamGoneError } from '../../network/hand-over.js'
import type { SessionOf } from '../../network/router.js'
import type { ProcessorClient } from '../../thread-host/processor-client.js'
import {
  HELPER_BYTES_PER_SECOND,
  LOOKUP_BYTES,
  REPLY_BYTES_MAX,
  REPLY_BYTES_PER_S_MIN,
  REPLY_HELD_MS,
  REQUEST_BYTES_MAX,
  REQUEST_WHOLE_MS,
  REQUESTS_OPEN_MAX,
} from './limits.js'
import { ReplyMemory } from './reply-memory.js'

export interface HelperOptions {
  /** Larger batches, of an earlier setting, are said to be missing: who asks has no room for them. */
  readonly batchBytesMax: number
  /** A slice of a reply must be taken within this; FRAME_STALL_MS unless given. */
  readonly stallMs?: number
  /** A request must be there whole within this; REQUEST_WHOLE_MS unless given. */
  readonly requestMs?: number
  /** How long a reply may hold a batch while others wait; of REPLY_HELD_MS and REPLY_BYTES_PER_S_MIN unless given. */
  readonly heldMs?: number
  /** Of each peer, averaged over BURST_SECONDS; HELPER_BYTES_PER_SECOND unless given. */
  readonly bytesPerSecond?: number
}

export interface HelperDependencies {
  /** Takes the failure of a reply that nobody waits for. */
  readonly supervisor?: Supervisor
  readonly processor: Pick<ProcessorClient, 'ask'>
}

export interface HelperHandlers {
  readonly onServed: (peer: number, found: number, missing: number) => void
  readonly onRefused: (peer: number, refusal: PeerRefusal, detail: string) => void
}

interface Reply {
  readonly peer: number
  readonly frames: FrameStream
  /** Aborted when the stream is gone. */
  readonly gone: AbortController
  /** Until the request is whole, and after the reply until the peer has ended its side. */
  timer: NodeJS.Timeout | undefined
  /** The request is whole: the reply keeps its place until all is handed over, or nothing of it is in memory any more. */
  isServing: boolean
  hasPlace: boolean
  onGranted: (() => void) | undefined
}

const BURST_SECONDS = 10
/** How often to look, while replies wait for memory, whether another has held its part for too long. */
const OVERDUE_CHECKS = 5

export class Helper {
  private readonly options: Required<HelperOptions>
  private readonly dependencies: HelperDependencies
  private readonly handlers: HelperHandlers
  private readonly memory: ReplyMemory<Reply>
  private readonly open = new Map<number, number>()
  private readonly buckets = new Map<number, TokenBucket>()
  private overdueTimer: NodeJS.Timeout | undefined

  constructor(options: HelperOptions, dependencies: HelperDependencies, handlers: HelperHandlers) {
    const heldMs = REPLY_HELD_MS + (options.batchBytesMax / REPLY_BYTES_PER_S_MIN) * 1000
    this.options = {
      stallMs: FRAME_STALL_MS,
      requestMs: REQUEST_WHOLE_MS,
      heldMs,
      bytesPerSecond: HELPER_BYTES_PER_SECOND,
      ...options,
    }
    this.dependencies = dependencies
    this.handlers = handlers
    const batchesMax = Math.max(1, Math.floor(REPLY_BYTES_MAX / options.batchBytesMax))
    this.memory = new ReplyMemory({ batchesMax, heldMs: this.options.heldMs }, (reply) => reply.onGranted?.())
  }

  /** Batches that are in memory for replies. */
  get batchesHeld(): number {
    return this.memory.held
  }

  /** A verified peer opened a sync stream: one request, one reply. */
  accept(peer: number, frames: FrameStream): SessionOf<'their-request'> | undefined {
    const openNow = (this.open.get(peer) ?? 0) + 1
    if (openNow > REQUESTS_OPEN_MAX) {
      this.handlers.onRefused(peer, 'request-rate', `${openNow} requests at once, at most ${REQUESTS_OPEN_MAX}`)
      frames.abort('request-rate')
      return undefined
    }
    this.open.set(peer, openNow)
    const { requestMs } = this.options
    const { guard } = this.dependencies.supervisor ?? unsupervised
    const onLate = guard('a late request', () =>
      this.giveUp(reply, 'request-late', `no request within ${requestMs} ms`),
    )
    const reply: Reply = {
      peer,
      frames,
      gone: new AbortController(),
      timer: setTimeout(onLate, requestMs),
      isServing: false,
      hasPlace: true,
      onGranted: undefined,
    }
    let asked = false
    return {
      stream: 'their-request',
      request: (payloadBytes) => {
        if (asked) return { refused: 'request-rate', detail: 'one request for each stream' }
        asked = true
        return this.takeRequest(reply, payloadBytes)
      },
      onClosed: () => {
        clearTimeout(reply.timer)
        reply.gone.abort(new StreamGoneError('the stream is gone'))
        if (!reply.isServing) this.giveBack(reply)
      },
    }
  }

  private takeRequest(reply: Reply, payloadBytes: number): FrameSink | Refused {
    if (payloadBytes > REQUEST_BYTES_MAX) {
      return { refused: 'request-too-many-digests', detail: `${payloadBytes} bytes, at most ${REQUEST_BYTES_MAX}` }
    }
    return collect(payloadBytes, (payload) => {
      const digests = decodeRequest(payload)
      if ('refused' in digests) return digests
      clearTimeout(reply.timer)
      reply.isServing = true
      const { supervisor = unsupervised } = this.dependencies
      supervisor.watch(
        'a reply',
        this.serve(reply, digests).finally(() => this.giveBack(reply)),
      )
      return undefined
    })
  }

  /** Once it has all of its reply the peer may ask again, before the end of its stream has come to us. */
  private giveBack(reply: Reply): void {
    if (!reply.hasPlace) return
    reply.hasPlace = false
    const left = this.open.get(reply.peer)! - 1
    if (left === 0) this.open.delete(reply.peer)
    else this.open.set(reply.peer, left)
  }

  private giveUp({ frames, peer }: Reply, refusal: PeerRefusal, detail: string): void {
    if (frames.isClosed) return
    this.handlers.onRefused(peer, refusal, detail)
    frames.abort(`${refusal}: ${detail}`)
  }

  private async serve(reply: Reply, digests: readonly Uint8Array[]): Promise<void> {
    const { frames, peer } = reply
    const { stream } = frames
    const { stallMs } = this.options
    const missing: Uint8Array[] = []
    try {
      for (const digest of digests) {
        await this.pace(reply)
        if (!(await this.sendBatch(reply, digest))) missing.push(digest)
      }
      await handOver(stream, encodeFrameOf('missing', encodeDigests(missing)), stallMs)
      await stream.close({ signal: AbortSignal.timeout(stallMs) }).catch((error: Error) => {
        throw new StreamGoneError(error.message)
      })
    } catch (error) {
      if (!endsReply(error)) throw error
      if (error instanceof PeerStalledError) this.handlers.onRefused(peer, 'reply-unread', error.message)
      frames.abort(error.message)
      return
    }
    this.handlers.onServed(peer, digests.length - missing.length, missing.length)
    // A peer that does not end its side is not waited for.
    const { guard } = this.dependencies.supervisor ?? unsupervised
    const abort = guard('the end of a reply', () => frames.abort('the reply is over'))
    if (!frames.isClosed) reply.timer = setTimeout(abort, stallMs)
  }

  /** Sends a batch if it is here. It is in memory while this runs, and no longer. */
  private async sendBatch(reply: Reply, digest: Uint8Array): Promise<boolean> {
    await this.takeMemory(reply)
    try {
      const stored = await this.dependencies.processor.ask({ type: 'get', digest })
      // What was read counts in the peer's rate, even if the peer is gone meanwhile.
      this.bucketOf(reply.peer).take(stored?.bytes.length ?? LOOKUP_BYTES, performance.now())
      reply.gone.signal.throwIfAborted()
      if (stored === undefined || stored.bytes.length > this.options.batchBytesMax) return false
      await this.sendFound(reply.frames.stream, digest, stored.author, stored.bytes)
      return true
    } finally {
      this.memory.give(reply, performance.now())
    }
  }

  private async takeMemory(reply: Reply): Promise<void> {
    reply.gone.signal.throwIfAborted()
    if (this.memory.take(reply, reply.peer, performance.now())) return
    this.watchOverdue()
    await new Promise<void>((resolve, reject) => {
      const { guard } = this.dependencies.supervisor ?? unsupervised
      const onGone = guard('the end of a reply', () => {
        this.memory.give(reply, performance.now())
        reject(reply.gone.signal.reason)
      })
      reply.onGranted = () => {
        reply.gone.signal.removeEventListener('abort', onGone)
        resolve()
      }
      reply.gone.signal.addEventListener('abort', onGone)
    })
  }

  /** While somebody waits, those that have held a batch for too long give way. */
  private watchOverdue(): void {
    if (this.overdueTimer !== undefined) return
    const { guard } = this.dependencies.supervisor ?? unsupervised
    const look = guard('replies that wait', () => {
      const { heldMs } = this.options
      const reply = this.memory.overdue(performance.now())
      if (reply !== undefined) {
        this.giveUp(reply, 'reply-unread', `a batch was not taken within ${heldMs} ms, and others wait for its memory`)
      } else if (this.memory.waits === 0) {
        clearInterval(this.overdueTimer)
        this.overdueTimer = undefined
      }
    })
    this.overdueTimer = setInterval(look, this.options.heldMs / OVERDUE_CHECKS)
    this.overdueTimer.unref()
  }

  private async sendFound(stream: Stream, digest: Uint8Array, author: Uint8Array, bytes: Uint8Array): Promise<void> {
    const { stallMs } = this.options
    const head = new Uint8Array(BATCH_FRAME_HEADER_BYTES + DIGEST_BYTES + PUBLIC_KEY_BYTES)
    writeFrameHeader(head, 0, FRAME_TYPES.found, DIGEST_BYTES + PUBLIC_KEY_BYTES + bytes.length)
    head.set(digest, BATCH_FRAME_HEADER_BYTES)
    head.set(author, BATCH_FRAME_HEADER_BYTES + DIGEST_BYTES)
    await handOver(stream, head, stallMs)
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      await handOver(stream, bytes.subarray(at, at + SLICE_BYTES), stallMs)
    }
  }

  /** Waits until what the peer was sent before is within its rate: before a batch is read, so that none waits in memory. */
  private async pace({ gone, peer }: Reply): Promise<void> {
    const waitMs = this.bucketOf(peer).take(0, performance.now())
    await sleep(waitMs, gone.signal)
    gone.signal.throwIfAborted()
  }

  private bucketOf(peer: number): TokenBucket {
    let bucket = this.buckets.get(peer)
    if (bucket === undefined) {
      const { bytesPerSecond } = this.options
      bucket = new TokenBucket(bytesPerSecond, bytesPerSecond * BURST_SECONDS)
      this.buckets.set(peer, bucket)
    }
    return bucket
  }
}

/** The digests of a request, or why it is refused. */
function decodeRequest(payload: Uint8Array): readonly Uint8Array[] | Refused {
  try {
    return decodeDigests(payload)
  } catch (error) {
    if (!(error instanceof NarvalError)) throw error
    const refused = error.code === 'ERR_TOO_MANY_DIGESTS' ? 'request-too-many-digests' : 'request-malformed'
    return { refused, detail: error.message }
  }
}

/**
 * Whether a reply ends with this: the peer takes nothing, or went away, or we are closing. It asks again then, here or
 * elsewhere. Anything else is a bug of ours.
 */
function endsReply(error: unknown): error is Error {
  if (error instanceof PeerStalledError || error instanceof StreamGoneError) return true
  return error instanceof NarvalError && error.code === 'ERR_CLOSED'
}
