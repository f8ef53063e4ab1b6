/**
 * All readers of the stream. Their places are divided by source, and so is nothing else: a reader is a place in the log, and
 * what its socket has not taken yet. When all of them together hold too much, the one that is stuck for longest is ended.
 */
import type { Counters } from '../../../shared/memory/counters.js'
import { Places } from '../door/places.js'
import { STREAM_HEARTBEAT_MS, STREAM_HELD_BYTES_MAX, STREAMS_MAX } from '../limits.js'
import type { EventStream } from './event-stream.js'

export interface StreamsLimits {
  readonly streamsMax: number
  readonly heldBytesMax: number
  readonly heartbeatMs: number
}

const LIMITS: StreamsLimits = {
  streamsMax: STREAMS_MAX,
  heldBytesMax: STREAM_HELD_BYTES_MAX,
  heartbeatMs: STREAM_HEARTBEAT_MS,
}

export class Streams {
  private readonly counters: Counters<'gateway'>
  private readonly limits: StreamsLimits
  private readonly places: Places
  private readonly all = new Set<EventStream>()
  /** Bytes that a socket has not taken, in the order in which readers became stuck. */
  private readonly held = new Map<EventStream, number>()
  private heldBytes = 0
  private readonly heartbeat: NodeJS.Timeout

  constructor(counters: Counters<'gateway'>, limits = LIMITS) {
    this.counters = counters
    this.limits = limits
    this.places = new Places(limits.streamsMax)
    this.heartbeat = setInterval(() => {
      for (const stream of this.all) if (!this.held.has(stream)) stream.beat()
    }, limits.heartbeatMs)
  }

  /** Whether there is a place for it; it is begun and run then, and its place given back at its end. */
  start(stream: EventStream, source: string, begin: () => void): boolean {
    const place = { source, onEvicted: () => this.end(stream) }
    if (!this.places.take(place)) {
      this.counters.add('connectionsRefused')
      return false
    }
    this.all.add(stream)
    this.count()
    begin()
    void stream.run(this).finally(() => {
      this.taken(stream)
      this.all.delete(stream)
      this.places.leave(place)
      this.count()
    })
    return true
  }

  /** The socket of a reader has not taken so many bytes. */
  wrote(stream: EventStream, bytes: number): void {
    this.held.set(stream, bytes)
    this.heldBytes += bytes
    const longest = this.held.keys().next().value
    if (this.heldBytes > this.limits.heldBytesMax && longest !== undefined) this.end(longest)
    this.counters.set('heldBytes', this.heldBytes)
  }

  /** It has, or is gone. */
  taken(stream: EventStream): void {
    this.heldBytes -= this.held.get(stream) ?? 0
    this.held.delete(stream)
    this.counters.set('heldBytes', this.heldBytes)
  }

  sent(bytes: number): void {
    this.counters.add('events')
    this.counters.add('eventBytes', bytes)
  }

  close(): void {
    clearInterval(this.heartbeat)
    for (const stream of this.all) stream.end()
  }

  private end(stream: EventStream): void {
    this.counters.add('streamsEnded')
    stream.end()
    this.taken(stream)
  }

  private count(): void {
    this.counters.set('streams', this.places.taken)
  }
}
