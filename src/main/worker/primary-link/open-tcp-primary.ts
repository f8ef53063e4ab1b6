/** Both directions of the link to a primary in a process of its own. */
import assert from 'node:assert'
import { formatTcpAddress } from '../../../shared/config/address.js'
import type { Committee } from '../../../shared/config/committee.js'
import type { Logger } from '../../lib/log.js'
import type { Supervisor } from '../../lib/supervisor.js'
import type { HostNames } from '../../names/host-names.js'
import { PrimaryConnector } from './primary-connector.js'
import type { PrimaryHandlers } from './primary-inbox.js'
import type { PrimaryLink, PrimaryLinkHandlers, PrimaryReport } from './primary-link.js'
import { PrimaryListener } from './primary-listener.js'

export interface TcpPrimaryOptions {
  /** The address that the listener binds. */
  readonly bind: string
  readonly committee: Committee
  /** Our authority's. */
  readonly keys: { readonly publicKey: Uint8Array }
  readonly workerId: number
}

export interface TcpPrimaryDependencies {
  readonly log: Logger
  /** What the names of the committee file stand for. */
  readonly names: HostNames
  /** Takes what the sockets' and timers' handlers throw. */
  readonly supervisor: Supervisor
}

/**
 * Listens for the primary's messages and dials the primary; does not wait for it.
 *
 * Errors: `ERR_ADDRESS_IN_USE`, `ERR_ADDRESS_UNAVAILABLE`; nothing is left running then.
 */
export async function openTcpPrimary(
  { bind, committee, keys, workerId }: TcpPrimaryOptions,
  { log, names, supervisor }: TcpPrimaryDependencies,
  handlers: PrimaryLinkHandlers & PrimaryHandlers,
): Promise<PrimaryLink> {
  const ownIndex = committee.indexOf(keys.publicKey)
  assert(ownIndex !== -1, 'our authority is in the committee')
  const { port } = committee.worker(ownIndex, workerId).primaryToWorker
  const listener = new PrimaryListener(
    { committee, ownIndex, address: { host: bind, port } },
    { names, supervisor },
    handlers,
  )
  await listener.listen()
  const address = committee.primary(ownIndex).workerToPrimary
  log.info(
    `Listening for the primary on ${formatTcpAddress({ host: bind, port })}; reports go to ${formatTcpAddress(address)}`,
  )
  const connector = new PrimaryConnector(
    { address, workerId },
    { logger: log, lookup: names.lookup, supervisor },
    handlers,
  )
  connector.start()
  return new TcpPrimary(connector, listener)
}

class TcpPrimary implements PrimaryLink {
  private readonly connector: PrimaryConnector
  private readonly listener: PrimaryListener

  constructor(connector: PrimaryConnector, listener: PrimaryListener) {
    this.connector = connector
    this.listener = listener
  }

  get isFull(): boolean {
    return this.connector.isFull
  }

  get queued(): number {
    return this.connector.queued
  }

  get dropped(): number {
    return this.connector.dropped
  }

  get isConnected(): boolean {
    return this.connector.isConnected
  }

  report(report: PrimaryReport): void {
    this.connector.report(report)
  }

  async close(): Promise<void> {
    await Promise.all([this.connector.close(), this.listener.close()])
  }
}
