/**
 * The certificate of the dialect `narval`: a header and the votes of a quorum for it.
 *
 * ```
 *  0     1     2         4              8          40                      then
 *  ├ 1 ──┼ 3 ──┼ votes v ┼ header bytes ┼ voters ──┼ v signatures, 64 each ┼ header ────────────────────┤
 *  version kind  u16       u32            32 bytes   by ascending voter      its record, with signature
 * ```
 *
 * `voters` is a set of authorities: bit i % 8 of byte i / 8 is the authority with index i. A signature is that of a vote
 * (`vote.ts`). A certificate is named by the id of its header, so it is the same whoever voted.
 */
import { assert } from '../../assert.js'
import { SIGNATURE_BYTES } from '../../constants.js'
import { peerMask } from '../ack.js'
import { decodeHeader, encodeHeader, roundOfHeader, type SignedHeader } from './header.js'
import { CERTIFICATE_BYTES_MAX, CERTIFICATE_HEAD_BYTES } from './limits.js'
import * as record from './record.js'

const VOTERS_AT = 8

export interface CertificateVote {
  readonly voter: number
  /** 64 bytes over `voteMessage`. */
  readonly signature: Uint8Array
}

export interface CertifiedHeader {
  readonly header: SignedHeader
  /** By ascending voter. */
  readonly votes: readonly CertificateVote[]
}

export function encodeCertificate({ header, votes }: CertifiedHeader): Uint8Array {
  const headerBytes = encodeHeader(header)
  const headerAt = CERTIFICATE_HEAD_BYTES + votes.length * SIGNATURE_BYTES
  const bytes = new Uint8Array(headerAt + headerBytes.length)
  const view = new DataView(bytes.buffer)
  bytes.set([record.RECORD_VERSION, record.RECORD_KINDS.certificate])
  view.setUint16(2, votes.length, true)
  view.setUint32(4, headerBytes.length, true)
  bytes.set(peerMask(votes.map(({ voter }) => voter)), VOTERS_AT)
  for (const [at, { voter, signature }] of votes.entries()) {
    assert(at === 0 || votes[at - 1]!.voter < voter, 'voters ascend')
    assert(signature.length === SIGNATURE_BYTES, 'a signature has 64 bytes')
    bytes.set(signature, CERTIFICATE_HEAD_BYTES + at * SIGNATURE_BYTES)
  }
  bytes.set(headerBytes, headerAt)
  return bytes
}

/** @throws NarvalError ERR_CODEC */
export function decodeCertificate(bytes: Uint8Array, authorities: number): CertifiedHeader {
  const view = record.open('certificate', bytes, CERTIFICATE_HEAD_BYTES, CERTIFICATE_BYTES_MAX)
  const voters = record.readAuthorities('certificate', bytes, VOTERS_AT, 'voter', authorities)
  const [count, headerBytes] = [view.getUint16(2, true), view.getUint32(4, true)]
  if (count !== voters.length) throw malformed(`${count} votes of ${voters.length} voters`)
  const headerAt = CERTIFICATE_HEAD_BYTES + count * SIGNATURE_BYTES
  if (bytes.length !== headerAt + headerBytes)
    throw malformed(`${bytes.length} bytes, expected ${headerAt + headerBytes}`)
  const signatures = record.readSignatures(bytes, CERTIFICATE_HEAD_BYTES, count)
  const votes = voters.map((voter, at) => ({ voter, signature: signatures[at]! }))
  return { header: decodeHeader(bytes.subarray(headerAt), authorities), votes }
}

/** The round of a certificate's record, without the rest of it. */
export function roundOfCertificate(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headerAt = CERTIFICATE_HEAD_BYTES + view.getUint16(2, true) * SIGNATURE_BYTES
  return roundOfHeader(bytes.subarray(headerAt))
}

function malformed(problem: string): Error {
  return record.malformed('certificate', problem)
}
