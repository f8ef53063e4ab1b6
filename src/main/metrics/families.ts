/**
 * Metrics whose values are kept elsewhere and read at the time of a scrape: what is counted costs nothing but its own
 * addition until somebody asks.
 */
import { Counter, Gauge, type Registry } from 'prom-client'

/** The value of each combination of labels. */
export type Rows<L extends string> = Iterable<readonly [labels: Readonly<Record<L, string>>, value: number]>

export interface Family<L extends string> {
  readonly name: string
  readonly help: string
  readonly labels: readonly L[]
  readonly read: () => Rows<L>
}

/** A sum that never falls while the process lives. */
export function addCounter<L extends string>(registry: Registry, { name, help, labels, read }: Family<L>): void {
  new Counter<L>({
    name,
    help,
    labelNames: labels,
    registers: [registry],
    // Filled and read in one go (prom-client's `get`), so that two scrapes at once do not see each other's reset.
    collect() {
      this.reset()
      for (const [row, value] of read()) this.inc(row, value)
    },
  })
}

/** A value of this moment. */
export function addGauge<L extends string>(registry: Registry, { name, help, labels, read }: Family<L>): void {
  new Gauge<L>({
    name,
    help,
    labelNames: labels,
    registers: [registry],
    collect() {
      this.reset()
      for (const [row, value] of read()) this.set(row, value)
    },
  })
}

/** A counter without labels. */
export function addSum(registry: Registry, name: string, help: string, read: () => number): void {
  addCounter(registry, { name, help, labels: [], read: () => [[{}, read()]] })
}

/** A gauge without labels. */
export function addLevel(registry: Registry, name: string, help: string, read: () => number): void {
  addGauge(registry, { name, help, labels: [], read: () => [[{}, read()]] })
}
