/**
 * The link to a narval primary: reports by `InProcessPrimaryLink`, commits from the primary's log. The primary is in this
 * process (`WorkerLink`), or its end of a link to another one is (`RemotePrimary`).
 */
import type { Supervisor } from '../../lib/supervisor.js'
import { InProcessPrimaryLink, type InProcessWorker } from './in-process-primary-link.js'
import type { AttachedWorker, OrderingPrimary, RemoteLink, StoreState } from './ordering-primary.js'
import type { PrimaryHandlers } from './primary-inbox.js'
import type { PrimaryLink, PrimaryLinkHandlers } from './primary-link.js'

/** What a worker does with what its primary orders. */
export interface CommitHandlers
  extends Pick<AttachedWorker, 'committed' | 'firstKept' | 'named' | 'onCommits' | 'onGap' | 'read' | 'unnamed'> {
  /** Asks the store. */
  commitState(): Promise<StoreState>
  /** The primary is another process, and this says how the link to it is. */
  readonly onRemote?: (remote: RemoteLink) => void
}

export interface OrderingPrimaryDependencies {
  readonly primary: OrderingPrimary
  readonly supervisor: Supervisor
}

export async function openOrderingPrimary(
  worker: InProcessWorker,
  { primary, supervisor }: OrderingPrimaryDependencies,
  handlers: PrimaryLinkHandlers & PrimaryHandlers & CommitHandlers,
): Promise<PrimaryLink> {
  const reports = new InProcessPrimaryLink({
    onMessage: primary.onMessage,
    supervisor,
    ...(primary.callsMax !== undefined && { callsMax: primary.callsMax }),
  })
  await reports.open(worker, handlers)
  const state = await handlers.commitState()
  const link = primary.attach({
    ...state,
    committed: (digests, place) => handlers.committed(digests, place),
    named: (digests, isAnew) => handlers.named(digests, isAnew),
    unnamed: (digests) => handlers.unnamed(digests),
    onCommits: () => handlers.onCommits(),
    onGap: () => handlers.onGap(),
    synchronize: (digests, author) => handlers.onSynchronize(digests, author, 'in-process'),
    commitState: () => handlers.commitState(),
    read: (digest) => handlers.read(digest),
    firstKept: () => handlers.firstKept(),
    onConnection: () => handlers.onConnection(),
    onRefused: (reason, detail) => handlers.onRefused(reason, 'our primary', detail),
    supervisor,
  })
  // It may be long until the primary says anything.
  if (link.remote !== undefined) handlers.onRemote?.(link.remote)
  const sequencesAfter = await link.sequencesAfter.catch(async (error: unknown) => {
    await link.close()
    await reports.close()
    throw error
  })
  return {
    sequencesAfter,
    report: (report) => reports.report(report),
    get isFull() {
      return reports.isFull || link.isFull
    },
    get queued() {
      return reports.queued
    },
    get dropped() {
      return reports.dropped
    },
    get isConnected() {
      return reports.isConnected && link.isConnected
    },
    replayed: link.replayed,
    async close() {
      // What waits is handed over while the link is there.
      await reports.close()
      await link.close()
    },
  }
}
