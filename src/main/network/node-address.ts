/** Where the libp2p node of a worker, or of a primary, is by the committee file. Pure. */
import { type Libp2pAddress, protocolOf } from '../../shared/config/address.js'
import type { Committee } from '../../shared/config/committee.js'
import { NarvalError } from '../../shared/errors.js'
import type { PeerRole } from '../../shared/wire/hello.js'
import type { PeerDiscovery } from './peer-discovery.js'

export interface NodePlace {
  /** Undefined if the committee file has none: it is for peer discovery to find. */
  readonly address: Libp2pAddress | undefined
  /** The PeerId that the file names, if it does. */
  readonly peerId: string | undefined
}

/** Errors: `ERR_NOT_IN_COMMITTEE` if that authority has no such worker. */
export function nodePlace(committee: Committee, index: number, role: PeerRole): NodePlace {
  if (role !== 'primary') {
    const { peerId, workerToWorker } = committee.knownWorker(index, role)
    return { address: workerToWorker, peerId }
  }
  const { primaryToPrimary } = committee.authority(index).primary
  if (primaryToPrimary === undefined) return { address: undefined, peerId: undefined }
  const { host, port } = primaryToPrimary
  return { address: { host, port, multiaddr: `/${protocolOf(host)}/${host}/tcp/${port}` }, peerId: undefined }
}

/** What could find addresses. */
interface Discovery {
  readonly kad?: unknown
  readonly peerDiscovery?: PeerDiscovery
}

/**
 * Refuses a committee file that lacks an address which nothing could find: another authority's node of this role.
 *
 * Errors: `ERR_ADDRESS_MISSING`, `ERR_NOT_IN_COMMITTEE`.
 */
export function demandAddresses(
  committee: Committee,
  ownIndex: number,
  role: PeerRole,
  { kad, peerDiscovery = [] }: Discovery,
): void {
  if (kad !== undefined || peerDiscovery.length > 0) return
  for (const [index, { name }] of committee.authorities.entries()) {
    if (nodePlace(committee, index, role).address !== undefined) continue
    const field = role === 'primary' ? 'primary.primary_to_primary' : `workers.${role}.worker_to_worker`
    const remedy =
      index === ownIndex ? 'add it' : 'add it, or let it be found with --kad and --bootstrap, or with --mdns'
    throw new NarvalError(
      'ERR_ADDRESS_MISSING',
      `authorities.${name}.${field} is missing in the committee file: ${remedy}`,
    )
  }
}
