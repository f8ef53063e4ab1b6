/**
 * The addresses that our peers have published and signed, the newest record of each. They are only tried: what the committee
 * file says and what a peer's own hello said come before them, and no record takes those away. Pure.
 */
import type { AddressRecord } from '../../shared/wire/address-record.js'
import { isDialableDiscovery } from './dialable.js'
import { RECORD_ADDRESSES_PER_ATTEMPT } from './limits.js'

interface Held {
  readonly timeMs: number
  readonly addresses: readonly string[]
  turn: number
}

export class AddressRecords {
  private readonly trustedHosts: ReadonlySet<string>
  /** By index of the authority. */
  private readonly held = new Map<number, Held>()

  /** @param trustedHosts those of the committee file and of bootstrap nodes, which may be of this machine */
  constructor(trustedHosts: ReadonlySet<string>) {
    this.trustedHosts = trustedHosts
  }

  /** A record whose signature holds. Whether it is newer than the one that was held, and has an address to try. */
  take(index: number, { addresses, peerId, timeMs }: AddressRecord): boolean {
    const before = this.held.get(index)
    if (before !== undefined && before.timeMs >= timeMs) return false
    const dialable = addresses
      .filter((address) => isDialableDiscovery(address, this.trustedHosts))
      .map((address) => `${address.replace(/\/p2p\/.*$/, '')}/p2p/${peerId}`)
    this.held.set(index, { timeMs, addresses: dialable, turn: 0 })
    return dialable.length > 0 && dialable.some((address) => before?.addresses.includes(address) !== true)
  }

  /** A few of the addresses of this authority, others each time until all have had their turn. */
  next(index: number): string[] {
    const held = this.held.get(index)
    if (held === undefined) return []
    const { addresses } = held
    const count = Math.min(RECORD_ADDRESSES_PER_ATTEMPT, addresses.length)
    const from = held.turn
    held.turn = (from + count) % Math.max(1, addresses.length)
    return Array.from({ length: count }, (_, step) => addresses[(from + step) % addresses.length]!)
  }
}
