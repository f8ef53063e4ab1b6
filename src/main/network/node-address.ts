/** Where the libp2p node of a worker, or of a primary, is by the committee file. */
import { type Libp2pAddress, protocolOf } from '../../shared/config/address.js'
import type { Committee } from '../../shared/config/committee.js'
import type { PeerRole } from '../../shared/wire/hello.js'

/** Errors: `ERR_NOT_IN_COMMITTEE` if that authority has no such worker. */
export function nodeAddress(committee: Committee, index: number, role: PeerRole): Libp2pAddress {
  if (role !== 'primary') return committee.worker(index, role).workerToWorker
  const { host, port } = committee.primary(index).primaryToPrimary
  return { host, port, multiaddr: `/${protocolOf(host)}/${host}/tcp/${port}` }
}
