/** What the bench prints, and its JSON. */
import type { Result } from '../../src/main/local/result.js'
import type { FloorResult } from '../floor/result.js'
import type { Environment } from '../lib/environment.js'
import { drawTable } from '../lib/table.js'
import { nameOf } from './configuration.js'
import type { Floors, MeasuredPoint, Measurement } from './measurement.js'
import { costOf } from './ratios.js'
import { follows, saturationOf } from './saturation.js'

const COLUMNS = [
  ['what', 8],
  ['offered tx/s', 12],
  ['certified', 10],
  ['MB/s', 6],
  ['p50 ms', 7],
  ['p99 ms', 7],
  ['ns/B', 6],
  ['user', 6],
  ['system', 6],
  ['lost', 7],
  ['disk MB', 7],
  ['run s', 5],
] as const

/** The header of the table that grows by a line with each run. */
export function tableHeader(): string {
  return row(COLUMNS.map(([title]) => title))
}

export function pointLine(point: MeasuredPoint): string {
  const { result, disk_write_bytes, elapsed_s } = point.run
  return line('product', result, disk_write_bytes, elapsed_s) + (follows(point) ? '' : '  saturated')
}

export function floorLine(floor: FloorResult): string {
  const name = floor.kind === 'plain' ? 'floor' : floor.kind
  return line(name, floor, floor.disk_write_bytes, floor.elapsed_s)
}

function line(what: string, result: Result, diskWriteBytes: number | null, elapsedS: number): string {
  const { config, certified, lost_transactions } = result
  const cost = costOf(result)
  return row([
    what,
    config.rate === 0 ? 'flat out' : String(config.rate),
    String(Math.round(certified.tps)),
    (certified.bps / 1e6).toFixed(1),
    figure(certified.latency_ms.p50),
    figure(certified.latency_ms.p99),
    figure(cost.total),
    figure(cost.user),
    figure(cost.system),
    String(lost_transactions),
    diskWriteBytes === null ? '-' : String(Math.round(diskWriteBytes / 1e6)),
    String(elapsedS),
  ])
}

function row(cells: readonly string[]): string {
  return cells.map((cell, at) => (at === 0 ? cell.padEnd(COLUMNS[0][1]) : cell.padStart(COLUMNS[at]![1]))).join('  ')
}

function figure(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : String(value)
}

/**
 * One line for each configuration: where the product saturates, and what a byte costs there, beside the floors, where they
 * were measured.
 */
export function summaryLines(measurements: readonly Measurement[]): string[] {
  const header = ['configuration', 'tx/s', 'MB/s', 'p50 ms', 'ns/B', 'libp2p', 'floor']
  const rows = measurements.map(({ configuration, points, floors, ratios }) => {
    const { result } = saturationOf(points)!.run
    return [
      nameOf(configuration),
      String(Math.round(result.certified.tps)),
      (result.certified.bps / 1e6).toFixed(1),
      figure(result.certified.latency_ms.p50),
      figure(costOf(result).total),
      figure(floors && costOf(floors.libp2p).total),
      figure(floors && costOf(floors.plain).total),
      figure(ratios?.product_to_libp2p),
      figure(ratios?.product_to_floor),
      figure(ratios?.product_to_floor_user),
      figure(ratios?.product_to_floor_system),
    ]
  })
  return drawTable([...header, '÷ libp2p', '÷ floor', 'user ÷', 'system ÷'], rows)
}

/** What a reader of the tables has to know. */
export const NOTES = [
  'ns/B: CPU of all nodes by certified bytes of transactions, user and system; ÷: the product by a floor at the same rate.',
  'Latency of the product is from a transaction at its client, that of a floor from the first byte of a batch at its author.',
  'disk MB: all that reached the disk meanwhile, whoever wrote it.',
]

/** The shape of the JSON file; keys are in the style of `local`'s. */
export function toJson(
  environment: Environment,
  durationS: number,
  measurements: readonly Measurement[],
  elapsedS: number,
) {
  return {
    environment,
    duration_s: durationS,
    elapsed_s: Math.round(elapsedS),
    configurations: measurements.map(({ configuration, points, floors, ratios, flatOut }) => {
      const saturation = saturationOf(points)
      return {
        nodes: configuration.nodes,
        size: configuration.transactionBytes,
        ack_level: configuration.ackLevel,
        points: points.map((point) => ({ rate: point.rate, follows: follows(point), ...productJson(point) })),
        saturation: saturation === undefined ? null : { rate: saturation.rate, certified_tps: saturation.certifiedTps },
        floors: floorsJson(floors),
        flat_out: floorsJson(flatOut),
        ratios: ratios ?? null,
      }
    }),
  }
}

function productJson({ run }: MeasuredPoint) {
  return { ...run, ns_per_transaction_byte: costOf(run.result) }
}

function floorsJson(floors: Floors | undefined) {
  if (floors === undefined) return null
  const withCost = (floor: FloorResult) => ({ ...floor, ns_per_transaction_byte: costOf(floor) })
  return { plain: withCost(floors.plain), libp2p: withCost(floors.libp2p) }
}
