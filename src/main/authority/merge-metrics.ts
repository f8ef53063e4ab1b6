/**
 * Metrics of several parts in one text of Prometheus' format, in which each family may stand once: what several have is put
 * under one head. Pure.
 */

/** A part's metrics, and the labels by which it is told from the others. */
export interface MetricsText {
  readonly text: string
  readonly labels?: Readonly<Record<string, string>>
}

interface Family {
  /** The first that has it. */
  readonly part: number
  readonly head: string[]
  readonly samples: string[]
}

/** Families of the process: those of the first part that has them are those of all. */
const OF_THE_PROCESS = /^(process_|narval_build_info$|narval_rss_bytes_max$)/

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (.*)$/

export function mergeMetrics(parts: readonly MetricsText[]): string {
  const families = new Map<string, Family>()
  for (const [part, { labels = {}, text }] of parts.entries()) {
    const more = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
    let family = familyOf(part)
    for (const line of text.split('\n')) {
      const [, kind, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? []
      if (name === undefined) {
        if (line !== '') family.samples.push(labelled(line, more))
        continue
      }
      const found = families.get(name)
      const isKnown = found !== undefined && found.part !== part && OF_THE_PROCESS.test(name)
      family = found === undefined || isKnown ? familyOf(part) : found
      if (found === undefined) families.set(name, family)
      // The first part's head stands for all.
      if (!family.head.some((said) => said.startsWith(`# ${kind} `))) family.head.push(line)
    }
  }
  const blocks = Array.from(families.values(), ({ head, samples }) => [...head, ...samples].join('\n'))
  return `${blocks.join('\n\n')}\n`
}

function familyOf(part: number): Family {
  return { part, head: [], samples: [] }
}

function labelled(sample: string, more: readonly string[]): string {
  const [, name, labels, rest] = SAMPLE.exec(sample) ?? []
  if (name === undefined || more.length === 0) return sample
  return `${name}{${[...(labels === undefined || labels === '' ? [] : [labels]), ...more].join(',')}} ${rest}`
}
