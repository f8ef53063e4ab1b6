/** Draws the live table: text in, text out. */
import type { NodeStats } from './node-stats.js'

export interface TableRow {
  /** `0`, or `0-1` where authorities have several workers. */
  readonly name: string
  /** undefined while the node does not answer. */
  readonly stats: NodeStats | undefined
}

const HEADINGS = ['node', 'tx/s', 'MB/s', 'in flight', 'memory', 'store', 'ACK ms by peer']

/** The lines of the table, without line feeds: a heading, one line per node, the committee's sum. */
export function drawTable(rows: readonly TableRow[]): string[] {
  const cells = [HEADINGS, ...rows.map(rowCells), sumCells(rows)]
  const widths = HEADINGS.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells.map((row) =>
    row
      .map((cell, column) => pad(cell, widths[column]!, column))
      .join('  ')
      .trimEnd(),
  )
}

function pad(cell: string, width: number, column: number): string {
  const isText = column === 0 || column === HEADINGS.length - 1
  return isText ? cell.padEnd(width) : cell.padStart(width)
}

function rowCells(row: TableRow): string[] {
  const { name, stats } = row
  if (stats === undefined) return [name, '-', '-', '-', '-', '-', '-']
  return [
    name,
    Math.round(stats.transactionsPerS).toLocaleString('en-US'),
    (stats.bytesPerS / 1e6).toFixed(1),
    String(stats.batchesInFlight),
    formatBytes(stats.rssBytes),
    formatBytes(stats.storeBytes),
    formatAcks(stats.ackMsByPeer),
  ]
}

function sumCells(rows: readonly TableRow[]): string[] {
  const sum = (pick: (stats: NodeStats) => number): number =>
    rows.reduce((total, row) => total + (row.stats === undefined ? 0 : pick(row.stats)), 0)
  return [
    'all',
    Math.round(sum((stats) => stats.transactionsPerS)).toLocaleString('en-US'),
    (sum((stats) => stats.bytesPerS) / 1e6).toFixed(1),
    String(sum((stats) => stats.batchesInFlight)),
    formatBytes(sum((stats) => stats.rssBytes)),
    formatBytes(sum((stats) => stats.storeBytes)),
    '',
  ]
}

function formatAcks(ackMsByPeer: ReadonlyMap<string, number>): string {
  if (ackMsByPeer.size === 0) return '-'
  return [...ackMsByPeer].map(([peer, ms]) => `${peer}: ${ms < 100 ? ms.toFixed(1) : Math.round(ms)}`).join('  ')
}

/** Bytes as a person reads them, in powers of 1000. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(0)} MB`
  return `${(bytes / 1e9).toFixed(2)} GB`
}

/** A line no wider than a terminal: a wrapped one would spoil the count of lines to go up by. */
export function clip(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`
}

/** What to write so that `lines` stand where `linesBefore` lines stood: up, clear to the end, and the lines. */
export function redraw(linesBefore: number, lines: readonly string[], columns: number): string {
  const up = linesBefore === 0 ? '' : `\u001b[${linesBefore}A\r\u001b[J`
  return `${up}${lines.map((line) => `${clip(line, columns)}\n`).join('')}`
}
