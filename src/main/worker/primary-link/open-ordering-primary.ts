/** The link to a narval primary in this process: reports by `InProcessPrimaryLink`, commits from the primary's log. */
import type { Supervisor } from '../../lib/supervisor.js'
import { InProcessPrimaryLink, type InProcessWorker } from './in-process-primary-link.js'
import type { CommitState, OrderedWorker, OrderingPrimary } from './ordering-primary.js'
import type { PrimaryHandlers } from './primary-inbox.js'
import type { PrimaryLink, PrimaryLinkHandlers } from './primary-link.js'

/** What a worker does with what its primary orders. */
export interface CommitHandlers extends Pick<OrderedWorker, 'committed' | 'onCommits' | 'onGap'> {
  /** Asks the store. */
  commitState(): Promise<CommitState>
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
  const reports = new InProcessPrimaryLink({ onMessage: primary.onMessage, supervisor })
  await reports.open(worker, handlers)
  const state = await handlers.commitState()
  const link = primary.attach({
    ...state,
    committed: (digests, place) => handlers.committed(digests, place),
    onCommits: () => handlers.onCommits(),
    onGap: () => handlers.onGap(),
    synchronize: (digests, author) => handlers.onSynchronize(digests, author, 'in-process'),
    supervisor,
  })
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
      return reports.isConnected
    },
    replayed: link.replayed,
    async close() {
      await link.close()
      await reports.close()
    },
  }
}
