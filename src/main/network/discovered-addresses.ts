/**
 * Addresses that peer discovery has told of, each with the PeerId that is said to be there. Anybody on the network can
 * announce anything: they are only tried, and at most LEARNED_ADDRESSES_MAX are kept, those heard of last. Pure.
 */
import { LEARNED_ADDRESSES_MAX } from './limits.js'

interface Discovered {
  readonly peerId: string
  /** The number of the turn in which it was tried last; 0 if it never was. */
  tried: number
}

export class DiscoveredAddresses {
  /** By address, with the PeerId at its end; the one heard of longest ago comes first. */
  private readonly entries = new Map<string, Discovered>()
  private turn = 0

  /** An address was announced, perhaps once more. */
  add(address: string, peerId: string): void {
    const whole = address.includes('/p2p/') ? address : `${address}/p2p/${peerId}`
    const tried = this.entries.get(whole)?.tried ?? 0
    this.entries.delete(whole)
    this.entries.set(whole, { peerId, tried })
    if (this.entries.size > LEARNED_ADDRESSES_MAX) this.entries.delete(this.entries.keys().next().value!)
  }

  /**
   * `count` addresses to try now, of those whose PeerId may be the one that is looked for: the ones that were not tried
   * for the longest time, and of these the ones heard of last. So what is new comes at once, and everything in time.
   */
  next(count: number, mayBe: (peerId: string) => boolean): string[] {
    this.turn += 1
    const left = [...this.entries].reverse().filter(([, { peerId }]) => mayBe(peerId))
    const chosen = left.sort(([, a], [, b]) => a.tried - b.tried).slice(0, count)
    for (const [, entry] of chosen) entry.tried = this.turn
    return chosen.map(([address]) => address)
  }
}
