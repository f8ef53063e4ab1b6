/** Draws the live view of a committee: figures in, lines out. Pure. */
import type { Agreement } from './agreement.js'
import { type Column, layOut } from './columns.js'
import type { Latencies } from './latencies.js'
import type { StageLatencies } from './ledger.js'
import type { NodeStats } from './node-stats.js'
import { sparkline } from './sparkline.js'
import { clip, type Style, type StyledLine, styled } from './styled-text.js'

export interface ViewHead {
  readonly authorities: number
  /** Those that are left out. */
  readonly faults: number
  readonly quorum: number
  readonly rule: string
  readonly rate: number
  readonly transactionBytes: number
}

export interface ViewRow {
  /** The authority's number. */
  readonly name: string
  /** undefined while the node does not answer for its metrics. */
  readonly stats: NodeStats | undefined
  /** The last commit that its application has read, and how many a second of late. */
  readonly commit: number
  readonly commitsPerS: number
  /** Its own transactions that were certified, and everybody's that its application has read. */
  readonly certifiedPerS: number
  readonly orderedPerS: number
  /** Of its client's samples, of late. */
  readonly latencies: StageLatencies
}

export interface ViewState {
  readonly head: ViewHead
  readonly elapsedS: number
  readonly rows: readonly ViewRow[]
  /** Of all clients' samples, of late. */
  readonly latencies: StageLatencies
  readonly logs: Pick<Agreement, 'count' | 'difference' | 'digest'>
  /** Of late, oldest first: transactions a second that all applications have read, and p99 end to end, ms. */
  readonly throughput: readonly (number | undefined)[]
  readonly p99Ms: readonly (number | undefined)[]
}

/** What there is to draw on; infinite where it is no terminal. */
export interface Canvas {
  readonly columns: number
  readonly rows: number
}

/** Figures that a sparkline has at most: a minute of a terminal. */
export const SPARKLINE_FIGURES_MAX = 60

const COLUMNS: readonly Column[] = [
  { group: '', heading: 'node', isText: true, priority: 9 },
  { group: '', heading: 'round', priority: 4 },
  { group: '', heading: 'commit', priority: 7 },
  { group: '', heading: 'commits/s', priority: 5 },
  { group: 'tx/s', heading: 'certified', priority: 6 },
  { group: 'tx/s', heading: 'ordered', priority: 8 },
  { group: 'latency p50/p99, ms', heading: 'certified', priority: 6 },
  { group: 'latency p50/p99, ms', heading: 'ordered', priority: 6 },
  { group: 'latency p50/p99, ms', heading: 'end to end', priority: 9 },
  { group: '', heading: 'in flight', priority: 1 },
  { group: '', heading: 'memory', priority: 3 },
  { group: '', heading: 'store', priority: 2 },
  { group: '', heading: 'ACK ms by peer', isText: true, priority: 0 },
]

/** The lines of the view, none wider than the canvas and, where there are rows of nodes to leave out, no more than fit. */
export function drawView(state: ViewState, { columns, rows }: Canvas): StyledLine[] {
  const furthest = Math.max(0, ...state.rows.map(({ commit }) => commit))
  const fastest = Math.max(0, ...state.rows.map(({ commitsPerS }) => commitsPerS))
  const cells = state.rows.map((row) => rowCells(row, lagOf(row, furthest, fastest)))
  const table = layOut(COLUMNS, [...cells, sumCells(state)], columns)
  const lines: StyledLine[] = [
    headLine(state),
    [],
    ...fitRows(table, rows - FRAME_LINES),
    [],
    ...trendLines(state, columns),
    logsLine(state),
  ]
  return lines.map((line) => clip(line, columns))
}

/** What stands around the rows of nodes: head, groups, headings, sum, two trends, logs, and two empty lines; and the cursor. */
const FRAME_LINES = 10

/** @param table groups, headings, a row for each node, the sum */
function fitRows(table: readonly StyledLine[], nodesMax: number): StyledLine[] {
  const nodes = table.length - 3
  if (nodes <= Math.max(1, nodesMax)) return [...table]
  const shown = Math.max(1, nodesMax - 1)
  const left = [styled(`… ${nodes - shown} more`, 'dim')]
  return [...table.slice(0, 2 + shown), left, table.at(-1)!]
}

function headLine({ elapsedS, head }: ViewState): StyledLine {
  const { authorities, faults, rate, rule, transactionBytes } = head
  const out = faults === 0 ? '' : `, ${faults} left out`
  return [
    styled('narval', 'bold'),
    styled(
      `  ${authorities} authorities${out} · ${rule} · ${count(rate)} tx/s of ${transactionBytes} B · ${formatElapsed(elapsedS)}`,
    ),
  ]
}

type Lag = 'none' | 'some' | 'far'

/** Commits behind which an authority lags: fewer are what is on its way. */
const LAG_COMMITS_MIN = 3
/** Behind by what the fastest reads in so many seconds, it lags far. */
const LAG_FAR_S = 5

/** An authority lags that is more than a second behind the one that has read most. */
export function lagOf({ commit }: Pick<ViewRow, 'commit'>, furthest: number, commitsPerS: number): Lag {
  const behind = furthest - commit
  if (behind < Math.max(LAG_COMMITS_MIN, commitsPerS)) return 'none'
  return behind < Math.max(LAG_COMMITS_MIN, LAG_FAR_S * commitsPerS) ? 'some' : 'far'
}

const LAG_STYLES: Readonly<Record<Lag, Style>> = { none: 'plain', some: 'warning', far: 'bad' }

function rowCells(row: ViewRow, lag: Lag): StyledLine {
  const { commit, commitsPerS, certifiedPerS, latencies, name, orderedPerS, stats } = row
  const style = stats === undefined ? 'bad' : LAG_STYLES[lag]
  const ofNode = (show: (found: NodeStats) => string): string => (stats === undefined ? '-' : show(stats))
  return [
    styled(lag === 'none' ? name : `${name} lags`, style),
    styled(ofNode(({ round }) => (round === undefined ? '-' : count(round)))),
    styled(count(commit), style),
    styled(commitsPerS.toFixed(1)),
    styled(count(certifiedPerS)),
    styled(count(orderedPerS)),
    ...latencyCells(latencies),
    styled(ofNode(({ batchesInFlight }) => String(batchesInFlight))),
    styled(ofNode(({ rssBytes }) => formatBytes(rssBytes))),
    styled(ofNode(({ storeBytes }) => formatBytes(storeBytes))),
    styled(
      ofNode(({ ackMsByPeer }) => formatAcks(ackMsByPeer)),
      'dim',
    ),
  ]
}

function sumCells({ latencies, logs, rows, throughput }: ViewState): StyledLine {
  const sum = (pick: (stats: NodeStats) => number): number =>
    rows.reduce((total, { stats }) => total + (stats === undefined ? 0 : pick(stats)), 0)
  const slowest = Math.min(...rows.map(({ commitsPerS }) => commitsPerS))
  return [
    styled('all', 'bold'),
    styled(''),
    styled(count(logs.count)),
    styled(slowest.toFixed(1)),
    styled(count(rows.reduce((total, { certifiedPerS }) => total + certifiedPerS, 0))),
    styled(count(throughput.at(-1) ?? 0)),
    ...latencyCells(latencies),
    styled(String(sum(({ batchesInFlight }) => batchesInFlight))),
    styled(formatBytes(sum(({ rssBytes }) => rssBytes))),
    styled(formatBytes(sum(({ storeBytes }) => storeBytes))),
    styled(''),
  ]
}

function latencyCells({ certified, endToEnd, ordered }: StageLatencies): StyledLine {
  return [certified, ordered, endToEnd].map((latencies) => styled(formatLatency(latencies)))
}

function formatLatency(latencies: Latencies): string {
  if (latencies.count === 0) return '-'
  return `${count(latencies.percentileMs(0.5)!)}/${count(latencies.percentileMs(0.99)!)}`
}

function trendLines({ p99Ms, throughput }: ViewState, columns: number): StyledLine[] {
  const last = throughput.at(-1)
  const lastP99 = p99Ms.at(-1)
  return [
    trendLine('tx/s ordered', throughput, last === undefined ? '-' : count(last), columns),
    trendLine('p99 end to end', p99Ms, lastP99 === undefined ? '-' : `${count(lastP99)} ms`, columns),
  ]
}

const TREND_NAME_WIDTH = 16

function trendLine(name: string, figures: readonly (number | undefined)[], last: string, columns: number): StyledLine {
  const width = Math.min(SPARKLINE_FIGURES_MAX, Math.max(0, columns - TREND_NAME_WIDTH - last.length - 1))
  return [styled(name.padEnd(TREND_NAME_WIDTH), 'dim'), styled(sparkline(figures, width)), styled(` ${last}`)]
}

/** One line that says whether all logs agree. */
function logsLine({ head, logs, rows }: ViewState): StyledLine {
  const { authorities, faults, quorum } = head
  if (logs.difference !== undefined) {
    const {
      authorities: [a, b],
      index,
    } = logs.difference
    return [styled(`THE LOGS DIFFER: commit ${index} of authorities ${a} and ${b}`, 'bad')]
  }
  if (authorities - faults < quorum) {
    const text = `Nothing is ordered: ${authorities - faults} of ${authorities} run, and ${quorum} are a quorum`
    return [styled(text, 'warning')]
  }
  const stall = stallText(rows.map(({ stats }) => stats))
  if (stall !== undefined) return [styled(stall, 'bad')]
  if (logs.digest === undefined) return [styled('No commit is read by all yet', 'dim')]
  const furthest = Math.max(...rows.map(({ commit }) => commit))
  const behind = furthest - logs.count
  const ahead = behind === 0 ? '' : `, the furthest is ${count(behind)} ahead`
  const commits = `${count(logs.count)} commit${logs.count === 1 ? '' : 's'}, up to ${logs.digest.slice(0, 16)}…${ahead}`
  if (rows.length === 1) return [styled(`The log of the one authority has ${commits}`)]
  return [styled(`All ${rows.length} logs agree`, 'good'), styled(` on ${commits}`)]
}

/** Why nothing is ordered, by what most of the nodes that stand say; undefined while something is. */
export function stallText(nodes: readonly (NodeStats | undefined)[]): string | undefined {
  const said = nodes.flatMap((stats) => (stats?.missing === undefined ? [] : stats.missing))
  if (said.length === 0 || nodes.some((stats) => stats !== undefined && stats.missing === undefined)) return undefined
  const [most] = [...said].sort((a, b) => b.size - a.size)
  if (most!.size === 0) return 'Nothing is ordered, and nobody is known to be missing'
  const stake = [...most!.values()].reduce((sum, each) => sum + each, 0)
  const names = [...most!.keys()].sort()
  return `Nothing is ordered: stake ${stake} is missing, of ${names.length === 1 ? 'authority' : 'authorities'} ${names.join(', ')}`
}

function formatAcks(ackMsByPeer: ReadonlyMap<string, number>): string {
  if (ackMsByPeer.size === 0) return '-'
  return [...ackMsByPeer].map(([peer, ms]) => `${peer}: ${ms < 100 ? ms.toFixed(1) : Math.round(ms)}`).join('  ')
}

/** A whole number with thousands separators. */
function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** Bytes as a person reads them, in powers of 1000. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(0)} MB`
  return `${(bytes / 1e9).toFixed(2)} GB`
}

/** `0:07`, `12:34`, `1:02:03`. */
export function formatElapsed(seconds: number): string {
  const whole = Math.floor(seconds)
  const two = (value: number): string => String(value).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  return hours === 0 ? `${minutes}:${two(whole % 60)}` : `${hours}:${two(minutes)}:${two(whole % 60)}`
}
