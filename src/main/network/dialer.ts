/**
 * Keeps every peer dialled, for ever: each address in turn, with a pause between attempts that grows to a few seconds.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { DIAL_BACKOFF_MAX_MS, DIAL_BACKOFF_MIN_MS, DIAL_DEFERENCE_MS } from '../../shared/constants.js'
import type { Peer } from './peer-table.js'

export interface DialerDependencies {
  /** Dials an address and says whether that led to a good hello from this peer. Never rejects. */
  readonly dial: (peer: Peer, address: string) => Promise<boolean>
  /** Whether we leave the first attempt to the peer, so that there is one connection and not two. */
  readonly defersTo: (peer: Peer) => boolean
  /** Addresses of no known owner, from peer discovery. */
  readonly discovered: () => readonly string[]
}

export class Dialer {
  private readonly dependencies: DialerDependencies
  private readonly closing = new AbortController()
  private readonly wakers = new Map<Peer, () => void>()

  constructor(dependencies: DialerDependencies) {
    this.dependencies = dependencies
  }

  start(peers: readonly Peer[]): void {
    for (const peer of peers) void this.keepDialled(peer)
  }

  /** The peer has no connection any more. */
  lost(peer: Peer): void {
    this.wakers.get(peer)?.()
  }

  close(): void {
    this.closing.abort()
    for (const wake of this.wakers.values()) wake()
  }

  private async keepDialled(peer: Peer): Promise<void> {
    const { signal } = this.closing
    const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal }).catch(() => {})
    while (!signal.aborted) {
      if (this.dependencies.defersTo(peer)) await pause(DIAL_DEFERENCE_MS)
      let backoffMs = DIAL_BACKOFF_MIN_MS
      while (!signal.aborted && peer.connections.length === 0) {
        await this.attempt(peer)
        if (peer.connections.length > 0) break
        await pause(backoffMs * (0.75 + Math.random() / 2))
        backoffMs = Math.min(backoffMs * 2, DIAL_BACKOFF_MAX_MS)
      }
      if (signal.aborted) return
      if (peer.connections.length > 0) {
        await new Promise<void>((resolve) => {
          this.wakers.set(peer, resolve)
        })
        this.wakers.delete(peer)
      }
    }
  }

  private async attempt(peer: Peer): Promise<void> {
    for (const address of [peer.address, ...peer.learnedAddresses, ...this.dependencies.discovered()]) {
      if (this.closing.signal.aborted || peer.connections.length > 0) return
      if (await this.dependencies.dial(peer, address)) return
    }
  }
}
