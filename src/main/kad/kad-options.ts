/** Discovery through a distributed hash table, as a user asks for it. */
import { LIBP2P_ADDRESS_FORM, parseLibp2pAddress } from '../../shared/config/address.js'

export interface KadOptions {
  /** Multiaddrs of bootstrap nodes, at least one: `/ip4/10.0.0.9/tcp/4100`, with or without `/p2p/PEERID`. */
  readonly bootstrap: readonly string[]
}

export const BOOTSTRAP_FORM = LIBP2P_ADDRESS_FORM

/** A bootstrap node's address as libp2p takes it; undefined if it is none. */
export function parseBootstrap(text: string): string | undefined {
  const address = parseLibp2pAddress(text)
  if (address === undefined) return undefined
  return address.peerId === undefined ? address.multiaddr : `${address.multiaddr}/p2p/${address.peerId}`
}
