/**
 * Text with colours, as long as it is not written: its width is that of its characters, so it can be cut to a terminal.
 * Colours are added last, or not at all. Pure.
 */

export type Style = 'plain' | 'dim' | 'bold' | 'good' | 'warning' | 'bad'

export interface Piece {
  readonly text: string
  readonly style: Style
}

/** A line without its line feed. Each character takes one column. */
export type StyledLine = readonly Piece[]

export function styled(text: string, style: Style = 'plain'): Piece {
  return { text, style }
}

/** ECMA-48 Select Graphic Rendition. */
const CODES: Readonly<Record<Exclude<Style, 'plain'>, string>> = {
  dim: '2',
  bold: '1',
  good: '32',
  warning: '33',
  bad: '31',
}

export function widthOf(line: StyledLine): number {
  return line.reduce((sum, { text }) => sum + text.length, 0)
}

/** The line as it is written. */
export function paint(line: StyledLine, hasColours: boolean): string {
  if (!hasColours) return line.map(({ text }) => text).join('')
  return line.map(({ style, text }) => (style === 'plain' ? text : `\u001b[${CODES[style]}m${text}\u001b[0m`)).join('')
}

/** No wider than a terminal: a line that wraps would spoil the count of lines to go up by. */
export function clip(line: StyledLine, columns: number): StyledLine {
  if (widthOf(line) <= columns) return line
  const cut: Piece[] = []
  let left = Math.max(0, columns - 1)
  for (const { style, text } of line) {
    if (left === 0) break
    cut.push({ style, text: text.slice(0, left) })
    left -= Math.min(left, text.length)
  }
  return columns < 1 ? [] : [...cut, styled('…')]
}

/** What to write so that `lines` stand where `linesBefore` lines stood: up, clear to the end, and the lines. */
export function redraw(linesBefore: number, lines: readonly string[]): string {
  const up = linesBefore === 0 ? '' : `\u001b[${linesBefore}A\r\u001b[J`
  return `${up}${lines.map((line) => `${line}\n`).join('')}`
}

/**
 * Whether to colour what is written to a stream, as Node itself decides: FORCE_COLOR is asked first (`0` and `false` mean
 * no), then NO_COLOR, then whether the stream is a terminal that has colours.
 */
export function wantsColours(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  const { FORCE_COLOR: forced, NO_COLOR: none, TERM: terminal } = env
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  if (none !== undefined && none !== '') return false
  return isTerminal && terminal !== 'dumb'
}
