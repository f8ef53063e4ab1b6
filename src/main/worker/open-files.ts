/**
 * Files that a process may have open, and a worker may need: each connection is one of them. Where there are too few, new
 * connections are closed as they come, whoever they are, and a store that cannot open its files fails. So it is said at
 * the start. Pure, but for `openFilesLimit`.
 */
import { readFileSync } from 'node:fs'
import { CLIENT_SOCKETS_CLOSING_MAX } from '../../shared/config/limits.js'
import { METRICS_CONNECTIONS_MAX } from '../http/limits.js'
import { STAGES } from '../network/admission.js'
import { CONNECTIONS_PER_AUTHORITY_MAX, MEMBER_PLACES, STRANGER_PLACES_MAX } from '../network/limits.js'
import { OPEN_FILES_BASE } from './limits.js'
import { OWN_PRIMARY_CONNECTIONS_MAX, SOURCE_CONNECTIONS_MAX, STRANGER_CONNECTIONS_MAX } from './primary-link/limits.js'

export interface OpenFilesOptions {
  readonly authorities: number
  /** Clients that may be connected; 0 if none may. */
  readonly clientConnectionsMax: number
  readonly hasMetrics: boolean
  /** Whether the primary is in a process of its own. */
  readonly hasPrimaryPort: boolean
}

/** Files that are open when all that may be connected is, at most. */
export function openFilesNeeded(options: OpenFilesOptions): number {
  const { authorities, clientConnectionsMax, hasMetrics, hasPrimaryPort } = options
  const peers = authorities - 1
  const ofPrimaries = OWN_PRIMARY_CONNECTIONS_MAX + STRANGER_CONNECTIONS_MAX + peers * SOURCE_CONNECTIONS_MAX + 1
  const ofClients = clientConnectionsMax === 0 ? 0 : clientConnectionsMax + CLIENT_SOCKETS_CLOSING_MAX
  return (
    OPEN_FILES_BASE +
    openFilesOfPeers(authorities) +
    (hasPrimaryPort ? ofPrimaries : 0) +
    ofClients +
    (hasMetrics ? METRICS_CONNECTIONS_MAX : 0)
  )
}

/** The connections of one libp2p node: of peers, and of those without a hello yet. */
export function openFilesOfPeers(authorities: number): number {
  const peers = authorities - 1
  // A connection of each peer may be dialled, beside those that there are.
  const ofPeers = peers * (CONNECTIONS_PER_AUTHORITY_MAX + 1)
  const withoutHello = STAGES.length * STRANGER_PLACES_MAX + (STAGES.length + 1) * peers * MEMBER_PLACES
  return ofPeers + withoutHello
}

/** How many files this process may have open; undefined where the system does not say. Node has raised it as far as it may. */
export function openFilesLimit(): number | undefined {
  let limits: string
  try {
    limits = readFileSync('/proc/self/limits', 'latin1')
  } catch {
    return undefined
  }
  return parseOpenFilesLimit(limits)
}

/** The soft limit in the text of `/proc/self/limits`; undefined if there is none. */
export function parseOpenFilesLimit(limits: string): number | undefined {
  const [, soft] = /^Max open files\s+(\d+)\s/m.exec(limits) ?? []
  return soft === undefined ? undefined : Number(soft)
}

/** The line that says so if there may be too few, and what to do. */
export function openFilesProblem(needed: number, limit: number | undefined): string | undefined {
  if (limit === undefined || limit >= needed) return undefined
  return `This process may have ${limit} files open, and needs ${needed} when all that may connect does: connections will be refused, and the store may fail; raise the limit (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of docker) or lower client_connections_max`
}
