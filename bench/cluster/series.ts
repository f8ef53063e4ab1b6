/** What the plot shows: panels, each with one series for each configuration and percentile. */
import type { AckLevel } from '../floor/options.js'
import type { Choices, Configuration } from './configuration.js'
import { baseOf } from './configuration.js'
import type { Measurement } from './measurement.js'

export type Percentile = 'p50' | 'p99'

export interface Series {
  /** The same for both percentiles of a configuration. */
  readonly name: string
  readonly percentile: Percentile
  /** Certified MB/s of transactions, and milliseconds; in the order of the offered rates. */
  readonly points: readonly (readonly [number, number])[]
}

export interface Panel {
  readonly title: string
  readonly series: readonly Series[]
}

/** For each level: the sizes at the base's nodes, and the numbers of nodes at the base's size, where there are several. */
export function panelsOf(choices: Choices, measurements: readonly Measurement[]): Panel[] {
  const base = baseOf(choices)
  const panel = (
    level: AckLevel,
    title: string,
    isShown: (configuration: Configuration) => boolean,
    nameOf: (configuration: Configuration) => string,
    order: (configuration: Configuration) => number,
  ): Panel => ({
    title: `${title}, ACK level ${level}`,
    series: measurements
      .filter(({ configuration }) => configuration.ackLevel === level && isShown(configuration))
      .sort((a, b) => order(a.configuration) - order(b.configuration))
      .flatMap((measurement) => seriesOf(nameOf(measurement.configuration), measurement)),
  })
  return choices.levels.flatMap((level) => {
    const sizes = panel(
      level,
      `Transaction sizes, ${base.nodes} nodes`,
      ({ nodes }) => nodes === base.nodes,
      ({ transactionBytes }) => `${transactionBytes} B`,
      ({ transactionBytes }) => transactionBytes,
    )
    const nodes = panel(
      level,
      choices.nodes.length > 1
        ? `Committee sizes, ${base.transactionBytes} B`
        : `${base.nodes} nodes, ${base.transactionBytes} B`,
      ({ transactionBytes }) => transactionBytes === base.transactionBytes,
      (configuration) => `${configuration.nodes} nodes`,
      (configuration) => configuration.nodes,
    )
    const wanted = [...(choices.sizes.length > 1 ? [sizes] : []), ...(choices.nodes.length > 1 ? [nodes] : [])]
    return (wanted.length > 0 ? wanted : [nodes]).filter(({ series }) => series.length > 0)
  })
}

/** A point without a latency, because nothing was certified, is left out; a percentile without a point too. */
function seriesOf(name: string, { points }: Measurement): Series[] {
  const sorted = [...points].sort((a, b) => a.rate - b.rate)
  return (['p50', 'p99'] as const).flatMap((percentile) => {
    const shown = sorted.flatMap(({ run }) => {
      const { bps, latency_ms } = run.result.certified
      const latencyMs = latency_ms[percentile]
      // The axis is logarithmic: a latency below a millisecond stands at one.
      return latencyMs === null ? [] : [[bps / 1e6, Math.max(1, latencyMs)] as const]
    })
    return shown.length === 0 ? [] : [{ name, percentile, points: shown }]
  })
}
