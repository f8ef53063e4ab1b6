/**
 * Certificates that something waits for: each is asked of one peer at a time, first of the one that named it. What is not
 * wanted any more is dropped when it would be asked for again. What comes while it is full has its turn when there is room:
 * what waits for it knows it.
 */
import { assert } from '../../shared/assert.js'
import { CERTIFICATES_REQUEST_MAX } from '../../shared/wire/primary/limits.js'
import { encodeCertificatesRequest } from '../../shared/wire/primary/requests.js'
import type { AuthorityIndex, Digest } from './consensus/types.js'
import { CERTIFICATE_RETRY_MS } from './limits.js'
import type { Peers } from './peers.js'
import { digestBytes } from './records.js'
import type { TurnBuilder } from './turn.js'

interface Wanted {
  /** Whom it is asked of next. */
  peer: AuthorityIndex
  askAtMs: number
}

export class CertificateRequests {
  private readonly peers: Peers
  private readonly isWanted: (digest: Digest) => boolean
  private readonly allWanted: () => Iterable<Digest>
  /** Something was not taken for want of room. */
  private hasMore = false
  private readonly wanted = new Map<Digest, Wanted>()
  private readonly wantedMax: number

  /** @param dependencies what waits: whether for this certificate, and for which */
  constructor(
    options: { wantedMax: number },
    dependencies: { peers: Peers; isWanted: (digest: Digest) => boolean; allWanted: () => Iterable<Digest> },
  ) {
    this.wantedMax = options.wantedMax
    this.peers = dependencies.peers
    this.isWanted = dependencies.isWanted
    this.allWanted = dependencies.allWanted
  }

  get size(): number {
    return this.wanted.size
  }

  /** Asks this peer for what is not asked for yet, from this time on. Requests go out at the end of a turn (`flush`). */
  want(digests: readonly Digest[], peer: AuthorityIndex, askAtMs: number): void {
    for (const digest of digests) {
      if (this.wanted.has(digest)) continue
      // Once until the next flush: each look goes through all of them.
      if (this.wanted.size >= this.wantedMax && !this.hasMore) this.forgetUnwanted()
      if (this.wanted.size >= this.wantedMax) {
        this.hasMore = true
        return
      }
      this.wanted.set(digest, { peer, askAtMs })
    }
  }

  /** It is here, delivered or not. */
  settle(digest: Digest): void {
    this.wanted.delete(digest)
  }

  /** Sends the requests that are due. */
  flush(turn: TurnBuilder): void {
    const { ms } = turn.now
    this.takeMore(ms)
    const byPeer = new Map<AuthorityIndex, Digest[]>()
    for (const [digest, entry] of this.wanted) {
      if (entry.askAtMs > ms) continue
      if (!this.isWanted(digest)) {
        this.wanted.delete(digest)
        continue
      }
      const peer = this.peers.isConnected(entry.peer) ? entry.peer : this.peers.after(entry.peer)
      entry.askAtMs = ms + CERTIFICATE_RETRY_MS
      if (peer === undefined) continue
      entry.peer = this.peers.after(peer) ?? peer
      const due = byPeer.get(peer)
      if (due === undefined) byPeer.set(peer, [digest])
      else due.push(digest)
    }
    for (const [peer, digests] of byPeer) this.send(peer, digests, turn)
  }

  get wakeAtMs(): number {
    let at = Number.POSITIVE_INFINITY
    for (const { askAtMs } of this.wanted.values()) at = Math.min(at, askAtMs)
    return at
  }

  private send(peer: AuthorityIndex, digests: readonly Digest[], turn: TurnBuilder): void {
    assert(digests.length > 0, 'something to ask for')
    for (let at = 0; at < digests.length; at += CERTIFICATES_REQUEST_MAX) {
      const part = digests.slice(at, at + CERTIFICATES_REQUEST_MAX).map(digestBytes)
      turn.sendAtOnce(peer, encodeCertificatesRequest(part))
    }
  }

  /** Takes what found no room before, when half of it is free again. */
  private takeMore(nowMs: number): void {
    if (!this.hasMore) return
    this.forgetUnwanted()
    if (this.wanted.size > this.wantedMax / 2) return
    this.hasMore = false
    const peer = this.peers.after(0)
    if (peer !== undefined) this.want([...this.allWanted()], peer, nowMs)
    else this.hasMore = true
  }

  private forgetUnwanted(): void {
    for (const digest of this.wanted.keys()) if (!this.isWanted(digest)) this.wanted.delete(digest)
  }
}
