/**
 * What others have asked for and a peer could not be sent: it was not connected, had no room for it, or was so far behind
 * that the batch had to be dropped for it. Pure.
 *
 * A reference primary asks for a batch once. If the batch then does not reach the worker that lacks it, its primary never
 * votes for the header that names it. Two primaries that lack something can so hold up all of them, for ever. So a batch
 * that was asked for is owed to each peer that was not sent it, until the peer can be sent to.
 */
import { digestKey } from '../../../shared/wire/digest-key.js'
import { HEALS_OWED_MAX } from './limits.js'

export class HealDebts {
  /** By peer, the oldest first. */
  private readonly owed = new Map<number, Map<string, Uint8Array>>()

  get size(): number {
    let size = 0
    for (const digests of this.owed.values()) size += digests.size
    return size
  }

  /** The peers that are owed something. */
  get peers(): readonly number[] {
    return [...this.owed.keys()]
  }

  /** False if the oldest that is owed to this peer is forgotten for it. */
  owe(peer: number, digest: Uint8Array): boolean {
    const digests = this.owed.get(peer) ?? new Map<string, Uint8Array>()
    this.owed.set(peer, digests)
    const key = digestKey(digest)
    digests.delete(key)
    digests.set(key, digest)
    if (digests.size <= HEALS_OWED_MAX) return true
    digests.delete(digests.keys().next().value!)
    return false
  }

  /** Takes the newest of what is owed to a peer and is due, `count` at most. What is not due stays owed. */
  take(peer: number, count: number, isDue: (digest: Uint8Array) => boolean): Uint8Array[] {
    const digests = this.owed.get(peer)
    if (digests === undefined) return []
    const taken: Uint8Array[] = []
    for (const [key, digest] of [...digests].reverse()) {
      if (taken.length === count) break
      if (!isDue(digest)) continue
      digests.delete(key)
      taken.unshift(digest)
    }
    if (digests.size === 0) this.owed.delete(peer)
    return taken
  }

  clear(): void {
    this.owed.clear()
  }
}
