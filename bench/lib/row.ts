/** One line of the results: what a stage did in one case. The names of the keys are those of the JSON files. */
import { formatBytesPerS, formatNumber, formatRate, formatTime } from './units.js'

export interface Row {
  readonly stage: string
  /** Unique within the stage. */
  readonly case: string
  /** What one op is. */
  readonly op: string
  /** Finished ops a second; null where only latency or CPU was measured. */
  readonly ops_per_s: number | null
  /** Time divided by ops: with several ops at once, less than the latency of one. */
  readonly ns_per_op: number | null
  /** Margin of `ns_per_op` at 95 % confidence, in per cent of it. */
  readonly rme_percent: number | null
  /** Latency of one op. */
  readonly p50_ns: number | null
  readonly p99_ns: number | null
  readonly bytes_per_s: number | null
  /** Time by the clock, or CPU time where the case says so. */
  readonly ns_per_byte: number | null
}

export interface RowName {
  readonly stage: string
  readonly case: string
  readonly op: string
}

const NOTHING = {
  ops_per_s: null,
  ns_per_op: null,
  rme_percent: null,
  p50_ns: null,
  p99_ns: null,
  bytes_per_s: null,
  ns_per_byte: null,
}

/** @param bytes of one op, where that means something */
export function rateRow(
  name: RowName,
  nsPerOp: number,
  bytes: number | undefined,
  margin: { readonly rme_percent?: number; readonly p50_ns?: number; readonly p99_ns?: number },
): Row {
  return {
    ...name,
    ...NOTHING,
    ops_per_s: 1e9 / nsPerOp,
    ns_per_op: nsPerOp,
    ...margin,
    ...(bytes !== undefined && { bytes_per_s: (bytes * 1e9) / nsPerOp, ns_per_byte: nsPerOp / bytes }),
  }
}

/** Of ops that wait for each other, or for something that is not measured: a rate would mean nothing. */
export function latencyRow(name: RowName, latency: { readonly p50_ns: number; readonly p99_ns: number }): Row {
  return { ...name, ...NOTHING, ...latency }
}

export function cpuRow(name: RowName, nsPerByte: number): Row {
  return { ...name, ...NOTHING, ns_per_byte: nsPerByte }
}

export const ROW_TITLES = ['stage', 'case', 'op', 'ops/s', 'time/op', 'margin or latency', 'bytes/s', 'ns/B']

/** The cells of a row, under ROW_TITLES. */
export function rowCells(row: Row): string[] {
  const cell = (value: number | null, format: (value: number) => string): string =>
    value === null ? '-' : format(value)
  return [
    row.stage,
    row.case,
    row.op,
    cell(row.ops_per_s, formatRate),
    cell(row.ns_per_op, formatTime),
    row.p50_ns === null || row.p99_ns === null
      ? cell(row.rme_percent, (percent) => `±${formatNumber(percent)} %`)
      : `p50 ${formatTime(row.p50_ns)}, p99 ${formatTime(row.p99_ns)}`,
    cell(row.bytes_per_s, formatBytesPerS),
    cell(row.ns_per_byte, formatNumber),
  ]
}
