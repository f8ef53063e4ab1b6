/** The tables of the report, for the terminal and for the page alike. */
import type { Report, ThreadReport } from './report.js'
import { STAGES, type Stage } from './stages.js'

export interface Cell {
  readonly text: string
  /** Draws the cell's share of a whole, 0 to 1, behind it. */
  readonly bar?: number
}

export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  /** As many of the first columns are text, and stand left. */
  readonly textColumns: number
  readonly rows: readonly (readonly Cell[])[]
  /** As many of the last rows are no parts, but sums and remainders. */
  readonly sumRows: number
}

const NOTHING: Cell = { text: '' }

/** `123`, `12.3`, `0.12`; nothing for 0. */
export function ms(value: number | undefined): string {
  if (value === undefined || value === 0) return ''
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2)
}

export function percent(share: number | undefined): string {
  return share === undefined ? '' : `${(share * 100).toFixed(1)} %`
}

export function threadTable(report: Report): Table {
  const rows = report.threads.map((thread) => [
    { text: thread.name },
    { text: ms(thread.cpu) },
    { text: percent(thread.cpu / report.cpu), bar: thread.cpu / report.cpu },
    { text: percent(thread.utilisation) },
    { text: ms(thread.waiting) },
    { text: percent(thread.gcShare) },
    { text: ms(thread.gcTime) },
    { text: thread.gcMajor === undefined ? '' : String(thread.gcMajor) },
    { text: thread.folded === undefined ? '' : `${thread.folded.counted} of ${thread.folded.samples}` },
  ])
  const total = [{ text: 'the node' }, { text: ms(report.cpu) }, { text: percent(1) }]
  return {
    title: 'Threads',
    columns: [
      'thread',
      'CPU ms/s',
      'of the node',
      'loop utilisation',
      'waited for a core ms/s',
      'GC of its CPU',
      'GC ms/s',
      'full GCs',
      'samples counted',
    ],
    textColumns: 1,
    rows: [...rows, [...total, ...Array.from({ length: 6 }, () => NOTHING)]],
    sumRows: 1,
  }
}

/** Milliseconds of CPU in a second, by stage and thread; native threads share a column. */
export function stageTable(report: Report): Table {
  const scripts = report.threads.filter(({ isNative }) => !isNative)
  const native = report.threads.filter(({ isNative }) => isNative)
  const columns: ThreadReport[][] = [...scripts.map((thread) => [thread]), native]
  const byColumn = (value: (thread: ThreadReport) => number): number[] =>
    columns.map((threads) => threads.reduce((total, thread) => total + value(thread), 0))
  const row = (stage: Stage, cpu: ReadonlyMap<string, number>): Cell[] => {
    const values = byColumn(({ name }) => cpu.get(name) ?? 0)
    const total = values.reduce((a, b) => a + b, 0)
    return [
      { text: STAGES[stage] },
      ...values.map((value) => ({ text: ms(value) })),
      { text: ms(total) },
      { text: percent(total / report.cpu), bar: total / report.cpu },
      { text: nsPerByte(total, report) },
    ]
  }
  const asleep = scripts.map(({ cpu, waiting }) => Math.max(0, 1000 - cpu - (waiting ?? 0)))
  return {
    title: 'Time per stage',
    columns: ['stage, CPU ms/s', ...scripts.map(({ name }) => name), 'native', 'all', 'of the node', 'ns/byte'],
    textColumns: 1,
    rows: [
      ...[...report.stages].map(([stage, cpu]) => row(stage, cpu)),
      [
        { text: 'all' },
        ...byColumn(({ cpu }) => cpu).map((value) => ({ text: ms(value) })),
        { text: ms(report.cpu) },
        { text: percent(1) },
        { text: nsPerByte(report.cpu, report) },
      ],
      [
        { text: 'ready, without a core' },
        ...byColumn(({ waiting }) => waiting ?? 0).map((value) => ({ text: ms(value) })),
      ],
      [{ text: 'idle' }, ...asleep.map((value) => ({ text: ms(value) }))],
    ].map((cells) => [...cells, ...Array.from({ length: columns.length + 4 - cells.length }, () => NOTHING)]),
    sumRows: 3,
  }
}

export function functionTable(report: Report): Table {
  return {
    title: 'Functions with the most CPU of their own',
    columns: ['function', 'where', 'thread', 'stage', 'CPU ms/s', 'of the node'],
    textColumns: 4,
    rows: report.functions.map(({ name, where, thread, stage, cpu }) => [
      { text: name },
      { text: where },
      { text: thread },
      { text: STAGES[stage].split(/[:,]/)[0]! },
      { text: ms(cpu) },
      { text: percent(cpu / report.cpu), bar: cpu / report.cpu },
    ]),
    sumRows: 0,
  }
}

/** Nanoseconds of CPU for each byte of a transaction in an own, certified batch; nothing where none was certified. */
export function nsPerByte(cpu: number, { bytesPerS }: Pick<Report, 'bytesPerS'>): string {
  return bytesPerS === 0 ? '' : ((cpu * 1e6) / bytesPerS).toFixed(2)
}

/** The table for a terminal: its title, its headings, its rows, in columns. */
export function drawTable({ title, columns, textColumns, rows, sumRows }: Table): string {
  const cells = [columns, ...rows.map((row) => row.map(({ text }) => text))]
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  const lines = cells.map((row) =>
    row
      .map((text, column) => (column < textColumns ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
  const rule = '-'.repeat(widths.reduce((total, width) => total + width + 2, -2))
  if (sumRows > 0) lines.splice(-sumRows, 0, rule)
  return [title, rule, ...lines].join('\n')
}
