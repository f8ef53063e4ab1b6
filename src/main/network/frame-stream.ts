/**
 * Cuts what arrives on a libp2p stream into frames, without collecting them: for each frame it asks where the payload
 * is to go, and copies the pieces there as they come, once.
 *
 * A `message` event carries whatever the muxer had, from a part of a frame to many. If a frame has nowhere to go yet
 * ('wait'), the stream is paused, so that yamux tells the peer; what was already here is kept, at most two windows: one
 * that came before the pause, and one that `resume` lets in while the first still waits.
 */
import assert from 'node:assert'
import type { Stream } from '@libp2p/interface'
import { BATCH_FRAME_HEADER_BYTES, FRAME_STALL_MS } from '../../shared/constants.js'
import type { PeerRefusal } from '../../shared/refusals.js'
import { HeldBytes } from './held-bytes.js'

/** Where the payload of one frame goes. */
export interface FrameSink {
  /** Consecutive pieces of the payload. The memory is lent for the call. */
  write(bytes: Uint8Array): void
  /** The payload is complete. A refusal ends the stream. */
  end(): Refused | undefined
  /** The stream ended before the payload did. */
  abort(): void
}

export interface Refused {
  readonly refused: PeerRefusal
  readonly detail: string
}

export interface FrameStreamHandlers {
  /** A frame begins. 'wait': nowhere to put it now; `retry()` asks again. */
  readonly onFrame: (type: number, payloadBytes: number) => FrameSink | 'wait' | Refused
  /** The peer broke the protocol; the stream is aborted right after. */
  readonly onRefused: (refusal: PeerRefusal, detail: string) => void
  /** The peer has ended its side, between frames, and all frames before that were taken. */
  readonly onEnd?: () => void
  /** The stream is gone, for whatever reason. Called once. */
  readonly onClosed: () => void
  /** A handler threw, which is a bug of ours. Without this the exception is the process's. */
  readonly onFailed?: ((error: unknown) => void) | undefined
}

export interface FrameStreamOptions {
  /** FRAME_STALL_MS unless given. */
  readonly stallMs?: number
  /** The peer owes us frames: silence between them is a stall too. */
  readonly owesFrames?: boolean
}

export class FrameStream {
  readonly stream: Stream
  private readonly handlers: FrameStreamHandlers
  private stallMs = FRAME_STALL_MS
  private owesFrames = false
  private readonly header = new Uint8Array(BATCH_FRAME_HEADER_BYTES)
  private headerLength = 0
  private sink: FrameSink | undefined
  private missing = 0
  private waiting = false
  private resuming = false
  private readonly held = new HeldBytes()
  private ended = false
  private closed = false
  private lastByteMs = performance.now()
  private stallTimer: NodeJS.Timeout | undefined

  constructor(stream: Stream, handlers: FrameStreamHandlers, options: FrameStreamOptions = {}) {
    this.stream = stream
    this.handlers = handlers
    stream.addEventListener('message', (event) => this.run(() => this.onMessage(event.data)))
    // Not `remoteCloseWrite`, which overtakes what waits to be read while the stream is paused.
    stream.addEventListener('end', () => this.run(() => this.onRemoteEnd()))
    stream.addEventListener('close', () => this.run(() => this.onClosed()))
    this.expect(options)
    // A peer can end or reset a stream before it is handed over. The events that say so are in the past then.
    if (stream.readableEnded) queueMicrotask(() => this.run(() => this.onRemoteEnd()))
    if (stream.status !== 'open') queueMicrotask(() => this.run(() => this.onClosed()))
  }

  get isClosed(): boolean {
    return this.closed
  }

  /** What silence of the peer means from now on. */
  expect(options: FrameStreamOptions): void {
    if (this.closed) return
    this.stallMs = options.stallMs ?? FRAME_STALL_MS
    this.owesFrames = options.owesFrames ?? false
    clearInterval(this.stallTimer)
    this.stallTimer = setInterval(() => this.run(() => this.checkStall()), this.stallMs / 4)
    this.stallTimer.unref()
  }

  /** The frame that had to wait may have a place now. */
  retry(): void {
    if (!this.waiting || this.closed) return
    this.waiting = false
    this.begin()
    if (this.closed || this.waiting) return
    for (let bytes = this.held.shift(); bytes !== undefined; bytes = this.held.shift()) {
      const rest = this.consume(bytes)
      if (this.closed) return
      if (rest !== undefined) this.held.unshift(rest)
      if (this.waiting) return
    }
    this.lastByteMs = performance.now()
    // `resume` dispatches what came meanwhile, and at its end sends yamux's window update. If a handler paused the
    // stream in between, that would undo the pause. So if we have to wait again, the stream is paused once `resume` is
    // over.
    this.resuming = true
    if (this.stream.readStatus === 'paused') this.resume()
    this.resuming = false
    if (this.closed) return
    if (this.waiting) this.pause()
    else if (this.ended) this.finishEnd()
  }

  /** Ends the stream at once. */
  abort(reason: string): void {
    if (!this.closed) this.stream.abort(new Error(reason))
    this.onClosed()
  }

  /** What the event loop calls of this stream. */
  private run(handle: () => void): void {
    const { onFailed } = this.handlers
    if (onFailed === undefined) {
      handle()
      return
    }
    try {
      handle()
    } catch (error) {
      onFailed(error)
    }
  }

  private onMessage(data: Uint8Array | Iterable<Uint8Array>): void {
    this.lastByteMs = performance.now()
    if (data instanceof Uint8Array) this.take(data)
    else for (const bytes of data) this.take(bytes)
  }

  private take(bytes: Uint8Array): void {
    const rest = this.consume(bytes)
    if (rest !== undefined) this.held.push(rest)
  }

  /** Returns what has to wait. */
  private consume(bytes: Uint8Array): Uint8Array | undefined {
    let at = 0
    while (at < bytes.length && !this.closed) {
      if (this.waiting) return bytes.subarray(at)
      if (this.sink === undefined) {
        const taken = Math.min(this.header.length - this.headerLength, bytes.length - at)
        this.header.set(bytes.subarray(at, at + taken), this.headerLength)
        this.headerLength += taken
        at += taken
        if (this.headerLength === this.header.length) this.begin()
        continue
      }
      const taken = Math.min(this.missing, bytes.length - at)
      this.sink.write(bytes.subarray(at, at + taken))
      this.missing -= taken
      at += taken
      if (this.missing === 0) this.finish()
    }
    return undefined
  }

  private begin(): void {
    const h = this.header
    const payloadBytes = (h[0]! | (h[1]! << 8) | (h[2]! << 16) | (h[3]! << 24)) >>> 0
    if (h[5] !== 0 || h[6] !== 0 || h[7] !== 0) {
      this.refuse('frame-header-malformed', 'reserved bytes are not zero')
      return
    }
    const place = this.handlers.onFrame(h[4]!, payloadBytes)
    if (place === 'wait') {
      this.waiting = true
      // The header is complete, and stays so: `retry` asks again with it.
      if (!this.resuming) this.pause()
    } else if ('refused' in place) {
      this.refuse(place.refused, place.detail)
    } else {
      this.headerLength = 0
      this.sink = place
      this.missing = payloadBytes
      if (payloadBytes === 0) this.finish()
    }
  }

  private finish(): void {
    assert(this.sink !== undefined)
    const { sink } = this
    this.sink = undefined
    const refused = sink.end()
    if (refused !== undefined) this.refuse(refused.refused, refused.detail)
  }

  /** It sends a window update, which a connection that is being closed may not take: such a stream is over. */
  private resume(): void {
    try {
      this.stream.resume()
    } catch (error) {
      this.abort(`it cannot be read any more: ${(error as Error).message}`)
    }
  }

  private pause(): void {
    if (this.stream.readStatus === 'readable') this.stream.pause()
  }

  private refuse(refusal: PeerRefusal, detail: string): void {
    if (this.closed) return
    this.handlers.onRefused(refusal, detail)
    this.abort(`${refusal}: ${detail}`)
  }

  /** `end` also comes when the stream was reset or closed as a whole, which `close` tells right after. */
  private onRemoteEnd(): void {
    if (this.closed || this.ended || (this.stream.status !== 'open' && this.stream.status !== 'closing')) return
    this.ended = true
    if (!this.waiting && !this.resuming) this.finishEnd()
  }

  private finishEnd(): void {
    if (this.closed) return
    if (this.sink !== undefined || this.headerLength > 0) {
      const missing = this.sink === undefined ? this.header.length - this.headerLength : this.missing
      this.refuse('frame-truncated', `the stream ended ${missing} bytes before its frame did`)
      return
    }
    this.handlers.onEnd?.()
  }

  private onClosed(): void {
    if (this.closed) return
    this.closed = true
    clearInterval(this.stallTimer)
    this.held.clear()
    this.sink?.abort()
    this.sink = undefined
    this.handlers.onClosed()
  }

  private checkStall(): void {
    const insideFrame = this.sink !== undefined || this.headerLength > 0
    if (!(insideFrame || this.owesFrames) || this.waiting || performance.now() - this.lastByteMs < this.stallMs) return
    const where = insideFrame ? 'in the middle of a frame' : 'where a frame is due'
    this.refuse('frame-stalled', `no byte for ${this.stallMs} ms ${where}`)
  }
}

/** A sink for small frames: collects the payload, at most `bytesMax` of it (checked before it is made). */
export function collect(payloadBytes: number, onPayload: (payload: Uint8Array) => Refused | undefined): FrameSink {
  const payload = new Uint8Array(payloadBytes)
  let length = 0
  return {
    write(bytes) {
      payload.set(bytes, length)
      length += bytes.length
    },
    end: () => onPayload(payload),
    abort() {},
  }
}
