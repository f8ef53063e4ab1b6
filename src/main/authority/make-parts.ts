/** Makes the parts of an authority of its checked options. None is started yet. */
import { primaryDirectory, workerDirectory } from '../../shared/store/authority-directories.js'
import type { Logger } from '../lib/log.js'
import { PrimaryNode, type PrimaryNodeHandlers } from '../primary/primary-node.js'
import { type MadeWorker, makeWorker } from '../worker/make-worker.js'
import type { OrderingPrimary } from '../worker/primary-link/ordering-primary.js'
import type { CheckedAuthorityOptions } from './authority-options.js'
import { labelledLog } from './labelled-log.js'

export function makePrimary(
  { benchmark, committee, keys, parameters, recovered, rule, store }: CheckedAuthorityOptions,
  bind: string,
  log: Logger,
  handlers: PrimaryNodeHandlers,
): PrimaryNode {
  return new PrimaryNode(
    {
      keys,
      committee,
      rule,
      bind,
      store: { directory: primaryDirectory(store), isRecovered: recovered },
      gcDepth: parameters.gcDepthRounds,
      maxHeaderDelayMs: parameters.maxHeaderDelayMs,
      parameters,
      benchmark,
      log: labelledLog(log, 'primary'),
    },
    handlers,
  )
}

export function makeOwnWorker(
  options: CheckedAuthorityOptions,
  workerId: number,
  bind: string,
  log: Logger,
  link: OrderingPrimary,
): MadeWorker {
  const { benchmark, clients, committee, keys, parameters, peerDiscovery, poisonFreedSlots, store } = options
  return makeWorker(
    {
      keys,
      committee,
      workerId,
      parameters,
      clients,
      benchmark,
      poisonFreedSlots,
      store: workerDirectory(store, workerId),
      log: labelledLog(log, `worker ${workerId}`),
      ...(peerDiscovery && { peerDiscovery }),
    },
    bind,
    link,
  )
}
