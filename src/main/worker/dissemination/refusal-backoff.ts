/**
 * When a peer that refuses our batches is sent the next one. A refusal means "later": the peer's store may be full, or
 * our share of it. The pause doubles with each refusal and halves with each acceptance, so a peer that takes some and
 * refuses others is not flooded with what it refuses.
 *
 * ```
 *            refused                     refused: pause doubles
 *  open ───────────────▶ paused ──time──▶ probing: one batch at a time ──▶ paused
 *   ▲                                        │
 *   └───── accepted, until no pause is left ─┘
 * ```
 *
 * A pure function of the answers and their times.
 */
import { REFUSAL_BACKOFF_MAX_MS, REFUSAL_BACKOFF_MIN_MS, REFUSAL_DROP_MS } from './limits.js'

export class RefusalBackoff {
  private pauseMs = 0
  private untilMs = Number.NEGATIVE_INFINITY

  /** True from a refusal until enough was accepted: one batch at a time is sent then. */
  get isProbing(): boolean {
    return this.pauseMs > 0
  }

  /** It refuses for so long that it is sent only what a quorum lacks. */
  get isLong(): boolean {
    return this.pauseMs >= REFUSAL_DROP_MS
  }

  /** How long nothing is to be sent from now, in ms; 0 if something may be. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.untilMs - nowMs)
  }

  /** The refusals of what was in flight together are one. */
  refused(nowMs: number): void {
    if (nowMs < this.untilMs) return
    this.pauseMs = Math.min(REFUSAL_BACKOFF_MAX_MS, Math.max(REFUSAL_BACKOFF_MIN_MS, 2 * this.pauseMs))
    this.untilMs = nowMs + this.pauseMs
  }

  accepted(nowMs: number): void {
    // What was accepted of the flight in which another batch was refused does not shorten the pause after it.
    if (nowMs < this.untilMs) return
    this.pauseMs = this.pauseMs / 2 < REFUSAL_BACKOFF_MIN_MS ? 0 : this.pauseMs / 2
  }

  /** The peer has a new stream, perhaps after a restart: nothing is known of it. */
  reset(): void {
    this.pauseMs = 0
    this.untilMs = Number.NEGATIVE_INFINITY
  }
}
