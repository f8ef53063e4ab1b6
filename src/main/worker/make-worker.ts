/** Makes a worker of checked options: alone, or as a part of an authority. It is not started yet. */
import { deriveNetworkKeySeed, readNetworkKeySeed } from '../../shared/config/network-key.js'
import { NarvalError } from '../../shared/errors.js'
import type { PrimaryWorkerMessage } from '../../shared/wire/primary-messages.js'
import type { GcRelief } from '../lib/gc-relief.js'
import { RemotePrimary } from '../link/remote-primary.js'
import { addLinkMetrics } from '../metrics/link-metrics.js'
import { only } from './option-arguments.js'
import { InProcessPrimaryLink } from './primary-link/in-process-primary-link.js'
import { openOrderingPrimary } from './primary-link/open-ordering-primary.js'
import { openTcpPrimary } from './primary-link/open-tcp-primary.js'
import type { OrderingPrimary } from './primary-link/ordering-primary.js'
import { WorkerNode } from './worker-node.js'
import type { CheckedOptions } from './worker-options.js'

export interface MadeWorker {
  readonly node: WorkerNode
  /** A message of the primary in this process. Throws `ERR_USAGE` if the primary is elsewhere. */
  send(message: PrimaryWorkerMessage): void
}

/**
 * @param bind the address that its listeners bind
 * @param gcRelief that of this process
 * @param ordering the narval primary in this process whose worker it is; it has started when the worker starts
 */
export function makeWorker(
  options: Omit<CheckedOptions, 'bind' | 'metrics' | 'signal'>,
  bind: string,
  gcRelief: GcRelief,
  ordering?: OrderingPrimary,
): MadeWorker {
  const { committee, keys, workerId } = options
  const primary = typeof options.primary === 'function' ? options.primary : undefined
  const isLinked = options.primary === 'narval'
  let inProcess: InProcessPrimaryLink | undefined
  const node: WorkerNode = new WorkerNode({
    keys,
    committee,
    workerId,
    parameters: options.parameters,
    gcRelief,
    log: options.log,
    store: options.store,
    bind,
    networkKeySeed: networkKeySeedOf(options),
    clients: options.clients,
    benchmark: options.benchmark,
    poisonFreedSlots: options.poisonFreedSlots,
    ...only('peerDiscovery', options.peerDiscovery),
    ...only('kad', options.kad),
    isOrdered: ordering !== undefined || isLinked,
    openPrimary: async (ownIndex, handlers, signal) => {
      const { log, names, supervisor } = node
      const worker = { committee, ownIndex, workerId }
      if (ordering !== undefined) return openOrderingPrimary(worker, { primary: ordering, supervisor }, handlers)
      if (isLinked) {
        const remote = new RemotePrimary({ ...worker, keys }, { gcRelief, log, names, supervisor, signal })
        return openOrderingPrimary(worker, { primary: remote, supervisor }, handlers)
      }
      if (primary === undefined)
        return openTcpPrimary({ bind, committee, keys, workerId }, { log, names, supervisor }, handlers)
      inProcess = new InProcessPrimaryLink({ onMessage: primary, supervisor })
      return inProcess.open(worker, handlers)
    },
  })
  if (isLinked) addLinkMetrics(node.metrics.registry, () => new Map([[workerId, node.linkState()]]))
  return {
    node,
    send(message) {
      if (primary === undefined) throw new NarvalError('ERR_USAGE', 'toWorker: the primary is not in this process')
      // Before the worker has opened its end, and after it has closed it, there is nobody to hear it.
      inProcess?.send(message)
    },
  }
}

function networkKeySeedOf({
  keys,
  networkKeySeed,
  parameters,
  workerId,
}: Pick<CheckedOptions, 'keys' | 'networkKeySeed' | 'parameters' | 'workerId'>): Uint8Array {
  if (networkKeySeed !== undefined) return networkKeySeed
  if (parameters.networkKeyPath === undefined) return deriveNetworkKeySeed(keys.seed, workerId)
  return readNetworkKeySeed(parameters.networkKeyPath)
}
