/** Of samples that were measured without tinybench, which has its own. */

/** Nanoseconds below which half and 99 of 100 samples are (nearest rank). */
export function latencies(samplesNs: readonly number[]): { readonly p50_ns: number; readonly p99_ns: number } {
  const sorted = Float64Array.from(samplesNs).sort()
  return { p50_ns: percentile(sorted, 0.5), p99_ns: percentile(sorted, 0.99) }
}

/** @param sorted ascending, at least one */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) throw new RangeError('a percentile of no samples')
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
}

/** Student's t for 95 %, both sides, by degrees of freedom from 1; beyond the table that of the normal distribution. */
const T_95 = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13]
const T_95_LARGE = 2

/** Mean and its margin at 95 % confidence, in per cent of it; no margin of a single sample. */
export function meanAndMargin(samples: readonly number[]): {
  readonly mean: number
  readonly rmePercent: number | undefined
} {
  const n = samples.length
  if (n === 0) throw new RangeError('a mean of no samples')
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / n
  if (n === 1) return { mean, rmePercent: undefined }
  const variance = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / (n - 1)
  const t = T_95[n - 2] ?? T_95_LARGE
  return { mean, rmePercent: ((t * Math.sqrt(variance / n)) / mean) * 100 }
}
