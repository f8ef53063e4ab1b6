import type { Supervisor } from './supervisor.js'

/** What is started, and closed in order. Why it could not be closed is what its `stopped` rejects with. */
interface Closable {
  readonly supervisor: Supervisor
  close(): Promise<void>
}

/** Has it closed when the signal is aborted, at once if it is by then: also while it starts. */
export function closeOnAbort(node: Closable, signal: AbortSignal | undefined): void {
  const close = node.supervisor.guard('the signal', () => {
    node.close().catch(() => {})
  })
  signal?.addEventListener('abort', close, { once: true })
  if (signal?.aborted) close()
}
