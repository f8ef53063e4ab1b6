/** What either end says of a link, for metrics and health. */

export interface LinkState {
  readonly isConnected: boolean
  /** Since when it is, in unix ms; undefined while it is not. */
  readonly sinceMs: number | undefined
  /** Reports of the worker that the primary's store does not have yet, as far as this end knows. */
  readonly reports: number
  /** Bytes that wait to be sent. */
  readonly queuedBytes: number
}

export const NO_LINK: LinkState = { isConnected: false, sinceMs: undefined, reports: 0, queuedBytes: 0 }

/** As `/health` has it, keys in snake_case. */
export function linkFields({ isConnected, queuedBytes, reports, sinceMs }: LinkState): object {
  return {
    connected: isConnected,
    since: sinceMs === undefined ? null : new Date(sinceMs).toISOString(),
    reports_under_way: reports,
    queued_bytes: queuedBytes,
  }
}
