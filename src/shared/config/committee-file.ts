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

/**
 * A committee on this machine, with equal stake. Ports go up from `portFirst`, two for a primary, then three for each of
 * its workers, authority by authority, as the reference's `fab local` numbers them; `names` are public keys in base64.
 */
export function localCommittee(names: readonly string[], workers: number, portFirst: number): CommitteeFile {
  let port = portFirst
  const next = (): string => `127.0.0.1:${port++}`
  const authorities = names.map((name): [string, AuthorityEntry] => {
    const primary = { primary_to_primary: next(), worker_to_primary: next() }
    const entries = Array.from({ length: workers }, (_, id): [string, WorkerEntry] => [
      String(id),
      { primary_to_worker: next(), transactions: next(), worker_to_worker: next() },
    ])
    return [name, { stake: 1, primary, workers: Object.fromEntries(entries) }]
  })
  return { authorities: Object.fromEntries(authorities) }
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
