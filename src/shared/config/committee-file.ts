/** Making a committee file, in the form of the reference's scripts (sorted keys, indent 4). */
import { formatTcpAddress, type Libp2pAddress } from './address.js'
import type { Committee } from './committee.js'
import { formatJson } from './config-file.js'

/** The file's JSON, as it stands in the file. */
export interface CommitteeFile {
  readonly authorities: { readonly [name: string]: AuthorityEntry }
}

export interface AuthorityEntry {
  readonly stake: number
  readonly primary: { readonly primary_to_primary?: string; readonly worker_to_primary?: string }
  readonly workers: { readonly [workerId: string]: WorkerEntry }
}

export interface WorkerEntry {
  readonly primary_to_worker?: string
  readonly transactions?: string
  readonly worker_to_worker?: string
  readonly peer_id?: string
}

/** Where an authority is, and with which stake. */
export interface AuthorityPlace {
  /** Its public key, in base64. */
  readonly name: string
  readonly stake: number
  /** An IPv4 or IPv6 address, without brackets, or a name. */
  readonly host: string
  /** The first of its ports: `portsOfAuthority` of them in a row. */
  readonly portFirst: number
}

/** Ports of an authority: two of its primary, then three of each worker. */
export function portsOfAuthority(workers: number): number {
  return 2 + 3 * workers
}

/** A committee whose authorities have ports in a row each, as the reference's `fab local` numbers them. */
export function placedCommittee(places: readonly AuthorityPlace[], workers: number): CommitteeFile {
  const authorities = places.map(({ host, name, portFirst, stake }): [string, AuthorityEntry] => {
    let port = portFirst
    const next = (): string => formatTcpAddress({ host, port: port++ })
    const primary = { primary_to_primary: next(), worker_to_primary: next() }
    const entries = Array.from({ length: workers }, (_, id): [string, WorkerEntry] => [
      String(id),
      { primary_to_worker: next(), transactions: next(), worker_to_worker: next() },
    ])
    return [name, { stake, primary, workers: Object.fromEntries(entries) }]
  })
  return { authorities: Object.fromEntries(authorities) }
}

/**
 * A committee on this machine, with equal stake. Ports go up from `portFirst`, authority by authority; `names` are public
 * keys in base64.
 */
export function localCommittee(names: readonly string[], workers: number, portFirst: number): CommitteeFile {
  const places = names.map((name, index) => ({
    name,
    stake: 1,
    host: '127.0.0.1',
    portFirst: portFirst + index * portsOfAuthority(workers),
  }))
  return placedCommittee(places, workers)
}

/** The text of a committee file. */
export function formatCommittee(file: CommitteeFile): string {
  return formatJson(file)
}

/** The file that describes `committee`: `parseCommittee` makes the same committee of it. */
export function committeeFileOf(committee: Committee): CommitteeFile {
  const authorities = committee.authorities.map(({ name, stake, primary, workers }): [string, AuthorityEntry] => {
    const entries = [...workers].map(([id, worker]): [string, WorkerEntry] => {
      const { peerId, primaryToWorker, transactions, workerToWorker } = worker
      const entry = {
        ...(primaryToWorker && { primary_to_worker: formatTcpAddress(primaryToWorker) }),
        ...(transactions && { transactions: formatTcpAddress(transactions) }),
        ...(workerToWorker && { worker_to_worker: formatLibp2pAddress(workerToWorker) }),
        ...(peerId !== undefined && { peer_id: peerId }),
      }
      return [String(id), entry]
    })
    const { primaryToPrimary, workerToPrimary } = primary
    const primaryEntry = {
      ...(primaryToPrimary && { primary_to_primary: formatTcpAddress(primaryToPrimary) }),
      ...(workerToPrimary && { worker_to_primary: formatTcpAddress(workerToPrimary) }),
    }
    return [name, { stake, primary: primaryEntry, workers: Object.fromEntries(entries) }]
  })
  return { authorities: Object.fromEntries(authorities) }
}

/** `host:port` as the reference has it, where that says the same. */
function formatLibp2pAddress(address: Libp2pAddress): string {
  return /^\/(?:ip[46]|dns)\//.test(address.multiaddr) ? formatTcpAddress(address) : address.multiaddr
}
