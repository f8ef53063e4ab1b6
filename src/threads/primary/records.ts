/**
 * Headers and certificates as the stages have them: what consensus sees of them, and the record they came in. Consensus
 * gives them back in its commits and in evidence, so nothing has to be looked up again.
 */
import { SIGNATURE_BYTES } from '../../shared/constants.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import { type CertifiedHeader, decodeCertificate, encodeCertificate } from '../../shared/wire/primary/certificate.js'
import { decodeHeader, type SignedHeader } from '../../shared/wire/primary/header.js'
import { headerIdOfRecord } from '../../shared/wire/primary/header-id.js'
import { CERTIFICATE_HEAD_BYTES } from '../../shared/wire/primary/limits.js'
import type { Certificate, Digest, Header } from './consensus/types.js'

export interface HeaderRecord extends Header {
  readonly signed: SignedHeader
  /** 32 bytes. */
  readonly idBytes: Uint8Array
  /** The record. */
  readonly bytes: Uint8Array
}

export interface CertificateRecord extends Certificate {
  readonly header: HeaderRecord
  readonly votes: CertifiedHeader['votes']
  /** The record. */
  readonly bytes: Uint8Array
}

export class Records {
  private readonly committeeDigest: Uint8Array
  private readonly authorities: number

  constructor(committeeDigest: Uint8Array, authorities: number) {
    this.committeeDigest = committeeDigest
    this.authorities = authorities
  }

  /** @throws NarvalError ERR_CODEC */
  readHeader(bytes: Uint8Array): HeaderRecord {
    return this.header(decodeHeader(bytes, this.authorities), Uint8Array.from(bytes))
  }

  /** @throws NarvalError ERR_CODEC */
  readCertificate(bytes: Uint8Array): CertificateRecord {
    const own = Uint8Array.from(bytes)
    const { header: signed, votes } = decodeCertificate(own, this.authorities)
    const header = this.header(signed, own.subarray(CERTIFICATE_HEAD_BYTES + votes.length * SIGNATURE_BYTES))
    return { digest: header.id, header, votes, bytes: own }
  }

  certificate(header: HeaderRecord, votes: CertifiedHeader['votes']): CertificateRecord {
    return { digest: header.id, header, votes, bytes: encodeCertificate({ header: header.signed, votes }) }
  }

  /** @param bytes the record of it */
  header(signed: SignedHeader, bytes: Uint8Array): HeaderRecord {
    const { author, round, createdAt, parents, payload } = signed
    const idBytes = headerIdOfRecord(this.committeeDigest, bytes)
    return {
      author,
      round,
      createdAt,
      id: digestKey(idBytes),
      parents: parents.map(digestKey),
      payload: payload.map((entry) => ({ ...entry, digest: digestKey(entry.digest) })),
      signed,
      idBytes,
      bytes,
    }
  }
}

/** The digest of which `digestKey` made this key, in memory of its own. */
export function digestBytes(digest: Digest): Uint8Array {
  return new Uint8Array(Buffer.from(digest, 'latin1'))
}
