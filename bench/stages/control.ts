/** The messages of MessagePack between workers: the hello at the start of a connection, and lists of digests for sync. */
import { randomBytes } from 'node:crypto'
import { PROTOCOL_VERSION, REQUEST_DIGESTS_MAX, SIGNATURE_BYTES } from '../../src/shared/constants.js'
import { publicKeyOf, signer } from '../../src/shared/crypto/ed25519.js'
import { decodeHello, encodeHello, type HelloRecord, verifyHello } from '../../src/shared/wire/hello.js'
import { decodeDigests, encodeDigests } from '../../src/shared/wire/sync-messages.js'
import { type Case, measure } from '../lib/measure.js'
import type { Stage } from '../lib/stage.js'

export const control: Stage = {
  name: 'control',
  about: 'hello and sync messages (MessagePack), with and without the signature of a hello',
  run: ({ timeMs }) => measure('control', [...helloCases(), ...[1, REQUEST_DIGESTS_MAX].flatMap(syncCases)], timeMs),
}

function helloCases(): Case[] {
  const seed = new Uint8Array(32).fill(7)
  const sign = signer(seed)
  const noSignature = new Uint8Array(SIGNATURE_BYTES)
  const record: HelloRecord = {
    protocolVersion: PROTOCOL_VERSION,
    authority: publicKeyOf(seed),
    workerId: 0,
    peerId: '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust',
    addresses: ['/ip4/192.0.2.10/tcp/4004', '/dns4/worker.example.org/tcp/4004'],
    committeeDigest: new Uint8Array(randomBytes(32)),
    timeMs: 1_790_000_000_000,
    nodeVersion: 'narval/0.1.0',
    batchBytesMax: 500_000,
    ackLevel: 2,
  }
  const hello = encodeHello(record, sign)
  const decoded = decodeHello(hello)
  const op = 'hello'
  // `encodeHello` decodes what it has made, to find what others would refuse.
  return [
    { name: 'hello: encode, and sign', op, run: () => encodeHello(record, sign) },
    { name: 'hello: encode, without signing', op, run: () => encodeHello(record, () => noSignature) },
    { name: 'hello: decode', op, run: () => decodeHello(hello) },
    { name: 'hello: verify the signature', op, run: () => verifyHello(decoded) },
  ]
}

function syncCases(count: number): Case[] {
  const digests = Array.from({ length: count }, () => new Uint8Array(randomBytes(32)))
  const encoded = encodeDigests(digests)
  const of = { op: `message of ${encoded.length} B`, bytes: encoded.length }
  return [
    { ...of, name: `sync, digests × ${count}: encode`, run: () => encodeDigests(digests) },
    { ...of, name: `sync, digests × ${count}: decode`, run: () => decodeDigests(encoded) },
  ]
}
