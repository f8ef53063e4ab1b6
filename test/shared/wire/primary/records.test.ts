/** Headers, votes and certificates of the dialect narval: one form each, and nothing else is taken. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { publicKeyOf, signer, verify } from '../../../../src/shared/crypto/ed25519.js'
import { NarvalError } from '../../../../src/shared/errors.js'
import { decodeCertificate, encodeCertificate } from '../../../../src/shared/wire/primary/certificate.js'
import {
  compareEntries,
  decodeHeader,
  encodeHeader,
  encodeUnsignedHeader,
  headerSignatureMessage,
  type SignedHeader,
  type UnsignedHeader,
} from '../../../../src/shared/wire/primary/header.js'
import { headerId } from '../../../../src/shared/wire/primary/header-id.js'
import * as limits from '../../../../src/shared/wire/primary/limits.js'
import { compareBytes } from '../../../../src/shared/wire/primary/record.js'
import { decodeVote, encodeVote, type Vote, voteMessage } from '../../../../src/shared/wire/primary/vote.js'

const AUTHORITIES = 10
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })
const signature = fc.uint8Array({ minLength: 64, maxLength: 64 })
const authority = fc.nat(AUTHORITIES - 1)
const whole = fc.oneof(fc.nat(100), fc.maxSafeNat())
const round = whole.map((value) => Math.max(1, value))
const entry = fc.record({
  digest,
  author: authority,
  worker: fc.nat(2 ** 32 - 1),
  sequence: fc.bigInt(0n, 2n ** 64n - 1n),
})
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const header: fc.Arbitrary<SignedHeader> = fc.record({
  author: authority,
  epoch: whole,
  round,
  createdAt: whole,
  parents: fc.uniqueArray(digest, { maxLength: 5, selector: hexOf }).map((all) => all.sort(compareBytes)),
  payload: fc
    .uniqueArray(entry, { maxLength: 5, comparator: (a, b) => compareEntries(a, b) === 0 })
    .map((all) => all.sort(compareEntries)),
  signature,
})
const vote: fc.Arbitrary<Vote> = fc.record({
  voter: authority,
  author: authority,
  epoch: whole,
  round,
  headerId: digest,
  signature,
})
const certificate = fc.record({
  header,
  votes: fc
    .uniqueArray(fc.record({ voter: authority, signature }), { selector: ({ voter }) => voter })
    .map((all) => all.sort((a, b) => a.voter - b.voter)),
})

const kinds = {
  header: { values: header, encode: encodeHeader, decode: decodeHeader },
  vote: { values: vote, encode: encodeVote, decode: decodeVote },
  certificate: { values: certificate, encode: encodeCertificate, decode: decodeCertificate },
}
interface Kind {
  readonly values: fc.Arbitrary<unknown>
  readonly encode: (value: never) => Uint8Array
  readonly decode: (bytes: Uint8Array, authorities: number) => unknown
}

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof NarvalError && error.code === 'ERR_CODEC') return error.message
    throw error
  }
  return 'taken'
}

describe.each(Object.entries(kinds) as [string, Kind][])('a %s', (_, { values, encode, decode }) => {
  test('is what it was, from any place in memory, and shares none of it', () => {
    fc.assert(
      fc.property(values, fc.nat(9), (value, offset) => {
        const bytes = encode(value as never)
        const frame = new Uint8Array(bytes.length + 20)
        frame.set(bytes, offset)
        const decoded = decode(frame.subarray(offset, offset + bytes.length), AUTHORITIES)
        frame.fill(0xff)
        expect(decoded).toEqual(value)
      }),
    )
  })

  test('has one form: whatever other bytes are taken, they are those that are made of what they say', () => {
    let taken = 0
    fc.assert(
      fc.property(values, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, where, change) => {
        const bytes = encode(value as never)
        bytes[where % bytes.length]! ^= change
        let decoded: unknown
        if (
          refusal(() => {
            decoded = decode(bytes, AUTHORITIES)
          }) !== 'taken'
        )
          return
        taken += 1
        expect(encode(decoded as never)).toEqual(bytes)
        expect(decoded).not.toEqual(value)
      }),
      { numRuns: 500 },
    )
    expect(taken).toBeGreaterThan(20)
  })

  test('is refused when a byte is missing or one too many, and rubbish is', () => {
    fc.assert(
      fc.property(values, fc.nat(), (value, where) => {
        const bytes = encode(value as never)
        expect(refusal(() => decode(bytes.subarray(0, where % bytes.length), AUTHORITIES))).not.toBe('taken')
        expect(refusal(() => decode(new Uint8Array([...bytes, 0]), AUTHORITIES))).not.toBe('taken')
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(refusal(() => decode(bytes, AUTHORITIES))).not.toBe('taken')
        const marked = Uint8Array.from(bytes)
        marked.set([1, 1 + (marked.length % 3)].slice(0, marked.length))
        refusal(() => decode(marked, AUTHORITIES))
      }),
    )
  })
})

describe('a record is refused that', () => {
  const good: SignedHeader = {
    author: 1,
    epoch: 0,
    round: 7,
    createdAt: 5,
    parents: [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte)),
    payload: [
      { digest: new Uint8Array(32).fill(9), author: 1, worker: 0, sequence: 4n },
      { digest: new Uint8Array(32).fill(8), author: 1, worker: 0, sequence: 5n },
    ],
    signature: new Uint8Array(64).fill(4),
  }
  const of = (change: (bytes: Uint8Array, view: DataView) => void): string => {
    const bytes = encodeHeader(good)
    change(bytes, new DataView(bytes.buffer))
    return refusal(() => decodeHeader(bytes, 4))
  }

  test.each<[string, (bytes: Uint8Array, view: DataView) => void, string]>([
    ['nobody changed', () => undefined, 'taken'],
    ['has another version', (bytes) => bytes.set([2], 0), 'header: version 2, expected 1'],
    ['is of another kind', (bytes) => bytes.set([2], 1), 'header: a record of kind 2'],
    ['is of nobody in the committee', (_, view) => view.setUint16(2, 4, true), 'header: author 4 of a committee of 4'],
    ['is of round 0', (_, view) => view.setBigUint64(12, 0n, true), /^header: round 0, expected 1 to/ as never],
    [
      'is of an absurd round',
      (_, view) => view.setBigUint64(12, 2n ** 53n, true),
      /^header: round 9007199254740992/ as never,
    ],
    [
      'has an absurd time',
      (_, view) => view.setBigUint64(20, 2n ** 64n - 1n, true),
      /^header: created at 1844/ as never,
    ],
    ['has an absurd epoch', (_, view) => view.setBigUint64(4, 2n ** 60n, true), /^header: epoch/ as never],
    ['says more parents than it has', (_, view) => view.setUint16(28, 4, true), /bytes, expected/ as never],
    ['says too many parents', (_, view) => view.setUint16(28, 257, true), 'header: 257 parents, at most 256'],
    ['says too many batches', (_, view) => view.setUint16(30, 513, true), 'header: 513 batches, at most 512'],
    [
      'has a parent twice',
      (bytes) => bytes.copyWithin(64, 32, 64),
      'header: parents 0 and 1 are not in order, or the same',
    ],
    ['has parents out of order', (bytes) => bytes.fill(7, 32, 64), /^header: parents 0 and 1/ as never],
    ['has a batch twice', (_, view) => view.setBigUint64(216, 4n, true), /^header: batches 0 and 1/ as never],
    [
      'has a batch of nobody',
      (_, view) => view.setUint16(160, 4, true),
      'header: a batch of authority 4 of a committee of 4',
    ],
    ['has something where zeros are', (bytes) => bytes.set([1], 163), 'header: byte 1 where zeros are reserved'],
  ])('%s', (_, change, expected) => {
    if (typeof expected === 'string') expect(of(change)).toBe(expected)
    else expect(of(change)).toMatch(expected)
  })

  test('has other voters than signatures, or voters outside the committee', () => {
    const bytes = encodeCertificate({ header: good, votes: [{ voter: 3, signature: new Uint8Array(64) }] })
    expect(refusal(() => decodeCertificate(bytes, 4))).toBe('taken')
    expect(refusal(() => decodeCertificate(bytes, 3))).toBe('certificate: voter 3 of a committee of 3')
    bytes[8]! |= 1
    expect(refusal(() => decodeCertificate(bytes, 4))).toBe('certificate: 1 votes of 2 voters')
  })

  test('is larger than any can be', () => {
    const large = new Uint8Array(limits.CERTIFICATE_BYTES_MAX + 1)
    expect(refusal(() => decodeCertificate(large, 4))).toMatch(/at most/)
    expect(refusal(() => decodeHeader(large, 4))).toMatch(/at most/)
  })
})

test('the largest header and certificate are as large as their limits say', () => {
  const bytesOf = (value: number): Uint8Array => {
    const bytes = new Uint8Array(32)
    new DataView(bytes.buffer).setUint16(0, value)
    return bytes
  }
  const largest: SignedHeader = {
    author: 255,
    epoch: Number.MAX_SAFE_INTEGER,
    round: Number.MAX_SAFE_INTEGER,
    createdAt: Number.MAX_SAFE_INTEGER,
    parents: Array.from({ length: limits.HEADER_PARENTS_MAX }, (_, at) => bytesOf(at)),
    payload: Array.from({ length: limits.HEADER_PAYLOAD_MAX }, (_, at) => ({
      digest: bytesOf(at),
      author: 255,
      worker: 2 ** 32 - 1,
      sequence: BigInt(at),
    })),
    signature: new Uint8Array(64),
  }
  const votes = Array.from({ length: 256 }, (_, voter) => ({ voter, signature: new Uint8Array(64).fill(voter) }))
  const bytes = encodeCertificate({ header: largest, votes })
  expect(encodeHeader(largest).length).toBe(limits.HEADER_BYTES_MAX)
  expect(bytes.length).toBe(limits.CERTIFICATE_BYTES_MAX)
  expect(decodeCertificate(bytes, 256)).toEqual({ header: largest, votes })
})

describe('what is hashed and signed', () => {
  const committee = new Uint8Array(32).fill(0xcc)
  const tag = (name: string): Buffer => Buffer.concat([Buffer.from(name)], 32)
  const sha256 = (...parts: Uint8Array[]): string => createHash('sha256').update(Buffer.concat(parts)).digest('hex')

  test('is as the drawing says, and changes with every field, and with the committee', () => {
    fc.assert(
      fc.property(header, header, (one, other) => {
        const id = headerId(committee, one)
        expect(hexOf(id)).toBe(sha256(tag('narval/header/v1'), committee, encodeUnsignedHeader(one)))
        expect(Buffer.from(headerSignatureMessage(id))).toEqual(Buffer.concat([tag('narval/header-signature/v1'), id]))
        // The signature is no part of the id; all else is.
        expect(headerId(committee, { ...one, signature: other.signature } as UnsignedHeader)).toEqual(id)
        for (const key of ['author', 'epoch', 'round', 'createdAt', 'parents', 'payload'] as const) {
          const changed = { ...one, [key]: other[key] }
          const same = JSON.stringify(show(changed)) === JSON.stringify(show(one))
          expect(hexOf(headerId(committee, changed)) === hexOf(id)).toBe(same)
        }
        expect(headerId(new Uint8Array(32), one)).not.toEqual(id)
      }),
    )
  })

  test('by a vote is as the drawing says', () => {
    const voted = { epoch: 1, round: 2, author: 3, headerId: new Uint8Array(32).fill(0xdd) }
    expect(hexOf(voteMessage(committee, voted))).toBe(
      `${tag('narval/vote/v1').toString('hex')}${'cc'.repeat(32)}0100000000000000${'dd'.repeat(32)}02000000000000000300`,
    )
  })

  test('verifies with the key that signed, and for nothing else', () => {
    const seed = new Uint8Array(32).fill(1)
    const voted = { epoch: 0, round: 2, author: 3, headerId: new Uint8Array(32).fill(0xdd) }
    const signed = signer(seed)(voteMessage(committee, voted))
    expect(verify(publicKeyOf(seed), voteMessage(committee, voted), signed)).toBe(true)
    for (const change of [{ epoch: 1 }, { round: 3 }, { author: 2 }, { headerId: new Uint8Array(32) }]) {
      expect(verify(publicKeyOf(seed), voteMessage(committee, { ...voted, ...change }), signed)).toBe(false)
    }
    expect(verify(publicKeyOf(seed), voteMessage(new Uint8Array(32), voted), signed)).toBe(false)
  })

  function show(of: UnsignedHeader): unknown {
    const { author, epoch, round: at, createdAt, parents, payload } = of
    return [
      author,
      epoch,
      at,
      createdAt,
      parents.map(hexOf),
      payload.map((e) => [hexOf(e.digest), e.author, e.worker, `${e.sequence}`]),
    ]
  }
})

test('the worked example of docs/consensus.md is what the code makes', () => {
  const document = readFileSync(resolve(import.meta.dirname, '../../../../docs/consensus.md'), 'utf8')
  const block = /<!-- vector: header -->\n+```\n([\s\S]*?)```/.exec(document)![1]!
  const lines = new Map(
    block
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/) as [string, string]),
  )
  const seed = new Uint8Array(32).fill(1)
  const committee = new Uint8Array(32).fill(0xcc)
  const unsigned: UnsignedHeader = {
    author: 1,
    epoch: 0,
    round: 7,
    createdAt: 1_790_000_000_000,
    parents: [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte)),
    payload: [{ digest: new Uint8Array(32).fill(9), author: 1, worker: 0, sequence: 4n }],
  }
  const id = headerId(committee, unsigned)
  const signedHeader = { ...unsigned, signature: signer(seed)(headerSignatureMessage(id)) }
  const voted = { epoch: 0, round: 7, author: 1, headerId: id }
  const signedVote = { ...voted, voter: 2, signature: signer(seed)(voteMessage(committee, voted)) }
  const made: Record<string, Uint8Array> = {
    header: encodeHeader(signedHeader),
    id,
    vote: encodeVote(signedVote),
    certificate: encodeCertificate({ header: signedHeader, votes: [signedVote] }),
  }
  for (const [name, bytes] of Object.entries(made)) expect(lines.get(name), name).toBe(hexOf(bytes))
})
