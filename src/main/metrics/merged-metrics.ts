/**
 * The metrics of an authority: those of its primary, and of each of its workers with a label that says which. A family that
 * more than one of them has is written once, with the rows of all; what is of the process is there once.
 */
import type { Registry } from 'prom-client'

export interface MetricsPart {
  readonly registry: Registry
  /** Goes to every row of it. */
  readonly labels?: Readonly<Record<string, string>>
}

/** Families of the process: the first part has them for all. */
const OF_THE_PROCESS = /^(process_|narval_build_info$|narval_rss_bytes_max$)/

export class MergedMetrics {
  private readonly parts: readonly MetricsPart[]

  /** @param parts at least one; their registries are theirs alone, and get the labels */
  constructor(parts: readonly MetricsPart[]) {
    this.parts = parts
    for (const { labels = {}, registry } of parts) registry.setDefaultLabels({ ...labels })
  }

  get contentType(): string {
    return this.parts[0]!.registry.contentType
  }

  /** All of them in Prometheus' text format. */
  async text(): Promise<string> {
    const families = new Map<string, string>()
    for (const { registry } of this.parts) {
      for (const { name } of registry.getMetricsAsArray()) {
        const before = families.get(name)
        if (before !== undefined && OF_THE_PROCESS.test(name)) continue
        const family = await registry.getSingleMetricAsString(name)
        families.set(name, before === undefined ? family : `${before}${rowsOf(family)}`)
      }
    }
    return `${[...families.values()].join('\n\n')}\n`
  }
}

/** Without its help and its type, which stand in front of the rows of the first. */
function rowsOf(family: string): string {
  return family
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => `\n${line}`)
    .join('')
}
