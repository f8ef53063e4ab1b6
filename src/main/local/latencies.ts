/**
 * Latencies in whole milliseconds, counted by value: exact, and as large as there are different values, however long
 * a run takes.
 */
export class Latencies {
  private readonly counts = new Map<number, number>()
  private total = 0
  private sumMs = 0

  get count(): number {
    return this.total
  }

  /** @param latencyMs below zero where a clock was set back; counts as zero */
  record(latencyMs: number): void {
    const value = Math.max(0, Math.round(latencyMs))
    this.counts.set(value, (this.counts.get(value) ?? 0) + 1)
    this.total += 1
    this.sumMs += value
  }

  add(other: Latencies): void {
    for (const [value, count] of other.counts) this.counts.set(value, (this.counts.get(value) ?? 0) + count)
    this.total += other.total
    this.sumMs += other.sumMs
  }

  /** null without a single value, as all that follow. */
  get meanMs(): number | null {
    return this.total === 0 ? null : this.sumMs / this.total
  }

  /** The least value that at least `fraction` (0–1) of all values do not exceed: the nearest rank. */
  percentileMs(fraction: number): number | null {
    const rank = Math.max(1, Math.ceil(fraction * this.total))
    let seen = 0
    for (const value of [...this.counts.keys()].sort((a, b) => a - b)) {
      seen += this.counts.get(value)!
      if (seen >= rank) return value
    }
    return null
  }
}
