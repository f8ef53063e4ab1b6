/**
 * Keeps every peer dialled, for ever: its addresses in turn, with a pause between attempts that grows to a few seconds.
 * The pause is short again after a connection that lasted, not after one that a peer took and closed at once.
 *
 * The committee file's address, if it has one, is tried in each attempt; a name in it is asked about anew, and each of its
 * addresses tried. Of the addresses in the peer's own hello, of those that it has published, and of those that discovery has
 * told of, only a few are tried in each attempt: they may lead nowhere, and the committee file's address should not wait
 * for all of them.
 */

import { unsupervised } from '../lib/supervisor.js'
import { NAME_ADDRESSES_PER_ATTEMPT } from '../names/limits.js'
import {
  DIAL_BACKOFF_MAX_MS,
  DIAL_BACKOFF_MIN_MS,
  DIAL_DEFERENCE_MS,
  DIAL_TIMEOUT_MS,
  DISCOVERED_PER_ATTEMPT,
  PEER_ADDRESSES_PER_ATTEMPT,
  STABLE_CONNECTION_MS,
} from './limits.js'
import type { Peer } from './peer-table.js'

export interface DialerDependencies {
  /** Dials an address and says within this time whether that led to a good hello from this peer. Never rejects. */
  readonly dial: (peer: Peer, address: string, timeoutMs: number) => Promise<boolean>
  /** The numeric addresses of one that may have a name in it; itself if not given. Never rejects. */
  readonly resolve?: (peer: Peer, address: string) => Promise<readonly string[]>
  /** Whether we leave the first attempt to the peer, so that there is one connection and not two. */
  readonly defersTo: (peer: Peer) => boolean
  /** So many addresses from peer discovery at which this peer may be; others the next time. */
  readonly discovered: (peer: Peer, count: number) => readonly string[]
  readonly nowMs: () => number
  /** A number in [0, 1). */
  readonly random: () => number
  /** Takes the failure of what nobody waits for. */
  readonly watch?: (what: string, promise: Promise<unknown>) => void
  /** Resolves after so long, or when it is all over. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>
}

export class Dialer {
  private readonly dependencies: DialerDependencies
  private readonly watch: NonNullable<DialerDependencies['watch']>
  private readonly closing = new AbortController()
  private readonly wakers = new Map<Peer, () => void>()

  constructor(dependencies: DialerDependencies) {
    this.dependencies = dependencies
    this.watch = dependencies.watch ?? unsupervised.watch
  }

  start(peers: readonly Peer[]): void {
    for (const peer of peers) this.watch('dialling', this.keepDialled(peer))
  }

  /** The peer has no connection any more. */
  lost(peer: Peer): void {
    this.wakers.get(peer)?.()
  }

  /** There is a new address to try. */
  found(peer: Peer): void {
    this.wakers.get(peer)?.()
  }

  close(): void {
    this.closing.abort()
    for (const wake of this.wakers.values()) wake()
  }

  private async keepDialled(peer: Peer): Promise<void> {
    const { signal } = this.closing
    const { nowMs, pause, random } = this.dependencies
    let backoffMs = DIAL_BACKOFF_MIN_MS
    let turn = 0
    while (!signal.aborted) {
      if (this.dependencies.defersTo(peer)) await pause(DIAL_DEFERENCE_MS, signal)
      while (!signal.aborted && peer.connections.length === 0) {
        await this.attempt(peer, turn)
        turn += 1
        if (peer.connections.length > 0) break
        await this.rest(peer, backoffMs * (0.75 + random() / 2))
        backoffMs = Math.min(backoffMs * 2, DIAL_BACKOFF_MAX_MS)
      }
      if (signal.aborted) return
      if (peer.connections.length === 0) continue
      const sinceMs = nowMs()
      await new Promise<void>((resolve) => {
        this.wakers.set(peer, resolve)
      })
      this.wakers.delete(peer)
      if (nowMs() - sinceMs >= STABLE_CONNECTION_MS) backoffMs = DIAL_BACKOFF_MIN_MS
      else if (!signal.aborted) {
        await pause(backoffMs * (0.75 + random() / 2), signal)
        backoffMs = Math.min(backoffMs * 2, DIAL_BACKOFF_MAX_MS)
      }
    }
  }

  /** A pause between two attempts, which a new address ends. */
  private async rest(peer: Peer, ms: number): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.wakers.set(peer, resolve)
    })
    await Promise.race([this.dependencies.pause(ms, this.closing.signal), woken])
    this.wakers.delete(peer)
  }

  private async attempt(peer: Peer, turn: number): Promise<void> {
    const { dial, discovered, resolve } = this.dependencies
    const own = inTurn(peer.learnedAddresses, PEER_ADDRESSES_PER_ATTEMPT, turn)
    const some = discovered(peer, DISCOVERED_PER_ATTEMPT)
    const listed = peer.address === undefined ? [] : [peer.address]
    for (const address of [...listed, ...own, ...some]) {
      const resolved = resolve === undefined ? [address] : await resolve(peer, address)
      const places = inTurn(resolved, NAME_ADDRESSES_PER_ATTEMPT, turn)
      for (const place of places) {
        if (this.closing.signal.aborted || peer.connections.length > 0) return
        // A name's addresses share the time of one: an address that leads nowhere must not keep the others waiting.
        if (await dial(peer, place, Math.ceil(DIAL_TIMEOUT_MS / places.length))) return
      }
    }
  }
}

/** `count` of them, others in each turn until all have had theirs. */
function inTurn(addresses: readonly string[], count: number, turn: number): string[] {
  if (addresses.length <= count) return [...addresses]
  return Array.from({ length: count }, (_, i) => addresses[(turn * count + i) % addresses.length]!)
}
