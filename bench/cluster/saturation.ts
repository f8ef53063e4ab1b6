/**
 * The search for the rate at which what is certified no longer follows what is offered: doubling until it does not, then
 * the geometric middle between the last rate that did and the first that did not.
 */

export interface Point {
  /** Transactions a second that clients offered. */
  readonly rate: number
  /** Transactions a second that were certified. */
  readonly certifiedTps: number
  /** Seconds that it was offered. */
  readonly durationS: number
}

export interface SearchOptions {
  /** Transactions a second to begin with. */
  readonly startRate: number
  /** The search is over when the rates on both sides of the saturation differ by no more than this factor. */
  readonly resolution: number
  /** Runs at most. */
  readonly pointsMax: number
}

/** Certified, of what was offered, after the tail. */
const FOLLOWS_SHARE = 0.97
/** What a run takes longer than its load even where nothing queues: clients start one by one, and the last batches seal. */
const TAIL_S = 0.2

/** Bytes of transactions a second, times the nodes that each goes to, that any machine keeps up with. */
const START_BYTES_PER_S = 100e6

/** A machine that does not keep up with this fraction of the first rate has another problem. */
const START_DIVISOR_MAX = 10

export function follows(point: Point): boolean {
  const { rate, certifiedTps, durationS } = point
  return certifiedTps * (durationS + TAIL_S) >= FOLLOWS_SHARE * rate * durationS
}

/** Where to begin: the work for a byte rises with the nodes that it goes to. */
export function startRateOf(nodes: number, transactionBytes: number): number {
  return roundRate(START_BYTES_PER_S / nodes / transactionBytes)
}

/** The rate to offer next, in transactions a second; undefined when the search is over. */
export function nextRate(points: readonly Point[], options: SearchOptions): number | undefined {
  const { startRate, resolution, pointsMax } = options
  if (points.length === 0) return startRate
  if (points.length >= pointsMax) return undefined
  const rates = points.map(({ rate }) => rate)
  const followed = Math.max(0, ...points.filter(follows).map(({ rate }) => rate))
  if (followed === 0) {
    const rate = roundRate(Math.min(...rates) / 2)
    return rate < startRate / START_DIVISOR_MAX ? undefined : differing(rate, rates)
  }
  // A rate that was missed below one that was followed was bad luck.
  const missed = Math.min(...points.filter((point) => !follows(point) && point.rate > followed).map(({ rate }) => rate))
  if (missed === Number.POSITIVE_INFINITY) return roundRate(2 * followed)
  if (missed / followed <= resolution) return undefined
  return differing(roundRate(Math.sqrt(missed * followed)), rates)
}

/** The point of the highest rate that was followed; where none was, the one that certified most; undefined without any. */
export function saturationOf<P extends Point>(points: readonly P[]): P | undefined {
  const followed = points.filter(follows)
  const better = (a: P, b: P): P => (a.certifiedTps >= b.certifiedTps ? a : b)
  if (followed.length > 0) return followed.reduce((a, b) => (a.rate >= b.rate ? a : b))
  return points.length === 0 ? undefined : points.reduce(better)
}

/** To two digits, as somebody would choose it; at least 1. */
function roundRate(rate: number): number {
  return Math.max(1, Number(rate.toPrecision(2)))
}

function differing(rate: number, rates: readonly number[]): number | undefined {
  return rates.includes(rate) ? undefined : rate
}
