/** Lays cells out in columns that fit a terminal. Pure. */
import { type Piece, type StyledLine, styled } from './styled-text.js'

export interface Column {
  /** Over columns that belong together; the same text in neighbours is written once. */
  readonly group: string
  readonly heading: string
  readonly isText?: boolean
  /** Columns with the least go first where there is no room for all. */
  readonly priority: number
}

const GAP = '  '

/**
 * A line of groups, a line of headings, and a line for each row. Columns that do not fit are left out; the first one stays.
 */
export function layOut(columns: readonly Column[], rows: readonly StyledLine[], width: number): StyledLine[] {
  const widths = columns.map(({ heading }, index) =>
    Math.max(heading.length, ...rows.map((row) => row[index]!.text.length)),
  )
  const shown = fitting(columns, widths, width)
  const groups = groupLine(columns, widths, shown)
  const headings = columns.map(({ heading }) => styled(heading, 'dim'))
  return [groups, ...[headings, ...rows].map((cells) => lineOf(cells, columns, widths, shown))]
}

/** Indices of the columns that are shown, in order. */
function fitting(columns: readonly Column[], widths: readonly number[], width: number): number[] {
  const shown = columns.map((_, index) => index)
  const needed = (): number => shown.reduce((sum, index) => sum + widths[index]! + GAP.length, -GAP.length)
  while (shown.length > 1 && needed() > width) {
    const least = shown.slice(1).reduce((a, b) => (columns[b]!.priority <= columns[a]!.priority ? b : a))
    shown.splice(shown.indexOf(least), 1)
  }
  return shown
}

function lineOf(
  cells: StyledLine,
  columns: readonly Column[],
  widths: readonly number[],
  shown: readonly number[],
): StyledLine {
  const line: Piece[] = []
  for (const [place, index] of shown.entries()) {
    const { style, text } = cells[index]!
    const padding = ' '.repeat(widths[index]! - text.length)
    const isLast = place === shown.length - 1
    if (place > 0) line.push(styled(GAP))
    if (columns[index]!.isText) line.push({ style, text }, ...(isLast ? [] : [styled(padding)]))
    else line.push(styled(padding), { style, text })
  }
  return trimmed(line)
}

function groupLine(columns: readonly Column[], widths: readonly number[], shown: readonly number[]): StyledLine {
  let line = ''
  let at = 0
  for (const [place, index] of shown.entries()) {
    const { group } = columns[index]!
    const isFirst = place === 0 || columns[shown[place - 1]!]!.group !== group
    if (isFirst && group !== '') {
      let width = -GAP.length
      for (let next = place; next < shown.length && columns[shown[next]!]!.group === group; next += 1) {
        width += widths[shown[next]!]! + GAP.length
      }
      line = line.padEnd(at) + centred(group, width)
    }
    at += widths[index]! + GAP.length
  }
  return [styled(line, 'dim')]
}

function centred(text: string, width: number): string {
  if (text.length >= width) return text.slice(0, Math.max(0, width))
  const before = Math.floor((width - text.length - 2) / 2)
  if (before < 1) return text.padStart(Math.ceil((width + text.length) / 2))
  return `${'─'.repeat(before)} ${text} ${'─'.repeat(width - text.length - 2 - before)}`
}

function trimmed(line: readonly Piece[]): StyledLine {
  let end = line.length
  while (end > 0 && line[end - 1]!.text.trim() === '') end -= 1
  return line.slice(0, end)
}
