/** Measures one configuration: the product over a ladder of rates, then the floors at the rate that it kept up with. */
import { type FloorKind, RETAIN_S } from '../floor/options.js'
import type { FloorResult } from '../floor/result.js'
import { runFloor } from '../floor/run.js'
import type { Configuration } from './configuration.js'
import { type ProductRun, runProduct } from './product.js'
import { costOf, type Ratios, ratiosOf } from './ratios.js'
import { follows, nextRate, type Point, saturationOf, startRateOf } from './saturation.js'

export interface MeasuredPoint extends Point {
  readonly run: ProductRun
}

/** Both floors, offered the same bytes for as long, with as many kept: what is dear about an empty store is so for all. */
export interface Floors {
  readonly plain: FloorResult
  readonly libp2p: FloorResult
}

export interface Measurement {
  readonly configuration: Configuration
  /** In the order of the runs. */
  readonly points: MeasuredPoint[]
  floors?: Floors
  ratios?: Ratios
  /** The floors as fast as they go. */
  flatOut?: Floors
}

export interface MeasureOptions {
  /** Transactions a second to offer, one run each; without them the saturation is searched for. */
  readonly rates: readonly number[] | undefined
  readonly durationS: number
  /** Of the search: how close the rates on both sides of the saturation have to be, as a factor. */
  readonly resolution: number
  readonly withFlatOut: boolean
}

export interface Progress {
  readonly onPoint: (point: MeasuredPoint) => void
  readonly onFloor: (floor: FloorResult) => void
}

const POINTS_MAX = 8

/** Fills `measurement` run by run, so that what is there can be kept if a later one fails. */
export async function measure(
  measurement: Measurement,
  options: MeasureOptions,
  progress: Progress,
  stop: AbortSignal,
): Promise<void> {
  const { configuration, points } = measurement
  for (let rate = next(measurement, options); rate !== undefined; rate = next(measurement, options)) {
    const run = await runProduct(configuration, rate, options.durationS, stop)
    const point = { rate, certifiedTps: run.result.certified.tps, durationS: options.durationS, run }
    points.push(point)
    progress.onPoint(point)
  }
  const saturation = saturationOf(points)!
  const runFloors = async (rate: number): Promise<Floors> => {
    // What `local` keeps, of what this configuration certifies.
    const retainBytes = Math.round(RETAIN_S * saturation.certifiedTps * configuration.transactionBytes)
    const run = async (kind: FloorKind): Promise<FloorResult> => {
      const floor = await runFloor({ ...configuration, kind, rate, durationS: options.durationS, retainBytes }, stop)
      progress.onFloor(floor)
      return floor
    }
    return { libp2p: await run('libp2p'), plain: await run('plain') }
  }
  // Where the product kept up with no rate, the floors are offered what it certified.
  measurement.floors = await runFloors(follows(saturation) ? saturation.rate : Math.ceil(saturation.certifiedTps))
  const { plain, libp2p } = measurement.floors
  measurement.ratios = ratiosOf(costOf(saturation.run.result), costOf(plain), costOf(libp2p))
  if (options.withFlatOut) measurement.flatOut = await runFloors(0)
}

function next({ configuration, points }: Measurement, options: MeasureOptions): number | undefined {
  if (options.rates !== undefined) return options.rates[points.length]
  const startRate = startRateOf(configuration.nodes, configuration.transactionBytes)
  return nextRate(points, { startRate, resolution: options.resolution, pointsMax: POINTS_MAX })
}
