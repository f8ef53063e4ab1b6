/** Files that an authority needs: those of its workers, and of its primary. Pure. */

import { GATEWAY_CONNECTIONS_MAX } from '../../shared/constants.js'
import { GATEWAY_FILES_BASE } from '../gateway/limits.js'
import { METRICS_CONNECTIONS_MAX } from '../http/limits.js'
import { openFilesNeeded, openFilesOfPeers } from '../worker/open-files.js'
import type { CheckedAuthorityOptions } from './authority-options.js'
import { PRIMARY_FILES_BASE } from './limits.js'

/** The same of a primary whose workers are other processes: their port has places of its own. */
export function primaryFilesNeeded(
  options: Pick<CheckedAuthorityOptions, 'committee' | 'metrics' | 'ownIndex'>,
): number {
  const { committee, metrics, ownIndex } = options
  const workers = committee.authority(ownIndex).workers.size
  const ofMetrics = metrics === undefined ? 0 : METRICS_CONNECTIONS_MAX
  return PRIMARY_FILES_BASE + openFilesOfPeers(committee.size) + openFilesOfPeers(workers + 1) + ofMetrics
}

/** Files that are open when all that may be connected is, at most. */
export function authorityFilesNeeded(
  options: Pick<CheckedAuthorityOptions, 'api' | 'clients' | 'committee' | 'metrics' | 'ownIndex' | 'parameters'>,
): number {
  const { api, clients, committee, metrics, ownIndex, parameters } = options
  const authorities = committee.size
  const workers = committee.authority(ownIndex).workers.size
  const ofWorker = openFilesNeeded({
    authorities,
    clientConnectionsMax: clients ? parameters.clientConnectionsMax : 0,
    hasMetrics: false,
    hasPrimaryPort: false,
  })
  const ofMetrics = metrics === undefined ? 0 : METRICS_CONNECTIONS_MAX
  const ofGateway = api === undefined ? 0 : GATEWAY_FILES_BASE + GATEWAY_CONNECTIONS_MAX
  return workers * ofWorker + PRIMARY_FILES_BASE + openFilesOfPeers(authorities) + ofMetrics + ofGateway
}
