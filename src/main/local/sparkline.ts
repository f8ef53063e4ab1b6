/** A row of bars, one for each figure: how something went of late. Pure. */

const BARS = '▁▂▃▄▅▆▇█'

/**
 * The last figures that fit, the newest at the right. The highest bar is the greatest of those that are shown, the lowest is
 * zero; where there is no figure, there is no bar.
 */
export function sparkline(figures: readonly (number | undefined)[], width: number): string {
  const shown = figures.slice(Math.max(0, figures.length - width))
  const greatest = Math.max(0, ...shown.map((figure) => figure ?? 0))
  return shown.map((figure) => bar(figure, greatest)).join('')
}

function bar(figure: number | undefined, greatest: number): string {
  if (figure === undefined) return ' '
  if (greatest === 0) return BARS[0]!
  const step = Math.floor((Math.max(0, figure) / greatest) * BARS.length)
  return BARS[Math.min(step, BARS.length - 1)]!
}

/** The last figures, oldest first. */
export class History {
  private readonly kept: (number | undefined)[] = []
  private readonly max: number

  constructor(max: number) {
    this.max = max
  }

  get figures(): readonly (number | undefined)[] {
    return this.kept
  }

  push(figure: number | undefined): void {
    this.kept.push(figure)
    if (this.kept.length > this.max) this.kept.shift()
  }
}
