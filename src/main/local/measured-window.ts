/** From when on a run is measured: from the clients' start, or when its warm-up is over. */
export class MeasuredWindow {
  private readonly warmupMs: number
  private startMs: number | undefined

  constructor(warmupS: number) {
    this.warmupMs = warmupS * 1000
  }

  /** A client has begun to send: the first one counts. */
  start(timeMs: number): void {
    this.startMs = Math.min(this.startMs ?? timeMs, timeMs)
  }

  /** Unix ms; undefined until a client has begun. */
  get fromMs(): number | undefined {
    return this.startMs === undefined ? undefined : this.startMs + this.warmupMs
  }

  /** Whether what happened then counts. Without a warm-up all does: clocks of processes differ by a little. */
  has(timeMs: number): boolean {
    if (this.warmupMs === 0) return true
    return this.fromMs !== undefined && timeMs >= this.fromMs
  }
}
