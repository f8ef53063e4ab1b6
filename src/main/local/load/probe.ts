/** Waits until nodes accept connections, as the reference's client does: connect, close, and again after 10 ms. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TcpAddress } from '../../../shared/config/address.js'
import { CLIENT_PROBE_DELAY_MS } from './limits.js'

/** Resolves to whether a connection to `address` was accepted; it is closed at once. */
export function probe(address: TcpAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address.port, address.host)
    socket.once('connect', () => {
      socket.end()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}

/** Resolves when each address has accepted a connection once, or `stop` is aborted. */
export async function waitForNodes(addresses: readonly TcpAddress[], stop: AbortSignal): Promise<void> {
  await Promise.all(
    addresses.map(async (address) => {
      while (!stop.aborted && !(await probe(address))) await sleep(CLIENT_PROBE_DELAY_MS)
    }),
  )
}
