/** The links of a primary alone to its workers, or of a worker to its primary in another process. */
import type { Registry } from 'prom-client'
import type { LinkState } from '../link/link-state.js'
import { addGauge } from './families.js'

/** @param states by worker id; one for each worker of ours, or the worker's own */
export function addLinkMetrics(registry: Registry, states: () => ReadonlyMap<number, LinkState>): void {
  const add = (name: string, help: string, value: (state: LinkState) => number): void =>
    addGauge(registry, {
      name,
      help,
      labels: ['link'],
      read: () => Array.from(states(), ([id, state]) => [{ link: String(id) }, value(state)] as const),
    })
  add('narval_link_connected', '1 while the link between a worker and its own primary is there.', (state) =>
    Number(state.isConnected),
  )
  add(
    'narval_link_since_seconds',
    'Since when the link is there, in unix time; 0 while it is not.',
    (state) => (state.sinceMs ?? 0) / 1000,
  )
  add(
    'narval_link_reports',
    "Reports of the worker that are not in the primary's store yet, as far as this end knows.",
    (state) => state.reports,
  )
  add('narval_link_queued_bytes', 'Bytes that wait at this end to be sent.', (state) => state.queuedBytes)
}
