/** Makes the parts of an authority of its checked options. None is started yet. */
import { primaryDirectory, workerDirectory } from '../../shared/store/authority-directories.js'
import type { GcRelief } from '../lib/gc-relief.js'
import type { Logger } from '../lib/log.js'
import { PrimaryNode, type PrimaryNodeHandlers } from '../primary/primary-node.js'
import { type MadeWorker, makeWorker } from '../worker/make-worker.js'
import { only } from '../worker/option-arguments.js'
import type { OrderingPrimary } from '../worker/primary-link/ordering-primary.js'
import type { CheckedAuthorityOptions } from './authority-options.js'
import { labelledLog } from './labelled-log.js'

export function makePrimary(
  options: CheckedAuthorityOptions,
  bind: string,
  log: Logger,
  gcRelief: GcRelief,
  handlers: PrimaryNodeHandlers,
): PrimaryNode {
  const { benchmark, committee, kad, keys, parameters, peerDiscovery, recovered, rule, store } = options
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
      gcRelief,
      log: labelledLog(log, 'primary'),
      ...only('peerDiscovery', peerDiscovery),
      ...only('kad', kad),
    },
    handlers,
  )
}

export function makeOwnWorker(
  options: CheckedAuthorityOptions,
  workerId: number,
  bind: string,
  log: Logger,
  gcRelief: GcRelief,
  link: OrderingPrimary,
): MadeWorker {
  const { benchmark, clients, committee, kad, keys, parameters, peerDiscovery, poisonFreedSlots, store } = options
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
      ...only('peerDiscovery', peerDiscovery),
      ...only('kad', kad),
    },
    bind,
    gcRelief,
    link,
  )
}
