/** Reads Prometheus' text format, as much of it as prom-client writes. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Samples by metric name; a histogram's parts stand under their own names (`…_sum`, `…_count`, `…_bucket`). */
export type Metrics = ReadonlyMap<string, readonly Sample[]>

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g

export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, Sample[]>()
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue
    const match = LINE.exec(line)
    if (match === null) continue
    const sample = { labels: parseLabels(match[2] ?? ''), value: parseValue(match[3]!) }
    const samples = metrics.get(match[1]!)
    if (samples === undefined) metrics.set(match[1]!, [sample])
    else samples.push(sample)
  }
  return metrics
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name, value] of text.matchAll(LABEL)) {
    labels[name!] = value!.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character))
  }
  return labels
}

function parseValue(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  return Number(text)
}

/** The sum over all labels of a metric; 0 where it is not there. */
export function sumOf(metrics: Metrics, name: string): number {
  let sum = 0
  for (const sample of metrics.get(name) ?? []) sum += sample.value
  return sum
}

/** A metric by the value of one label. */
export function byLabel(metrics: Metrics, name: string, label: string): Map<string, number> {
  const values = new Map<string, number>()
  for (const sample of metrics.get(name) ?? []) {
    const key = sample.labels[label]
    if (key !== undefined) values.set(key, (values.get(key) ?? 0) + sample.value)
  }
  return values
}

/** The greatest value over all labels of a metric; 0 where it is not there. */
export function greatestOf(metrics: Metrics, name: string): number {
  return Math.max(0, ...(metrics.get(name) ?? []).map(({ value }) => value))
}
