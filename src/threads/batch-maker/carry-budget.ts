/**
 * CarryBudget: the memory for unfinished frames of all clients, and who gives way when it is short.
 *
 * When a client needs more than there is,
 * 1. the source that holds the most loses its oldest half frame, again and again, as long as it holds more than the
 *    client's own source would;
 * 2. else the client's own source loses a half frame that lags, the oldest first: it came slowly, or not at all;
 * 3. else one client at a time may go beyond the limit until its frame is whole, and the others wait. If that one lags,
 *    it gives way to whoever asks next.
 * So the memory is bounded by the limit and one frame, and nobody is closed who sends and holds no more than others.
 *
 * A client that waits for us, with a whole frame that is not taken yet, holds its memory and never gives way.
 *
 * Pure: clients are names, and the clock is handed in.
 */
import assert from 'node:assert'

export interface CarryBudgetOptions {
  readonly bytesMax: number
  /** See CLIENT_LAGGING_AFTER_MS. */
  readonly laggingAfterMs: number
  /** See CLIENT_LAGGING_BYTES_PER_S. */
  readonly laggingBytesPerS: number
}

export interface CarryBudgetHandlers<C> {
  /** The client's half frame gives way: the client is to be closed. Its memory is free when this returns. */
  readonly onEvicted: (client: C, why: string) => void
  /** Memory came back, and somebody waits for it. */
  readonly onRoom: () => void
}

interface HalfFrame {
  readonly source: string
  bytes: number
  received: number
  /** When it last grew. */
  lastMs: number
  /** Since when it is judged by how it goes on, and what had come of it then. */
  sinceMs: number
  sinceBytes: number
  state: 'going' | 'waiting' | 'held'
}

/** The half frames of one source that may have to give way, each kind in the order in which they came. */
interface Source<C> {
  bytes: number
  readonly going: Set<C>
  /** They wait for memory, so they cannot lag. */
  readonly waiting: Set<C>
}

/** How many of a source's half frames are looked at in search of one that lags. */
const LOOKED_AT = 16

export class CarryBudget<C> {
  private readonly options: CarryBudgetOptions
  private readonly handlers: CarryBudgetHandlers<C>
  private readonly halves = new Map<C, HalfFrame>()
  private readonly sources = new Map<string, Source<C>>()
  /** The client that may go beyond the limit. */
  private beyond: C | undefined
  private waiting = 0
  private total = 0

  constructor(options: CarryBudgetOptions, handlers: CarryBudgetHandlers<C>) {
    this.options = options
    this.handlers = handlers
  }

  /** Bytes that are held now. */
  get bytes(): number {
    return this.total
  }

  /**
   * The half frame of `client` needs `bytes` of memory in all; `received` of the frame have come. False if it has to
   * wait: it asks again after `onRoom`, or when somebody may have begun to lag.
   */
  claim(client: C, source: string, bytes: number, received: number, nowMs: number): boolean {
    const half = this.halves.get(client) ?? this.begin(client, source, received, nowMs)
    const more = bytes - half.bytes
    this.progress(client, received, nowMs)
    while (this.isShortOf(more) && this.makeRoom(client, half, more, nowMs));
    if (this.isShortOf(more)) {
      this.beyond ??= client
      if (this.beyond !== client) {
        this.move(client, half, 'waiting')
        return false
      }
    }
    this.resume(client, half, nowMs)
    half.bytes += more
    this.sources.get(source)!.bytes += more
    this.total += more
    return true
  }

  /** So much of the client's frame has come. */
  progress(client: C, received: number, nowMs: number): void {
    const half = this.halves.get(client)
    if (half === undefined) return
    // The measurement begins anew, so that a frame that came quickly once cannot lag unnoticed later.
    if (nowMs - half.sinceMs > 2 * this.options.laggingAfterMs) this.judgeFrom(half, nowMs)
    half.received = received
    half.lastMs = nowMs
  }

  /** The frame is whole, and cannot be taken yet: it is owed to the client. */
  hold(client: C): void {
    const half = this.halves.get(client)
    if (half !== undefined) this.move(client, half, 'held')
  }

  /** The frame is taken, or the client is gone. */
  free(client: C): void {
    const half = this.halves.get(client)
    if (half === undefined) return
    this.remove(client, half)
    this.halves.delete(client)
    this.total -= half.bytes
    if (this.beyond === client) this.beyond = undefined
    if (this.waiting > 0) this.handlers.onRoom()
  }

  private isShortOf(more: number): boolean {
    return this.total + more > this.options.bytesMax
  }

  /** Takes the memory of one client for another; false if nobody has to give way. */
  private makeRoom(client: C, half: HalfFrame, more: number, nowMs: number): boolean {
    const own = this.sources.get(half.source)!
    const [name, hoarder] = this.largest()
    if (hoarder !== own && hoarder.bytes > own.bytes + more) {
      const oldest = first(hoarder.going) ?? first(hoarder.waiting)
      assert(oldest !== undefined, 'a source with bytes has half frames')
      this.evict(oldest, `half frames of ${name} hold ${hoarder.bytes} bytes, more than any other source's`)
      return true
    }
    const lagging = this.lagging(client, own, nowMs)
    if (lagging === undefined) return false
    this.evict(lagging, `half a frame came slower than ${this.options.laggingBytesPerS} bytes a second`)
    return true
  }

  private evict(client: C, why: string): void {
    this.handlers.onEvicted(client, `${why}; those of all clients may hold ${this.options.bytesMax}`)
    this.free(client)
  }

  private begin(client: C, source: string, received: number, nowMs: number): HalfFrame {
    const half: HalfFrame = {
      source,
      bytes: 0,
      received,
      lastMs: nowMs,
      sinceMs: nowMs,
      sinceBytes: received,
      state: 'going',
    }
    this.halves.set(client, half)
    this.add(client, half)
    return half
  }

  /** From now on it is judged by how it goes on, if it was not before. */
  private resume(client: C, half: HalfFrame, nowMs: number): void {
    if (half.state === 'going') return
    this.move(client, half, 'going')
    this.judgeFrom(half, nowMs)
  }

  private judgeFrom(half: HalfFrame, nowMs: number): void {
    half.lastMs = nowMs
    half.sinceMs = nowMs
    half.sinceBytes = half.received
  }

  private move(client: C, half: HalfFrame, state: HalfFrame['state']): void {
    if (half.state === state) return
    this.remove(client, half)
    half.state = state
    this.add(client, half)
  }

  private add(client: C, half: HalfFrame): void {
    if (half.state === 'waiting') this.waiting += 1
    if (half.state === 'held') return
    let source = this.sources.get(half.source)
    if (source === undefined) {
      source = { bytes: 0, going: new Set(), waiting: new Set() }
      this.sources.set(half.source, source)
    }
    source.bytes += half.bytes
    source[half.state].add(client)
  }

  private remove(client: C, half: HalfFrame): void {
    if (half.state === 'waiting') this.waiting -= 1
    if (half.state === 'held') return
    const source = this.sources.get(half.source)!
    source.bytes -= half.bytes
    source[half.state].delete(client)
    if (source.going.size === 0 && source.waiting.size === 0) this.sources.delete(half.source)
  }

  private largest(): [string, Source<C>] {
    let largest: [string, Source<C>] | undefined
    for (const entry of this.sources) {
      if (largest === undefined || entry[1].bytes > largest[1].bytes) largest = entry
    }
    assert(largest !== undefined, 'the one that asks has a source')
    return largest
  }

  private lagging(except: C, source: Source<C>, nowMs: number): C | undefined {
    const { beyond } = this
    if (beyond !== undefined && beyond !== except && this.lags(beyond, nowMs)) return beyond
    let left = LOOKED_AT
    for (const client of source.going) {
      if (left-- === 0) break
      if (client !== except && this.lags(client, nowMs)) return client
    }
    return undefined
  }

  private lags(client: C, nowMs: number): boolean {
    const half = this.halves.get(client)
    if (half?.state !== 'going') return false
    const { laggingAfterMs, laggingBytesPerS } = this.options
    if (nowMs - half.lastMs >= laggingAfterMs) return true
    const ageMs = nowMs - half.sinceMs
    return ageMs >= laggingAfterMs && half.received - half.sinceBytes < (laggingBytesPerS * ageMs) / 1000
  }
}

function first<T>(set: ReadonlySet<T>): T | undefined {
  for (const element of set) return element
  return undefined
}
