/**
 * Helper: answers what peers ask for. Certificates of the last rounds are in memory; older ones are read from the store.
 * Each peer has a share in certificates and in bytes a second; beyond it nothing is sent, and the peer asks again.
 */

import { TokenBucket } from '../../shared/token-bucket.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import { roundOfCertificate } from '../../shared/wire/primary/certificate.js'
import { encodeHighest, encodeRangeAnswer, type RoundRange } from '../../shared/wire/primary/requests.js'
import type { CertificatesAggregator } from './certificates-aggregator.js'
import type { Checkpointer } from './checkpointer.js'
import type { AuthorityIndex, Round } from './consensus/types.js'
import {
  CERTIFICATE_BYTES_SERVED_PER_S,
  CERTIFICATES_SERVED_PER_S,
  RANGE_BYTES_MAX,
  RANGE_CERTIFICATES_MAX,
  RANGE_REQUEST_COST,
} from './limits.js'
import type { CertificateReader, CheckpointReader } from './stored-state.js'
import type { TurnBuilder } from './turn.js'

interface Share {
  readonly certificates: TokenBucket
  readonly bytes: TokenBucket
  /** Where the last answer to a request by range ended within a round: after so many certificates of it. */
  brokenOff: { readonly round: Round; readonly sent: number } | undefined
}

interface OfRound {
  readonly round: Round
  readonly bytes: Uint8Array
}

export class Helper {
  private readonly certificates: CertificatesAggregator
  private readonly store: CertificateReader & CheckpointReader
  private readonly shares: Share[]

  constructor(
    authorities: number,
    dependencies: { certificates: CertificatesAggregator; store: CertificateReader & CheckpointReader },
  ) {
    this.certificates = dependencies.certificates
    this.store = dependencies.store
    this.shares = Array.from({ length: authorities }, () => ({
      certificates: new TokenBucket(CERTIFICATES_SERVED_PER_S, CERTIFICATES_SERVED_PER_S),
      bytes: new TokenBucket(CERTIFICATE_BYTES_SERVED_PER_S, CERTIFICATE_BYTES_SERVED_PER_S),
      brokenOff: undefined,
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

  /**
   * Sends what is here of these rounds, the lowest first, and says how far that goes. No more is read than the peer may have.
   * What breaks off within a round goes on there when that round is asked for next.
   */
  answerRange(from: AuthorityIndex, range: RoundRange, gcRound: Round, turn: TurnBuilder): void {
    if (!this.take(from, RANGE_REQUEST_COST, turn)) return
    const sentTo = this.sendRange(from, range, gcRound, turn)
    const to = Math.max(range.from - 1, Math.min(sentTo, this.certificates.quorumRound))
    turn.sendAtOnce(from, encodeRangeAnswer({ from: range.from, to, lowest: this.store.lowestRound }))
  }

  /** Returns the last round of which all that is here was sent. */
  private sendRange(from: AuthorityIndex, range: RoundRange, gcRound: Round, turn: TurnBuilder): Round {
    const share = this.shares[from]!
    const { brokenOff } = share
    const skipped = brokenOff?.round === range.from ? brokenOff.sent : 0
    share.brokenOff = undefined
    const countMax = Math.min(RANGE_CERTIFICATES_MAX, Math.floor(share.certificates.left(turn.now.ms)))
    const place = { round: range.from, sent: 0 }
    let [count, byteLength] = [0, 0]
    // One more than may be sent shows that there is more.
    for (const { bytes, round } of this.certificatesOf(range, gcRound, countMax + skipped + 1)) {
      if (round !== place.round) Object.assign(place, { round, sent: 0 })
      place.sent += 1
      if (round === range.from && place.sent <= skipped) continue
      if (count >= RANGE_CERTIFICATES_MAX || byteLength >= RANGE_BYTES_MAX || !this.take(from, 1, turn)) {
        share.brokenOff = { round, sent: place.sent - 1 }
        return round - 1
      }
      this.send(from, bytes, turn)
      count += 1
      byteLength += bytes.length
    }
    return range.to
  }

  /** Those that memory has forgotten, and then the others. */
  private *certificatesOf({ from, to }: RoundRange, gcRound: Round, countMax: number): Generator<OfRound> {
    const stored = from < gcRound ? this.store.certificates(from, Math.min(to, gcRound - 1), countMax) : []
    for (const bytes of stored) yield { round: roundOfCertificate(bytes), bytes }
    for (let round = Math.max(from, gcRound); round <= to; round += 1) {
      for (const { bytes } of this.certificates.at(round)?.byAuthor.values() ?? []) yield { round, bytes }
    }
  }

  answerHighest(from: AuthorityIndex, nonce: number, turn: TurnBuilder): void {
    if (!this.take(from, 1, turn)) return
    const certificate = this.certificates.highest?.bytes
    this.send(from, encodeHighest(certificate === undefined ? { nonce } : { nonce, certificate }), turn)
  }

  /** Sends the checkpoint that it asks for, or what there is in its place. */
  answerCheckpoint(from: AuthorityIndex, index: number, checkpointer: Checkpointer, turn: TurnBuilder): void {
    if (!this.take(from, 1, turn)) return
    const bytes = checkpointer.answer(index, (each) => this.store.checkpoint(each))
    if (bytes === undefined) return
    this.takeBytes(from, bytes.length, turn)
    // Our own signature is in it, and may be on its way to the disk still.
    turn.sendAfterDurable(from, bytes)
  }

  /** Whether the peer may have something of the log, before anything is read for it. */
  mayServe(peer: AuthorityIndex, turn: TurnBuilder): boolean {
    return this.take(peer, 1, turn)
  }

  /** Takes so many bytes of the peer's share, for what it gets of the log. */
  takeBytes(peer: AuthorityIndex, bytes: number, turn: TurnBuilder): void {
    this.shares[peer]!.bytes.take(bytes, turn.now.ms)
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
