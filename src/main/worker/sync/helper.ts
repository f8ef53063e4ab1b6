/**
 * Helper: answers the batch requests of other workers from the store, and says which batches it does not have.
 *
 * Each peer may have a few requests open, of a few digests each, and gets so many bytes a second; the rest of its
 * requests wait their turn on its own streams. Of each reply one batch is in memory, however slowly the peer reads, and
 * one slice of it in the stream.
 *
 * Source: asonnino/narwhal worker/src/helper.rs.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import {
  BATCH_FRAME_HEADER_BYTES,
  DIGEST_BYTES,
  FRAME_STALL_MS,
  HELPER_BYTES_PER_SECOND,
  PUBLIC_KEY_BYTES,
  REQUEST_BYTES_MAX,
  REQUESTS_OPEN_MAX,
  SLICE_BYTES,
} from '../../../shared/constants.js'
import { NarvalError } from '../../../shared/errors.js'
import type { PeerRefusal } from '../../../shared/refusals.js'
import { encodeFrameOf, FRAME_TYPES, writeFrameHeader } from '../../../shared/wire/frames.js'
import { decodeDigests, encodeDigests } from '../../../shared/wire/sync-messages.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import { TokenBucket } from '../../lib/token-bucket.js'
import { collect, type FrameStream, type Refused } from '../../network/frame-stream.js'
import { handOver, PeerStalledError } from '../../network/hand-over.js'
import type { SessionOf } from '../../network/router.js'
import type { ProcessorClient } from '../../thread-host/processor-client.js'

export interface HelperOptions {
  /** Larger batches, of an earlier setting, are said to be missing: who asks has no room for them. */
  readonly batchBytesMax: number
  /** A slice of a reply must be taken within this; FRAME_STALL_MS unless given. */
  readonly stallMs?: number
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

const BURST_SECONDS = 10

export class Helper {
  private readonly batchBytesMax: number
  private readonly stallMs: number
  private readonly dependencies: HelperDependencies
  private readonly handlers: HelperHandlers
  private readonly open = new Map<number, number>()
  private readonly buckets = new Map<number, TokenBucket>()

  constructor(options: HelperOptions, dependencies: HelperDependencies, handlers: HelperHandlers) {
    this.batchBytesMax = options.batchBytesMax
    this.stallMs = options.stallMs ?? FRAME_STALL_MS
    this.dependencies = dependencies
    this.handlers = handlers
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
    let asked = false
    const takeRequest = (payloadBytes: number): ReturnType<typeof collect> | Refused => {
      if (asked) return { refused: 'request-rate', detail: 'one request for each stream' }
      asked = true
      if (payloadBytes > REQUEST_BYTES_MAX) {
        return { refused: 'request-too-many-digests', detail: `${payloadBytes} bytes, at most ${REQUEST_BYTES_MAX}` }
      }
      return collect(payloadBytes, (payload) => {
        try {
          const digests = decodeDigests(payload)
          const { supervisor = unsupervised } = this.dependencies
          supervisor.watch('a reply', this.serve(peer, frames, digests))
          return undefined
        } catch (error) {
          if (!(error instanceof NarvalError)) throw error
          const refused = error.code === 'ERR_TOO_MANY_DIGESTS' ? 'request-too-many-digests' : 'request-malformed'
          return { refused, detail: error.message }
        }
      })
    }
    return {
      stream: 'their-request',
      request: takeRequest,
      onClosed: () => void this.open.set(peer, this.open.get(peer)! - 1),
    }
  }

  private async serve(peer: number, frames: FrameStream, digests: readonly Uint8Array[]): Promise<void> {
    const { stream } = frames
    const missing: Uint8Array[] = []
    try {
      for (const digest of digests) {
        const stored = await this.dependencies.processor.ask({ type: 'get', digest })
        if (frames.isClosed) return
        if (stored === undefined || stored.bytes.length > this.batchBytesMax) {
          missing.push(digest)
          continue
        }
        await this.pace(peer, stored.bytes.length)
        await this.sendFound(stream, digest, stored.author, stored.bytes)
      }
      await handOver(stream, encodeFrameOf('missing', encodeDigests(missing)), this.stallMs)
      await stream.close({ signal: AbortSignal.timeout(this.stallMs) })
      this.handlers.onServed(peer, digests.length - missing.length, missing.length)
    } catch (error) {
      // The peer went away, or takes nothing, or we are closing: it asks again, here or elsewhere.
      const { message } = error as Error
      if (error instanceof PeerStalledError) this.handlers.onRefused(peer, 'reply-unread', message)
      frames.abort(message)
    }
  }

  private async sendFound(stream: Stream, digest: Uint8Array, author: Uint8Array, bytes: Uint8Array): Promise<void> {
    const head = new Uint8Array(BATCH_FRAME_HEADER_BYTES + DIGEST_BYTES + PUBLIC_KEY_BYTES)
    writeFrameHeader(head, 0, FRAME_TYPES.found, DIGEST_BYTES + PUBLIC_KEY_BYTES + bytes.length)
    head.set(digest, BATCH_FRAME_HEADER_BYTES)
    head.set(author, BATCH_FRAME_HEADER_BYTES + DIGEST_BYTES)
    await handOver(stream, head, this.stallMs)
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      await handOver(stream, bytes.subarray(at, at + SLICE_BYTES), this.stallMs)
    }
  }

  private async pace(peer: number, bytes: number): Promise<void> {
    let bucket = this.buckets.get(peer)
    if (bucket === undefined) {
      bucket = new TokenBucket(HELPER_BYTES_PER_SECOND, HELPER_BYTES_PER_SECOND * BURST_SECONDS)
      this.buckets.set(peer, bucket)
    }
    const waitMs = bucket.take(bytes, performance.now())
    if (waitMs > 0) await sleep(waitMs)
  }
}
