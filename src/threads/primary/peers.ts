/** Which of the other authorities are connected, and whose turn it is to be asked. */
import type { AuthorityIndex } from './consensus/types.js'

export class Peers {
  private readonly authority: AuthorityIndex
  private readonly authorities: number
  private readonly connected = new Set<AuthorityIndex>()

  constructor(authority: AuthorityIndex, authorities: number) {
    this.authority = authority
    this.authorities = authorities
  }

  connect(peer: AuthorityIndex): void {
    if (peer !== this.authority) this.connected.add(peer)
  }

  disconnect(peer: AuthorityIndex): void {
    this.connected.delete(peer)
  }

  isConnected(peer: AuthorityIndex): boolean {
    return this.connected.has(peer)
  }

  /** The next connected peer after this one, by index and round again; that one itself if it is the only one. */
  after(peer: AuthorityIndex): AuthorityIndex | undefined {
    for (let step = 1; step <= this.authorities; step += 1) {
      const next = (peer + step) % this.authorities
      if (this.connected.has(next)) return next
    }
    return undefined
  }

  all(): AuthorityIndex[] {
    return [...this.connected].sort((a, b) => a - b)
  }
}
