/**
 * Which addresses a node of the table dials because others name them: none but TCP, none that means something else on each
 * machine, and so many in a minute. A table that lies costs that much, and no more. Pure.
 */
import { parseLibp2pAddress } from '../../shared/config/address.js'
import { TokenBucket } from '../../shared/token-bucket.js'
import { plainHost } from '../../shared/wire/source-address.js'
import { isDialableDiscovery } from '../network/dialable.js'
import { KAD_DIALS_PER_MINUTE } from './limits.js'

export class DialBudget {
  private readonly trustedHosts: ReadonlySet<string>
  private trusted: ReadonlySet<string> = new Set()
  private readonly bucket = new TokenBucket(KAD_DIALS_PER_MINUTE / 60, KAD_DIALS_PER_MINUTE)

  /** @param trustedHosts those that the user names, which may be of this machine */
  constructor(trustedHosts: ReadonlySet<string>) {
    this.trustedHosts = trustedHosts
  }

  /** The addresses of bootstrap nodes, as they are dialled now: they cost nothing. */
  trust(addresses: readonly string[]): void {
    this.trusted = new Set(addresses.map(withoutPeerId))
  }

  /** Whether an address that somebody has named may be remembered at all. */
  mayKeep(address: string): boolean {
    return this.trusted.has(withoutPeerId(address)) || isDialableDiscovery(address, this.trustedHosts)
  }

  /** Whether it may be dialled now; that is paid for. */
  mayDial(address: string, nowMs: number): boolean {
    if (this.trusted.has(withoutPeerId(address))) return true
    return isDialableDiscovery(address, this.trustedHosts) && this.bucket.tryTake(1, nowMs)
  }
}

/** The hosts in these multiaddrs, in one spelling. */
export function hostsOf(addresses: readonly string[]): Set<string> {
  return new Set(addresses.flatMap((address) => parseLibp2pAddress(address)?.host ?? []).map(plainHost))
}

function withoutPeerId(address: string): string {
  return address.replace(/\/p2p\/.*$/, '')
}
