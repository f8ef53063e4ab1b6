/** Checkpoints: one form each, what is signed as it is drawn, and vectors that do not change. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { publicKeyOf, signer, verify } from '../../../../src/shared/crypto/ed25519.js'
import { NarvalError } from '../../../../src/shared/errors.js'
import {
  type AttestedCheckpoint,
  checkpointMessage,
  decodeAttestedCheckpoint,
  decodeSignedCheckpoint,
  encodeAttestedCheckpoint,
  encodeSignedCheckpoint,
  isSameCheckpoint,
  type SignedCheckpoint,
} from '../../../../src/shared/wire/primary/checkpoint.js'
import { decodeCheckpointRequest, encodeCheckpointRequest } from '../../../../src/shared/wire/primary/requests.js'

const AUTHORITIES = 10
const DIGEST = new Uint8Array(32).fill(0xcc)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })
const signature = fc.uint8Array({ minLength: 64, maxLength: 64 })
const whole = fc.oneof(fc.nat(100), fc.maxSafeNat())
const said = {
  epoch: whole,
  index: whole.map((index) => Math.max(1, index)),
  rule: digest,
  root: digest,
  state: digest,
}
const signed: fc.Arbitrary<SignedCheckpoint> = fc.record({ ...said, signer: fc.nat(AUTHORITIES - 1), signature })
const attested: fc.Arbitrary<AttestedCheckpoint> = fc.record({
  ...said,
  signatures: fc
    .uniqueArray(fc.record({ signer: fc.nat(AUTHORITIES - 1), signature }), { selector: ({ signer }) => signer })
    .map((all) => all.sort((a, b) => a.signer - b.signer)),
})

/** Whatever is not encoded like this is refused, or is read as what it encodes. */
function expectOneForm<T>(value: T, encode: (value: T) => Uint8Array, decode: (bytes: Uint8Array) => T): void {
  const bytes = encode(value)
  expect(decode(bytes)).toEqual(value)
  for (const length of [0, 1, bytes.length - 1]) expect(() => decode(bytes.subarray(0, length))).toThrow(NarvalError)
  expect(() => decode(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(NarvalError)
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Uint8Array.from(bytes)
    changed[at]! ^= 0x80
    let read: T
    try {
      read = decode(changed)
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_CODEC' })
      continue
    }
    expect(hex(encode(read))).toBe(hex(changed))
  }
}

test('a signed one has one form', () => {
  fc.assert(
    fc.property(signed, (value) =>
      expectOneForm(value, encodeSignedCheckpoint, (bytes) => decodeSignedCheckpoint(bytes, AUTHORITIES)),
    ),
    { numRuns: 20 },
  )
})

test('an attested one has one form', () => {
  fc.assert(
    fc.property(attested, (value) =>
      expectOneForm(value, encodeAttestedCheckpoint, (bytes) => decodeAttestedCheckpoint(bytes, AUTHORITIES)),
    ),
    { numRuns: 20 },
  )
})

test('a request has one form', () => {
  fc.assert(fc.property(whole, (index) => expectOneForm(index, encodeCheckpointRequest, decodeCheckpointRequest)))
})

test('what is signed is the domain, the committee, and what the record says, as it is drawn', () => {
  fc.assert(
    fc.property(signed, digest, (value, committee) => {
      const domain = Buffer.alloc(32)
      domain.write('narval/checkpoint/v1')
      const drawn = Buffer.concat([domain, committee, encodeSignedCheckpoint(value).subarray(8, 120)])
      expect(hex(checkpointMessage(committee, value))).toBe(hex(drawn))
    }),
  )
})

test('two are the same when all that they say is', () => {
  fc.assert(
    fc.property(signed, attested, (a, b) => {
      expect(isSameCheckpoint(a, { ...a, signer: 9 } as SignedCheckpoint)).toBe(true)
      for (const name of ['epoch', 'index', 'rule', 'root', 'state'] as const) {
        const other = { ...a, [name]: b[name] }
        expect(isSameCheckpoint(a, other)).toBe(hex(encodeSignedCheckpoint(a)) === hex(encodeSignedCheckpoint(other)))
      }
    }),
  )
})

test('the vector: a checkpoint of commit 32, signed with the seed of 32 bytes 01', () => {
  const seed = new Uint8Array(32).fill(1)
  const checkpoint = {
    epoch: 0,
    index: 32,
    rule: new Uint8Array(32).fill(0xaa),
    root: new Uint8Array(32).fill(0xbb),
    state: new Uint8Array(32).fill(0xdd),
  }
  const message = checkpointMessage(DIGEST, checkpoint)
  const signature = signer(seed)(message)
  expect(verify(publicKeyOf(seed), message, signature)).toBe(true)
  expect(hex(encodeSignedCheckpoint({ ...checkpoint, signer: 2, signature }))).toBe(
    `01090200000000000000000000000000${'2000000000000000'}${'aa'.repeat(32)}${'bb'.repeat(32)}${'dd'.repeat(32)}${VECTOR}`,
  )
  expect(hex(encodeAttestedCheckpoint({ ...checkpoint, signatures: [{ signer: 2, signature }] }))).toBe(
    `010a0100000000000000000000000000${'2000000000000000'}${'aa'.repeat(32)}${'bb'.repeat(32)}${'dd'.repeat(32)}04${'00'.repeat(31)}${VECTOR}`,
  )
})

const VECTOR =
  '3ff4db60c4c75eb6dcb467747aea92046b6a1af0f76ffff143acd6472357b6e6d895a816dbb28ea494de94415ffca20c79d26551ce8b3372d46c0d0fe3f7d307'
