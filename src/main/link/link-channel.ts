/**
 * One stream of `/narval/link/1`, as either end has it: messages go out in order, as fast as the other end takes them, and
 * come in one by one. Both ends say at least once a second that they are there, so that one that is gone, with its machine
 * or its cable, is noticed.
 *
 * Nothing is dropped: what waits is bounded by what each end may have under way, and a link that has more is closed. What
 * was under way is told again on the next one.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { BATCH_FRAME_HEADER_BYTES } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import type { LinkRefusal } from '../../shared/refusals.js'
import { FRAME_TYPES, writeFrameHeader } from '../../shared/wire/frames.js'
import { LinkVersionError } from '../../shared/wire/link/messages.js'
import { Deque } from '../lib/deque.js'
import type { Supervisor } from '../lib/supervisor.js'
import { collect } from '../network/frame-stream.js'
import { sendOn, takesMore } from '../network/hand-over.js'
import { type FrameTaker, serve } from '../network/router.js'
import {
  LINK_JOINED_BYTES,
  LINK_PACE_BYTES_PER_MS,
  LINK_PING_MS,
  LINK_QUEUE_BYTES_MAX,
  LINK_SILENCE_MS,
  LINK_SLICE_BYTES,
  LINK_UNREAD_MS,
} from './limits.js'

export interface LinkChannelOptions {
  readonly connection: Connection
  readonly stream: Stream
  /** Bytes of a message of the other end. */
  readonly bytesMax: number
  /** What says that this end is there. */
  readonly ping: Uint8Array
  /** LINK_SILENCE_MS unless given. */
  readonly silenceMs?: number
  /** LINK_UNREAD_MS unless given. */
  readonly unreadMs?: number
}

/** What is wrong with a message. */
export interface LinkProblem {
  readonly reason: LinkRefusal
  readonly detail: string
}

export interface LinkChannelHandlers {
  /** A message of the other end; what is wrong with it closes the link. Throws `ERR_CODEC` if it is none. */
  readonly onMessage: (bytes: Uint8Array) => LinkProblem | undefined
  readonly onRefused: (reason: LinkRefusal, detail: string) => void
  /** It is over, for whatever reason. Called once. */
  readonly onClosed: (why: string) => void
}

export class LinkChannel {
  private readonly options: LinkChannelOptions
  private readonly handlers: LinkChannelHandlers
  private readonly supervisor: Supervisor
  private readonly queue = new Deque<Uint8Array>()
  private waitingBytes = 0
  /** Of the frames that are being sent, what the stream was not handed yet. */
  private rest: Uint8Array = new Uint8Array(0)
  private isScheduled = false
  private hasSaid = false
  /** For how long nothing was heard, and nothing could be handed over, while this end ran. */
  private silentMs = 0
  private stuckMs = 0
  private lookedMs = performance.now()
  private isOver = false
  private timer: NodeJS.Timeout | undefined

  constructor(options: LinkChannelOptions, handlers: LinkChannelHandlers, supervisor: Supervisor) {
    this.options = options
    this.handlers = handlers
    this.supervisor = supervisor
    const { stream } = options
    const { guard } = supervisor
    const pump = guard('the link', () => this.pump())
    // Not from within `send`, which dispatches `idle` and keeps back what it is handed then (hand-over.ts).
    const onRoom = guard('the link', () => queueMicrotask(pump))
    stream.addEventListener('drain', onRoom)
    stream.addEventListener('idle', onRoom)
    this.timer = setInterval(
      guard('the link', () => this.look()),
      LINK_PING_MS,
    )
    serve(
      stream,
      () => ({
        stream: 'link',
        link: this.take,
        onEnd: () => this.close('the other end has ended it'),
        onClosed: () => this.close('the connection is gone'),
      }),
      (reason, detail) => this.refuse('link-malformed', `${reason}: ${detail}`),
      (error) => supervisor.fail('the link', error),
    )
  }

  get isClosed(): boolean {
    return this.isOver
  }

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.waitingBytes + this.rest.length
  }

  /** The bytes are not to be changed afterwards. */
  send(message: Uint8Array): void {
    if (this.isOver) return
    this.queue.pushBack(message)
    this.waitingBytes += message.length
    if (this.waitingBytes > LINK_QUEUE_BYTES_MAX) {
      this.refuse(
        'link-unread',
        `${this.waitingBytes} bytes wait, at most ${LINK_QUEUE_BYTES_MAX}: the other end does not read`,
      )
      return
    }
    if (this.isScheduled) return
    this.isScheduled = true
    setImmediate(
      this.supervisor.guard('the link', () => {
        this.isScheduled = false
        this.pump()
      }),
    )
  }

  /** Hands over what waits, as far as the stream takes it, and ends the link. */
  close(why: string): void {
    if (this.isOver) return
    this.pump()
    this.isOver = true
    clearInterval(this.timer)
    const { connection, stream } = this.options
    // What is handed over goes out before the connection ends, where there is one.
    stream.close().catch(() => {})
    const closed = connection.close().catch(() => connection.abort(new Error(why)))
    this.supervisor.watch('the end of a link', closed)
    this.handlers.onClosed(why)
  }

  /** Counts it, and ends the link at once. */
  refuse(reason: LinkRefusal, detail: string): void {
    if (this.isOver) return
    this.handlers.onRefused(reason, detail)
    this.isOver = true
    clearInterval(this.timer)
    this.options.connection.abort(new Error(reason))
    this.handlers.onClosed(`${reason}: ${detail}`)
  }

  private readonly take: FrameTaker = (payloadBytes) => {
    const { bytesMax } = this.options
    if (payloadBytes > bytesMax) {
      return { refused: 'frame-too-large', detail: `a message of ${payloadBytes} bytes, at most ${bytesMax}` }
    }
    const sink = collect(payloadBytes, (payload) => {
      this.receive(payload)
      return undefined
    })
    return {
      ...sink,
      write: (bytes) => {
        // Bytes that trickle are no sign that a message will ever be whole.
        this.silentMs = Math.max(0, this.silentMs - bytes.length / LINK_PACE_BYTES_PER_MS)
        sink.write(bytes)
      },
    }
  }

  private receive(payload: Uint8Array): void {
    this.silentMs = 0
    if (this.isOver) return
    const problem = this.problemOf(payload)
    if (problem !== undefined) this.refuse(problem.reason, problem.detail)
  }

  private problemOf(payload: Uint8Array): LinkProblem | undefined {
    try {
      return this.handlers.onMessage(payload)
    } catch (error) {
      if (error instanceof LinkVersionError) return { reason: 'link-version', detail: error.message }
      if (error instanceof NarvalError && error.code === 'ERR_CODEC') {
        return { reason: 'link-malformed', detail: error.message }
      }
      throw error
    }
  }

  private look(): void {
    const { ping, silenceMs = LINK_SILENCE_MS, unreadMs = LINK_UNREAD_MS } = this.options
    const nowMs = performance.now()
    // This process may have stood still: what has come meanwhile is read after this.
    const passedMs = Math.min(nowMs - this.lookedMs, 2 * LINK_PING_MS)
    this.lookedMs = nowMs
    this.silentMs += passedMs
    this.stuckMs = takesMore(this.options.stream) ? 0 : this.stuckMs + passedMs
    if (this.silentMs >= silenceMs) {
      this.refuse('link-silent', `no message, and next to no byte, has come for ${Math.round(this.silentMs)} ms`)
    } else if (this.stuckMs >= unreadMs) {
      this.refuse('link-unread', `it has read nothing for ${Math.round(this.stuckMs)} ms`)
    } else {
      if (!this.hasSaid) this.send(ping)
      this.hasSaid = false
      // A missed event would stop the link.
      this.pump()
    }
  }

  /** In slices that fit a stream's first window, so that pings and small messages do not wait in the stream. */
  private pump(): void {
    const { stream } = this.options
    while (!this.isOver && takesMore(stream)) {
      if (this.rest.length === 0) {
        if (this.queue.size === 0) return
        this.rest = this.takeFrames()
      }
      this.hasSaid = true
      this.stuckMs = 0
      const slice = this.rest.subarray(0, LINK_SLICE_BYTES)
      this.rest = this.rest.subarray(slice.length)
      // That the stream is gone is said by its events.
      if (!sendOn(stream, slice)) return
    }
  }

  /** The next messages as frames: about LINK_JOINED_BYTES of them, and one at least. */
  private takeFrames(): Uint8Array {
    const taken: Uint8Array[] = []
    let bytes = 0
    while (this.queue.size > 0 && bytes < LINK_JOINED_BYTES) {
      const message = this.queue.popFront()!
      this.waitingBytes -= message.length
      taken.push(message)
      bytes += BATCH_FRAME_HEADER_BYTES + message.length
    }
    const frames = new Uint8Array(bytes)
    let at = 0
    for (const message of taken) {
      writeFrameHeader(frames, at, FRAME_TYPES.link, message.length)
      frames.set(message, at + BATCH_FRAME_HEADER_BYTES)
      at += BATCH_FRAME_HEADER_BYTES + message.length
    }
    return frames
  }
}
