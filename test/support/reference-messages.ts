/**
 * The messages and digests of the reference that the worker itself does not use (asonnino/narwhal worker/src/worker.rs,
 * primary/src/messages.rs), written from its wire format, so that every reference vector is checked.
 */
import { createHash } from 'node:crypto'
import { DIGEST_BYTES, SIGNATURE_BYTES } from '../../src/shared/constants.js'
import { type BincodeReader, BincodeWriter } from '../../src/shared/wire/bincode.js'
import { readDigests, readPublicKey, writeDigests, writePublicKey } from '../../src/shared/wire/primary-messages.js'

export type WorkerMessage =
  | { readonly type: 'Batch'; readonly transactions: readonly Uint8Array[] }
  | { readonly type: 'BatchRequest'; readonly digests: readonly Uint8Array[]; readonly requester: Uint8Array }

export interface Header {
  readonly author: Uint8Array
  readonly round: bigint
  readonly payload: readonly { readonly digest: Uint8Array; readonly workerId: number }[]
  readonly parents: readonly Uint8Array[]
  readonly id: Uint8Array
  readonly signature: Uint8Array
}

export interface Vote {
  readonly id: Uint8Array
  readonly round: bigint
  readonly origin: Uint8Array
  readonly author: Uint8Array
  readonly signature: Uint8Array
}

export interface Certificate {
  readonly header: Header
  readonly votes: readonly { readonly author: Uint8Array; readonly signature: Uint8Array }[]
}

export type PrimaryMessage =
  | { readonly type: 'Header'; readonly header: Header }
  | { readonly type: 'Vote'; readonly vote: Vote }
  | { readonly type: 'Certificate'; readonly certificate: Certificate }
  | { readonly type: 'CertificatesRequest'; readonly digests: readonly Uint8Array[]; readonly requester: Uint8Array }

export function encodeWorkerMessage(message: WorkerMessage): Uint8Array {
  const writer = new BincodeWriter()
  if (message.type === 'Batch') {
    writer.u32(0).u64(message.transactions.length)
    for (const transaction of message.transactions) writer.bytes(transaction)
  } else {
    writeDigests(writer.u32(1), message.digests)
    writePublicKey(writer, message.requester)
  }
  return writer.finish()
}

export function readWorkerMessage(reader: BincodeReader): WorkerMessage {
  if (reader.variant(2, 'WorkerMessage') === 0) {
    const count = reader.count(8, 'transactions')
    return { type: 'Batch', transactions: Array.from({ length: count }, () => reader.bytes('transaction').slice()) }
  }
  return { type: 'BatchRequest', digests: readDigests(reader), requester: readPublicKey(reader) }
}

export function encodePrimaryMessage(message: PrimaryMessage): Uint8Array {
  const writer = new BincodeWriter(512)
  switch (message.type) {
    case 'Header':
      writeHeader(writer.u32(0), message.header)
      break
    case 'Vote':
      writer.u32(1).fixed(message.vote.id, DIGEST_BYTES).u64(message.vote.round)
      writePublicKey(writer, message.vote.origin)
      writePublicKey(writer, message.vote.author)
      writer.fixed(message.vote.signature, SIGNATURE_BYTES)
      break
    case 'Certificate':
      writeHeader(writer.u32(2), message.certificate.header)
      writer.u64(message.certificate.votes.length)
      for (const { author, signature } of message.certificate.votes) {
        writePublicKey(writer, author)
        writer.fixed(signature, SIGNATURE_BYTES)
      }
      break
    case 'CertificatesRequest':
      writeDigests(writer.u32(3), message.digests)
      writePublicKey(writer, message.requester)
  }
  return writer.finish()
}

export function readPrimaryMessage(reader: BincodeReader): PrimaryMessage {
  switch (reader.variant(4, 'PrimaryMessage')) {
    case 0:
      return { type: 'Header', header: readHeader(reader) }
    case 1: {
      const id = reader.fixed(DIGEST_BYTES, 'id')
      const round = reader.u64()
      const origin = readPublicKey(reader)
      const author = readPublicKey(reader)
      return { type: 'Vote', vote: { id, round, origin, author, signature: readSignature(reader) } }
    }
    case 2: {
      const header = readHeader(reader)
      const votes = Array.from({ length: reader.count(116, 'votes') }, () => ({
        author: readPublicKey(reader),
        signature: readSignature(reader),
      }))
      return { type: 'Certificate', certificate: { header, votes } }
    }
    default:
      return { type: 'CertificatesRequest', digests: readDigests(reader), requester: readPublicKey(reader) }
  }
}

/** Over the whole encoded `WorkerMessage::Batch`, its tag included. */
export function batchDigest(encoded: Uint8Array): Uint8Array {
  return sha512(encoded)
}

export function headerId(header: Omit<Header, 'id' | 'signature'>): Uint8Array {
  const payload = header.payload.flatMap(({ digest, workerId }) => [digest, u32(workerId)])
  return sha512(header.author, u64(header.round), ...payload, ...header.parents)
}

/** What a vote's signature is over; the digest of the certificate that it goes into is the same. */
export function voteDigest(id: Uint8Array, round: bigint, origin: Uint8Array): Uint8Array {
  return sha512(id, u64(round), origin)
}

export function certificateDigest({ header }: Certificate): Uint8Array {
  return voteDigest(header.id, header.round, header.author)
}

/** The certificate that an authority starts with: an empty header of round 0, and no votes. */
export function genesisCertificate(author: Uint8Array): Certificate {
  const id = new Uint8Array(DIGEST_BYTES)
  const signature = new Uint8Array(SIGNATURE_BYTES)
  return { header: { author, round: 0n, payload: [], parents: [], id, signature }, votes: [] }
}

function writeHeader(writer: BincodeWriter, header: Header): void {
  writePublicKey(writer, header.author)
  writer.u64(header.round).u64(header.payload.length)
  for (const { digest, workerId } of header.payload) writer.fixed(digest, DIGEST_BYTES).u32(workerId)
  writeDigests(writer, header.parents)
  writer.fixed(header.id, DIGEST_BYTES).fixed(header.signature, SIGNATURE_BYTES)
}

function readHeader(reader: BincodeReader): Header {
  const author = readPublicKey(reader)
  const round = reader.u64()
  const payload = Array.from({ length: reader.count(DIGEST_BYTES + 4, 'payload') }, () => ({
    digest: reader.fixed(DIGEST_BYTES, 'digest'),
    workerId: reader.u32(),
  }))
  const parents = readDigests(reader)
  return { author, round, payload, parents, id: reader.fixed(DIGEST_BYTES, 'id'), signature: readSignature(reader) }
}

function readSignature(reader: BincodeReader): Uint8Array {
  return reader.fixed(SIGNATURE_BYTES, 'signature')
}

function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest().subarray(0, DIGEST_BYTES))
}

function u32(value: number): Uint8Array {
  return new BincodeWriter().u32(value).finish()
}

function u64(value: bigint): Uint8Array {
  return new BincodeWriter().u64(value).finish()
}
