/**
 * Helper: answers what peers ask for. Certificates of the last rounds are in memory; older ones are read from the store.
 * Each peer has a share in certificates and in bytes a second; beyond it nothing is sent, and the peer asks again.
 */

import { TokenBucket } from '../../shared/token-bucket.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import { encodeHighest, type RoundRange } from '../../shared/wire/primary/requests.js'
import type { CertificatesAggregator } from './certificates-aggregator.js'
import type { AuthorityIndex, Round } from './consensus/types.js'
import {
  CERTIFICATE_BYTES_SERVED_PER_S,
  CERTIFICATES_SERVED_PER_S,
  RANGE_CERTIFICATES_MAX,
  RANGE_REQUEST_COST,
} from './limits.js'
import type { CertificateReader } from './stored-state.js'
import type { TurnBuilder } from './turn.js'

interface Share {
  readonly certificates: TokenBucket
  readonly bytes: TokenBucket
}

export class Helper {
  private readonly certificates: CertificatesAggregator
  private readonly store: CertificateReader
  private readonly shares: Share[]

  constructor(authorities: number, dependencies: { certificates: CertificatesAggregator; store: CertificateReader }) {
    this.certificates = dependencies.certificates
    this.store = dependencies.store
    this.shares = Array.from({ length: authorities }, () => ({
      certificates: new TokenBucket(CERTIFICATES_SERVED_PER_S, CERTIFICATES_SERVED_PER_S),
      bytes: new TokenBucket(CERTIFICATE_BYTES_SERVED_PER_S, CERTIFICATE_BYTES_SERVED_PER_S),
    }))
  }

  /** Sends those that are here. One that is not costs a look as well. */
  answer(from: AuthorityIndex, digests: readonly Uint8Array[], turn: TurnBuilder): void {
    for (const digest of digests) {
      if (!this.take(from, 1, turn)) return
      const bytes = this.certificates.place(digestKey(digest))?.certificate?.bytes ?? this.store.certificate(digest)
      if (bytes !== undefined) this.send(from, bytes, turn)
    }
  }

  /** Sends what is here of these rounds, the lowest first. No more is read than the peer may have. */
  answerRange(from: AuthorityIndex, range: RoundRange, gcRound: Round, turn: TurnBuilder): void {
    if (!this.take(from, RANGE_REQUEST_COST, turn)) return
    let left = RANGE_CERTIFICATES_MAX
    const countMax = Math.min(left, Math.floor(this.shares[from]!.certificates.left(turn.now.ms)))
    const stored =
      range.from < gcRound && countMax > 0
        ? this.store.certificates(range.from, Math.min(range.to, gcRound - 1), countMax)
        : []
    for (const bytes of stored) {
      if (!this.take(from, 1, turn)) return
      this.send(from, bytes, turn)
      left -= 1
    }
    for (let round = Math.max(range.from, gcRound); round <= range.to && left > 0; round += 1) {
      for (const { bytes } of this.certificates.at(round)?.byAuthor.values() ?? []) {
        if (!this.take(from, 1, turn)) return
        this.send(from, bytes, turn)
        left -= 1
      }
    }
  }

  answerHighest(from: AuthorityIndex, nonce: number, turn: TurnBuilder): void {
    if (!this.take(from, 1, turn)) return
    const certificate = this.certificates.highest?.bytes
    this.send(from, encodeHighest(certificate === undefined ? { nonce } : { nonce, certificate }), turn)
  }

  /** Takes so many certificates of the peer's share, before anything is done for it. */
  private take(peer: AuthorityIndex, certificates: number, turn: TurnBuilder): boolean {
    const share = this.shares[peer]!
    const nowMs = turn.now.ms
    if (share.bytes.left(nowMs) > 0 && share.certificates.tryTake(certificates, nowMs)) return true
    turn.refuse(
      peer,
      'request-over-share',
      `more than ${CERTIFICATES_SERVED_PER_S} certificates a second, or their bytes`,
    )
    return false
  }

  private send(peer: AuthorityIndex, bytes: Uint8Array, turn: TurnBuilder): void {
    this.shares[peer]!.bytes.take(bytes.length, turn.now.ms)
    turn.sendAtOnce(peer, bytes)
  }
}
