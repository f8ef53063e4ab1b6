/**
 * What is signed and verified, with the keys handed in. Nothing is verified twice: a certificate's header is mostly known
 * from its author, and our own signatures are compared with what we have.
 *
 * In a committee of four a round costs an authority three headers, two votes for its own, and three certificates with two
 * votes of others each: eleven verifications; and five signatures.
 */
import { digestKey } from '../../shared/wire/digest-key.js'
import { type Checkpoint, checkpointMessage, type SignedCheckpoint } from '../../shared/wire/primary/checkpoint.js'
import { headerSignatureMessage } from '../../shared/wire/primary/header.js'
import { compareBytes } from '../../shared/wire/primary/record.js'
import { type Vote, voteMessage } from '../../shared/wire/primary/vote.js'
import type { AuthorityIndex, Digest } from './consensus/types.js'
import { VERIFIED_HEADERS_PER_AUTHORITY } from './limits.js'
import type { CertificateRecord, HeaderRecord } from './records.js'

export interface SignatureCheck {
  readonly authority: AuthorityIndex
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

/** The committee's public keys and our own secret one. Synchronous. */
export interface Keys {
  sign(message: Uint8Array): Uint8Array
  /** Whether all of them are valid. */
  verify(checks: readonly SignatureCheck[]): boolean
}

export class Signatures {
  private readonly keys: Keys
  private readonly committeeDigest: Uint8Array
  private readonly authority: AuthorityIndex
  /** By author, oldest first: the signature by the header's id. */
  private readonly verified: Map<Digest, Uint8Array>[]

  constructor(keys: Keys, committeeDigest: Uint8Array, authority: AuthorityIndex, authorities: number) {
    this.keys = keys
    this.committeeDigest = committeeDigest
    this.authority = authority
    this.verified = Array.from({ length: authorities }, () => new Map())
  }

  signHeader(id: Uint8Array): Uint8Array {
    return this.keys.sign(headerSignatureMessage(id))
  }

  signVote(header: HeaderRecord): Vote {
    const { author, round, idBytes: headerId } = header
    const voted = { author, round, headerId, epoch: header.signed.epoch }
    return { ...voted, voter: this.authority, signature: this.keys.sign(voteMessage(this.committeeDigest, voted)) }
  }

  signCheckpoint(checkpoint: Checkpoint): Uint8Array {
    return this.keys.sign(checkpointMessage(this.committeeDigest, checkpoint))
  }

  verifyCheckpoint(checkpoint: SignedCheckpoint): boolean {
    const { signature, signer: authority } = checkpoint
    return this.keys.verify([{ authority, signature, message: checkpointMessage(this.committeeDigest, checkpoint) }])
  }

  /** Takes a header of ours, or one from our store, as verified. */
  trust(header: HeaderRecord): void {
    const known = this.verified[header.author]!
    known.set(header.id, header.signed.signature)
    if (known.size > VERIFIED_HEADERS_PER_AUTHORITY) known.delete(known.keys().next().value!)
  }

  verifyHeader(header: HeaderRecord): boolean {
    const checks = this.checksOfHeader(header)
    if (checks.length > 0 && !this.keys.verify(checks)) return false
    this.trust(header)
    return true
  }

  verifyVote(vote: Vote): boolean {
    return this.keys.verify([this.checkOfVote(vote)])
  }

  /**
   * The header's signature and those of all votes.
   *
   * @param ownVote ours for this header, if we have one
   */
  verifyCertificate(certificate: CertificateRecord, ownVote?: Vote): boolean {
    const { header, votes } = certificate
    const { author, round, idBytes: headerId } = header
    const checks = this.checksOfHeader(header)
    for (const { voter, signature } of votes) {
      if (voter === this.authority && ownVote !== undefined && isSame(ownVote.signature, signature)) continue
      checks.push(this.checkOfVote({ voter, signature, author, round, headerId, epoch: header.signed.epoch }))
    }
    if (checks.length > 0 && !this.keys.verify(checks)) return false
    this.trust(header)
    return true
  }

  private checksOfHeader({ author, id, idBytes, signed }: HeaderRecord): SignatureCheck[] {
    const known = this.verified[author]!.get(id)
    if (known !== undefined && isSame(known, signed.signature)) return []
    return [{ authority: author, message: headerSignatureMessage(idBytes), signature: signed.signature }]
  }

  private checkOfVote(vote: Vote): SignatureCheck {
    return { authority: vote.voter, message: voteMessage(this.committeeDigest, vote), signature: vote.signature }
  }
}

/** Whether there is a vote, and it is for this header. */
export function isFor(vote: Vote | undefined, header: HeaderRecord): boolean {
  return vote !== undefined && vote.round === header.round && digestKey(vote.headerId) === header.id
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return compareBytes(a, b) === 0
}
