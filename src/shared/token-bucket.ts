/** So much a second, averaged over a burst. A pure function of the times it is given. */
export class TokenBucket {
  private readonly perSecond: number
  private readonly burst: number
  private tokens: number
  private lastMs: number | undefined

  constructor(perSecond: number, burst: number) {
    this.perSecond = perSecond
    this.burst = burst
    this.tokens = burst
  }

  /** Takes `count`, on credit if need be, and says how many ms to wait before using them. */
  take(count: number, nowMs: number): number {
    this.refill(nowMs)
    this.tokens -= count
    return this.tokens >= 0 ? 0 : (-this.tokens / this.perSecond) * 1000
  }

  /** Takes `count` if they are there; false if not. */
  tryTake(count: number, nowMs: number): boolean {
    this.refill(nowMs)
    if (this.tokens < count) return false
    this.tokens -= count
    return true
  }

  /** What could be taken now; below 0 while it is on credit. */
  left(nowMs: number): number {
    this.refill(nowMs)
    return this.tokens
  }

  private refill(nowMs: number): void {
    const elapsedMs = nowMs - (this.lastMs ?? nowMs)
    this.lastMs = nowMs
    this.tokens = Math.min(this.burst, this.tokens + (elapsedMs / 1000) * this.perSecond)
  }
}
