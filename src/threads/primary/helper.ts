/**
 * Helper: answers what peers ask for. Certificates of the last rounds are in memory; older ones are read from the store.
 * Each peer has a share in certificates and in bytes a second; beyond it nothing is sent, and the peer asks again.
 */

import { digestKey } from '../../shared/wire/digest-key.js'
import { encodeHighest, type RoundRange } from '../../shared/wire/primary/requests.js'
import type { CertificatesAggregator } from './certificates-aggregator.js'
import type { AuthorityIndex, Round } from './consensus/types.js'
import { CERTIFICATE_BYTES_SERVED_PER_S, CERTIFICATES_SERVED_PER_S, RANGE_CERTIFICATES_MAX } from './limits.js'
import type { CertificateReader } from './stored-state.js'
import type { TurnBuilder } from './turn.js'

interface Share {
  certificates: number
  bytes: number
  atMs: number
}

export class Helper {
  private readonly certificates: CertificatesAggregator
  private readonly store: CertificateReader
  private readonly shares: Share[]

  constructor(authorities: number, dependencies: { certificates: CertificatesAggregator; store: CertificateReader }) {
    this.certificates = dependencies.certificates
    this.store = dependencies.store
    this.shares = Array.from({ length: authorities }, () => ({
      certificates: CERTIFICATES_SERVED_PER_S,
      bytes: CERTIFICATE_BYTES_SERVED_PER_S,
      atMs: Number.NEGATIVE_INFINITY,
    }))
  }

  /** Sends those that are here. */
  answer(from: AuthorityIndex, digests: readonly Uint8Array[], turn: TurnBuilder): void {
    for (const digest of digests) {
      if (!this.hasShare(from, turn)) return
      const bytes = this.certificates.place(digestKey(digest))?.certificate?.bytes ?? this.store.certificate(digest)
      if (bytes !== undefined) this.send(from, bytes, turn)
    }
  }

  /** Sends what is here of these rounds, the lowest first. */
  answerRange(from: AuthorityIndex, range: RoundRange, gcRound: Round, turn: TurnBuilder): void {
    let left = RANGE_CERTIFICATES_MAX
    const stored =
      range.from < gcRound ? this.store.certificates(range.from, Math.min(range.to, gcRound - 1), left) : []
    for (const bytes of stored) {
      if (!this.hasShare(from, turn)) return
      this.send(from, bytes, turn)
      left -= 1
    }
    for (let round = Math.max(range.from, gcRound); round <= range.to && left > 0; round += 1) {
      for (const { bytes } of this.certificates.at(round)?.byAuthor.values() ?? []) {
        if (!this.hasShare(from, turn)) return
        this.send(from, bytes, turn)
        left -= 1
      }
    }
  }

  answerHighest(from: AuthorityIndex, nonce: number, turn: TurnBuilder): void {
    if (!this.hasShare(from, turn)) return
    const certificate = this.certificates.highest?.bytes
    turn.sendAtOnce(from, encodeHighest(certificate === undefined ? { nonce } : { nonce, certificate }))
    this.shares[from]!.certificates -= 1
  }

  private hasShare(peer: AuthorityIndex, turn: TurnBuilder): boolean {
    const share = this.shares[peer]!
    const seconds = Math.min(1, (turn.now.ms - share.atMs) / 1000)
    share.atMs = turn.now.ms
    share.certificates = Math.min(CERTIFICATES_SERVED_PER_S, share.certificates + seconds * CERTIFICATES_SERVED_PER_S)
    share.bytes = Math.min(CERTIFICATE_BYTES_SERVED_PER_S, share.bytes + seconds * CERTIFICATE_BYTES_SERVED_PER_S)
    if (share.certificates >= 1 && share.bytes > 0) return true
    turn.refuse(
      peer,
      'request-over-share',
      `more than ${CERTIFICATES_SERVED_PER_S} certificates a second, or their bytes`,
    )
    return false
  }

  private send(peer: AuthorityIndex, bytes: Uint8Array, turn: TurnBuilder): void {
    const share = this.shares[peer]!
    share.certificates -= 1
    share.bytes -= bytes.length
    turn.sendAtOnce(peer, bytes)
  }
}
