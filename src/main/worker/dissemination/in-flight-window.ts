/**
 * How many batches may be in flight to one peer: as few as keep the link busy. It grows while the ACK latency stays
 * near the least seen lately, and shrinks when it rises: queues add latency and make buffers old, and old buffers make
 * full garbage collections (docs/performance.md). On a long link it grows to the bandwidth-delay product.
 *
 * A pure function of the ACKs and their times.
 */
import { IN_FLIGHT_MIN } from './limits.js'

/** The least latency is that of the last one or two of these. */
const BASE_PERIOD_MS = 10_000
/** Latency up to this multiple of the least, and a scheduler's slack, counts as flat. */
const FLAT_FACTOR = 1.5
const FLAT_SLACK_MS = 5
/** Beyond this it has risen. */
const RISEN_FACTOR = 2
const RISEN_SLACK_MS = 20

export class InFlightWindow {
  private size = IN_FLIGHT_MIN
  private acksSinceChange = 0
  private leastMs = Number.POSITIVE_INFINITY
  private leastOfPeriodMs = Number.POSITIVE_INFINITY
  private periodStartMs = Number.NEGATIVE_INFINITY

  private readonly sizeMax: number

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax
  }

  /** Batches that may be in flight. */
  get limit(): number {
    return this.size
  }

  /**
   * @param latencyMs from the hand-over of the batch's first byte to its ACK
   * @param wasFull whether the window was what held the sender back
   */
  onAck(latencyMs: number, wasFull: boolean, nowMs: number): void {
    if (nowMs - this.periodStartMs > BASE_PERIOD_MS) {
      this.leastMs = this.leastOfPeriodMs
      this.leastOfPeriodMs = Number.POSITIVE_INFINITY
      this.periodStartMs = nowMs
    }
    this.leastOfPeriodMs = Math.min(this.leastOfPeriodMs, latencyMs)
    this.leastMs = Math.min(this.leastMs, latencyMs)
    this.acksSinceChange += 1
    // One step for each window's worth of ACKs: the effect of a step shows only after that.
    if (this.acksSinceChange < this.size) return
    if (latencyMs > this.leastMs * RISEN_FACTOR + RISEN_SLACK_MS) this.resize(this.size - 1)
    else if (wasFull && latencyMs < this.leastMs * FLAT_FACTOR + FLAT_SLACK_MS) this.resize(this.size + 1)
  }

  private resize(size: number): void {
    this.size = Math.min(this.sizeMax, Math.max(IN_FLIGHT_MIN, size))
    this.acksSinceChange = 0
  }
}
