import { expect, test } from 'vitest'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { formatKeys, keysOf, parseKeys } from '../../../src/shared/config/keys.js'
import { publicKeyOf, signer, verify } from '../../../src/shared/crypto/ed25519.js'
import { BincodeReader } from '../../../src/shared/wire/bincode.js'
import { sampleNumber, writeClientTransaction } from '../../../src/shared/wire/client-transaction.js'
import {
  decodePrimaryWorkerMessage,
  decodeWorkerPrimaryMessage,
  encodePrimaryWorkerMessage,
  encodeWorkerPrimaryMessage,
  type PrimaryWorkerMessage,
  type WorkerPrimaryMessage,
} from '../../../src/shared/wire/primary-messages.js'
import { encodeFrame } from '../../../src/shared/wire/reference-frame.js'
import * as reference from '../../support/reference-messages.js'
import { fromHex, toHex, vectors } from '../../support/reference-vectors.js'

const publicKeys = vectors.keys.map((key) => fromHex(key.public))
const publicKey = (index: number): Uint8Array => publicKeys[index] as Uint8Array
const sign = (index: number, message: Uint8Array): string => toHex(signer(fromHex(vectors.keys[index]!.seed))(message))

/** The vector's bytes are what we write, and what we read from them is the message, with nothing left over. */
function expectPrimaryMessage(message: reference.PrimaryMessage, encoded: string): void {
  expect(toHex(reference.encodePrimaryMessage(message))).toBe(encoded)
  const reader = new BincodeReader(fromHex(encoded))
  expect(reference.readPrimaryMessage(reader)).toEqual(message)
  expect(reader.consumed).toBe(true)
}

function expectWorkerMessage(message: reference.WorkerMessage, encoded: string): void {
  expect(toHex(reference.encodeWorkerMessage(message))).toBe(encoded)
  const reader = new BincodeReader(fromHex(encoded))
  expect(reference.readWorkerMessage(reader)).toEqual(message)
  expect(reader.consumed).toBe(true)
}

test('keys: seed, public key and key file are those of the reference', () => {
  expect(vectors.keys).toHaveLength(4)
  for (const key of vectors.keys) {
    const keys = keysOf(fromHex(key.seed))
    expect(toHex(publicKeyOf(fromHex(key.seed)))).toBe(key.public)
    expect(keys.name).toBe(key.name_base64)
    expect(JSON.parse(formatKeys(keys))).toEqual({ name: key.name_base64, secret: key.secret_base64 })
    expect(parseKeys({ name: key.name_base64, secret: key.secret_base64 }, 'vector')).toEqual(keys)
  }
})

test('the committee is ordered by raw key, as in the memory of the reference', () => {
  const names = vectors.keys.map((key) => key.name_base64)
  const committee = parseCommittee(localCommittee(names, 1, 4000), 'vector')
  const order = committee.authorities.map((authority) => names.indexOf(authority.name))
  expect(order).toEqual(vectors.committee_order)
})

test('worker messages: batches, and their digests', () => {
  expect(vectors.batches).toHaveLength(4)
  for (const batch of vectors.batches) {
    const transactions = batch.transactions.map(fromHex)
    expectWorkerMessage({ type: 'Batch', transactions }, batch.encoded)
    const digest = reference.batchDigest(fromHex(batch.encoded))
    expect(toHex(digest)).toBe(batch.digest)
    expect(Buffer.from(digest).toString('base64')).toBe(batch.digest_base64)
  }
})

test('worker messages: a batch request', () => {
  const { digests, requester, encoded } = vectors.worker_messages.batch_request
  expectWorkerMessage({ type: 'BatchRequest', digests: digests.map(fromHex), requester: publicKey(requester) }, encoded)
})

test('client transactions: a sample and a standard one', () => {
  const transaction = new Uint8Array(16).fill(0xff)
  writeClientTransaction(transaction, 'sample', 7n)
  expect(toHex(transaction)).toBe(vectors.client_transactions.sample_7_16_bytes)
  expect(sampleNumber(transaction)).toBe(7n)
  writeClientTransaction(transaction, 'standard', 0x0123456789abcdefn)
  expect(toHex(transaction)).toBe(vectors.client_transactions.standard_16_bytes)
  expect(sampleNumber(transaction)).toBeUndefined()
})

test.each([
  ['OurBatch', vectors.worker_primary.our_batch],
  ['OthersBatch', vectors.worker_primary.others_batch],
] as const)('worker to primary: %s', (type, vector) => {
  const message: WorkerPrimaryMessage = { type, digest: fromHex(vector.digest), workerId: vector.worker_id }
  expect(toHex(encodeWorkerPrimaryMessage(message))).toBe(vector.encoded)
  expect(decodeWorkerPrimaryMessage(fromHex(vector.encoded))).toEqual(message)
})

test('frames: OurBatch and the reference’s Ack', () => {
  const { encoded, framed } = vectors.worker_primary.our_batch
  expect(toHex(encodeFrame(fromHex(encoded)))).toBe(framed)
  expect(toHex(encodeFrame(Buffer.from('Ack')))).toBe(vectors.ack_frame)
})

test('primary to worker: Synchronize and Cleanup', () => {
  const { synchronize, cleanup } = vectors.primary_worker
  const cases: [PrimaryWorkerMessage, string][] = [
    [
      { type: 'Synchronize', digests: synchronize.digests.map(fromHex), target: publicKey(synchronize.target) },
      synchronize.encoded,
    ],
    [{ type: 'Cleanup', round: BigInt(cleanup.round) }, cleanup.encoded],
  ]
  for (const [message, encoded] of cases) {
    expect(toHex(encodePrimaryWorkerMessage(message))).toBe(encoded)
    expect(decodePrimaryWorkerMessage(fromHex(encoded))).toEqual(message)
  }
})

test('genesis certificates, by key', () => {
  const digests = publicKeys.map((author) => toHex(reference.certificateDigest(reference.genesisCertificate(author))))
  expect(digests).toEqual(vectors.genesis_certificate_digests)
  expect([...digests].sort()).toEqual(vectors.header.parents)
})

const header: reference.Header = {
  author: publicKey(vectors.header.author),
  round: BigInt(vectors.header.round),
  payload: vectors.header.payload.map(([digest, workerId]) => ({ digest: fromHex(digest), workerId })),
  parents: vectors.header.parents.map(fromHex),
  id: fromHex(vectors.header.id),
  signature: fromHex(vectors.header.signature),
}

test('primary messages: a header, its id and its signature', () => {
  expect(toHex(reference.headerId(header))).toBe(vectors.header.id)
  expect(sign(vectors.header.author, header.id)).toBe(vectors.header.signature)
  expectPrimaryMessage({ type: 'Header', header }, vectors.header.message)
})

test('primary messages: votes, their digest and their signatures', () => {
  const digest = reference.voteDigest(header.id, header.round, header.author)
  expect(toHex(digest)).toBe(vectors.vote_digest)
  expect(vectors.votes).toHaveLength(4)
  vectors.votes.forEach((vector, i) => {
    const signature = vectors.vote_signatures[i]!
    expect(sign(vector.author, digest)).toBe(signature)
    expect(verify(publicKey(vector.author), digest, fromHex(signature))).toBe(true)
    const { id, round, author: origin } = header
    const vote = { id, round, origin, author: publicKey(vector.author), signature: fromHex(signature) }
    expectPrimaryMessage({ type: 'Vote', vote }, vector.message)
  })
})

test('primary messages: a certificate and its digest', () => {
  const votes = vectors.certificate.signers.map((signer) => ({
    author: publicKey(signer),
    signature: fromHex(vectors.vote_signatures[signer]!),
  }))
  expect(toHex(reference.certificateDigest({ header, votes }))).toBe(vectors.certificate.digest)
  expectPrimaryMessage({ type: 'Certificate', certificate: { header, votes } }, vectors.certificate.message)
})

test('primary messages: a certificates request', () => {
  const { digests, requester, message } = vectors.certificates_request
  const request = { digests: digests.map(fromHex), requester: publicKey(requester) }
  expectPrimaryMessage({ type: 'CertificatesRequest', ...request }, message)
})
