/** Compares a run with an earlier one. Text and numbers only. */
import type { Environment } from './environment.js'
import type { Report } from './report.js'
import type { Row } from './row.js'
import { formatNumber } from './units.js'

export interface Comparison {
  /** For each row of now a cell: `×0.95`, now's time in earlier times; or `new`. */
  readonly cells: readonly string[]
  /** What else there is to say, a line each. */
  readonly notes: readonly string[]
}

/** What a row is compared by: its time for an op, else its median latency, else its time for a byte; all better if less. */
export function comparedFigure(row: Row): number | null {
  return row.ns_per_op ?? row.p50_ns ?? row.ns_per_byte
}

/** @param stages those that were run now: rows of others are no loss */
export function compare(
  now: Pick<Report<unknown>, 'environment' | 'rows'>,
  earlier: Pick<Report<unknown>, 'environment' | 'rows'>,
  stages: readonly string[],
): Comparison {
  const earlierRows = new Map(earlier.rows.map((row) => [nameOf(row), row]))
  const cells = now.rows.map((row) => {
    const before = earlierRows.get(nameOf(row))
    return before === undefined ? 'new' : ratio(comparedFigure(row), comparedFigure(before))
  })
  const nowNames = new Set(now.rows.map(nameOf))
  const lost = earlier.rows.filter((row) => stages.includes(row.stage) && !nowNames.has(nameOf(row)))
  const notRun = earlier.rows.filter((row) => !stages.includes(row.stage)).length
  return {
    cells,
    notes: [
      ...differences(now.environment, earlier.environment),
      ...now.rows.filter((_, index) => cells[index] === 'new').map((row) => `only now: ${nameOf(row)}`),
      ...lost.map((row) => `only earlier: ${nameOf(row)}`),
      ...(notRun > 0 ? [`${notRun} earlier rows are of stages that were not run now`] : []),
    ],
  }
}

function nameOf(row: Row): string {
  return `${row.stage}: ${row.case}`
}

function ratio(now: number | null, earlier: number | null): string {
  if (now === null || earlier === null || earlier === 0) return '-'
  return `×${formatNumber(now / earlier)}`
}

/** A warning if figures of the two cannot be compared. */
function differences(now: Environment, earlier: Environment): string[] {
  const keys = ['cpu', 'cores', 'memory_bytes', 'kernel', 'node'] as const
  const different = keys.filter((key) => now[key] !== earlier[key])
  if (different.length === 0) return []
  const what = different.map((key) => `${key} ${earlier[key]}, now ${now[key]}`).join('; ')
  return [`warning: made with something else, so ratios say little: ${what}`]
}
