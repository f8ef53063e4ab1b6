/**
 * Which addresses this node dials because others name them. A member of the committee, or anybody near us on the
 * network, may name any address. Without these rules they could make us knock at ports of third parties, at services of
 * our own machine, or at a cloud's metadata. Pure.
 */
import { isIP } from 'node:net'
import { parseLibp2pAddress, protocolOf } from '../../shared/config/address.js'
import { plainHost } from '../../shared/wire/source-address.js'
import { PEER_ADDRESSES_MAX } from './limits.js'
import { isSpecialHost } from './special-hosts.js'

/** Where a hello came from. */
export interface HelloOrigin {
  /** The host at the other end of the connection. */
  readonly host: string | undefined
  /** The peer's address in the committee file, a multiaddr, if it has one. */
  readonly committeeAddress: string | undefined
  /** The peer id of the connection. */
  readonly peerId: string
}

/**
 * Of the addresses in a peer's hello, those at which the peer can be: on the host that it spoke from, or on the one that
 * the committee file names, at any port. In the order of the hello, each once.
 */
export function dialableOfHello(claimed: readonly string[], origin: HelloOrigin): string[] {
  const { committeeAddress, host, peerId } = origin
  const committeeHost = committeeAddress === undefined ? undefined : hostOf(committeeAddress)
  const found = new Set<string>()
  for (const text of claimed) {
    const address = parseLibp2pAddress(text)
    if (address === undefined || (address.peerId !== undefined && address.peerId !== peerId)) continue
    const claimedHost = plainHost(address.host)
    const isListed = claimedHost === committeeHost
    const isSpeaker = host !== undefined && claimedHost === plainHost(host) && !isSpecialHost(claimedHost)
    if ((isListed || isSpeaker) && address.multiaddr !== committeeAddress) found.add(address.multiaddr)
    if (found.size >= PEER_ADDRESSES_MAX) break
  }
  return [...found]
}

/**
 * Whether an address that peer discovery tells of is tried. It may be on any host, since that is what discovery is for;
 * but a host that means something else on each machine, or a name that leads anywhere, only if the committee file has it.
 */
export function isDialableDiscovery(text: string, committeeHosts: ReadonlySet<string>): boolean {
  const address = parseLibp2pAddress(text)
  if (address === undefined) return false
  const host = plainHost(address.host)
  if (committeeHosts.has(host)) return true
  return /^\/ip[46]\//.test(address.multiaddr) && !isSpecialHost(host)
}

/**
 * The numeric addresses of one with a name, of which `hosts` are what the name stands for. The committee file's own address
 * leads wherever the name does. For another port, which a peer has named, a name that its owner lets point at this
 * machine or its link counts for nothing.
 */
export function numericAddresses(address: string, hosts: readonly string[], isCommittees: boolean): string[] {
  const [, protocol, name, rest] = /^\/(dns[46]?)\/([^/]+)(\/.*)$/.exec(address) ?? []
  if (protocol === undefined || name === undefined || rest === undefined) return [address]
  const family = protocol === 'dns4' ? 4 : protocol === 'dns6' ? 6 : undefined
  return hosts
    .filter((host) => family === undefined || isIP(host) === family)
    .filter((host) => isCommittees || !isSpecialHost(host) || isSpecialHost(name))
    .map((host) => `/${protocolOf(host)}/${host}${rest}`)
}

/** The host of a multiaddr, in one spelling. */
export function hostOf(address: string): string | undefined {
  const host = parseLibp2pAddress(address)?.host
  return host === undefined ? undefined : plainHost(host)
}
