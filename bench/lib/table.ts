/** Draws a table as text. */

/**
 * The lines of a table, without line feeds: the header, then the rows. A column of figures is aligned to the right, any
 * other to the left.
 *
 * @param header titles of the columns
 * @param rows as many cells each as there are columns; an empty cell or `-` is no value
 */
export function drawTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [header, ...rows]
  const columns = header.map((_, column) => ({
    width: Math.max(...lines.map((cells) => cells[column]?.length ?? 0)),
    isFigures: rows.length > 0 && rows.every((cells) => isFigure(cells[column] ?? '')),
  }))
  return lines.map((cells) =>
    columns
      .map(({ width, isFigures }, column) => {
        const cell = cells[column] ?? ''
        return isFigures ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}

/** A cell that begins as a number does, or has no value. */
function isFigure(cell: string): boolean {
  return cell === '' || cell === '-' || /^[-+±×]?\d/.test(cell)
}
