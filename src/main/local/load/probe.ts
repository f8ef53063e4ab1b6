/** Waits until nodes accept connections, as the reference's client does: connect, close, and again after 10 ms. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TcpAddress } from '../../../shared/config/address.js'
import type { HostNames } from '../../names/host-names.js'
import { CLIENT_PROBE_DELAY_MS } from './limits.js'

/** Resolves to whether a connection to `address` was accepted; it is closed at once. */
export function probe(address: TcpAddress, names: HostNames): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ ...address, lookup: names.lookup })
    socket.once('connect', () => {
      socket.end()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}

/** Resolves when each address has accepted a connection once, or `stop` is aborted. */
export async function waitForNodes(
  addresses: readonly TcpAddress[],
  stop: AbortSignal,
  names: HostNames,
): Promise<void> {
  await Promise.all(
    addresses.map(async (address) => {
      while (!stop.aborted && !(await probe(address, names))) await sleep(CLIENT_PROBE_DELAY_MS)
    }),
  )
}
