/** The verification without Node says what the node's says, also of what is made to part them. */
import { createHash, createPublicKey, verify as verifyByOpenSsl } from 'node:crypto'
import { verify as cofactored, hashes, Point } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { publicKeyOf, signer, verify } from '../../../src/shared/crypto/ed25519.js'
import { pureVerifier } from '../../../src/shared/crypto/ed25519-pure.js'

hashes.sha512 = sha512
const { n: L, p: P } = Point.CURVE()
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const numberOf = (found: Uint8Array): bigint => BigInt(`0x${Buffer.from(found).reverse().toString('hex')}`)
const bytesOf = (value: bigint): Uint8Array => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse()
const pure = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  pureVerifier(key)(message, signature)

/** Whether OpenSSL takes it, which refuses no points of small order. */
function takenByOpenSsl(key: Uint8Array, signature: Uint8Array): boolean {
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key])
  try {
    const parsed = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    return verifyByOpenSsl(null, Buffer.from('anything'), parsed, signature)
  } catch {
    return false
  }
}

/** What both say. */
function both(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const found = pure(key, message, signature)
  expect(found).toBe(verify(key, message, signature))
  return found
}

/** The eight points of small order. */
const TORSION = (() => {
  // Of order 8: what is left of any point when its part in the large group is taken out.
  for (let y = 2n; ; y += 1n) {
    try {
      const eighth = Point.fromBytes(bytesOf(y), true)
        .multiply(L - 1n, false)
        .negate()
        .negate()
      const point = eighth.add(Point.fromBytes(bytesOf(y), true))
      if (!point.is0() && !point.double().double().is0()) {
        return Array.from({ length: 8 }, (_, by) => (by === 0 ? Point.ZERO : point.multiply(BigInt(by), false)))
      }
    } catch {}
  }
})()

/** A signature by the scalar `secret`, with `torsion` on R and on the key. */
function crafted(secret: bigint, message: Uint8Array, onR: Point, onKey: Point) {
  const key = Point.BASE.multiply(secret, false).add(onKey).toBytes()
  const nonce = 12_345n
  const r = Point.BASE.multiply(nonce, false).add(onR).toBytes()
  const k = numberOf(createHash('sha512').update(r).update(key).update(message).digest()) % L
  return { key, signature: new Uint8Array(Buffer.concat([r, bytesOf((nonce + k * secret) % L)])) }
}

test('the vectors of RFC 8032', () => {
  for (const [seed, message, signature] of [
    [
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
  ] as const) {
    const [key, text, signed] = [
      publicKeyOf(Buffer.from(seed, 'hex')),
      Buffer.from(message, 'hex'),
      Buffer.from(signature, 'hex'),
    ]
    expect(both(key, text, signed)).toBe(true)
  }
})

test('what is signed is taken, and what was changed by a bit is not', () => {
  fc.assert(
    fc.property(bytes(32), fc.uint8Array({ maxLength: 200 }), fc.nat(63), fc.nat(7), (seed, message, at, bit) => {
      const [key, signature] = [publicKeyOf(seed), signer(seed)(message)]
      expect(both(key, message, signature)).toBe(true)
      signature[at]! ^= 1 << bit
      expect(both(key, message, signature)).toBe(false)
    }),
    { numRuns: 40 },
  )
})

test('S has one form: with L added it is refused', () => {
  const seed = new Uint8Array(32).fill(7)
  const message = Buffer.from('message')
  const signature = signer(seed)(message)
  const s = numberOf(signature.subarray(32))
  for (const added of [L, 2n * L, 7n * L]) {
    const other = Buffer.concat([signature.subarray(0, 32), bytesOf(s + added)])
    expect(both(publicKeyOf(seed), message, other)).toBe(false)
  }
})

test('points of small order on R, on the key, and on both part those who multiply by the cofactor: we are on the node’s side', () => {
  let parted = 0
  for (const [onR, r] of TORSION.entries()) {
    for (const [onKey, torsion] of TORSION.entries()) {
      for (let n = 0; n < 3; n += 1) {
        const message = Buffer.from(`message ${n}`)
        const { key, signature } = crafted(99n, message, r, torsion)
        const found = both(key, message, signature)
        if (onR === 0 && onKey === 0) expect(found).toBe(true)
        if (found !== cofactored(signature, message, key, { zip215: true })) parted += 1
      }
    }
  }
  expect(parted).toBeGreaterThan(100)
})

test('keys that are points of small order, or are spelt otherwise, are to us what they are to the node', () => {
  const keys = TORSION.map((point) => point.toBytes())
  // y of p and above, and the sign of an x that is 0.
  const odd = [0n, 1n, 2n, P - 1n, P, P + 1n, P + 18n, 2n ** 255n - 1n].flatMap((y) => [y, y + 2n ** 255n]).map(bytesOf)
  let taken = 0
  for (const key of [...keys, ...odd]) {
    for (const [at, r] of [...keys, ...odd].entries()) {
      for (const s of at % 8 === 0 ? [0n, 1n, L] : [0n]) {
        const signature = new Uint8Array(Buffer.concat([r, bytesOf(s)]))
        expect(both(key, Buffer.from('anything'), signature)).toBe(false)
        if (takenByOpenSsl(key, signature)) taken += 1
      }
    }
  }
  // Where they are not refused, who may name such a key signs everything with it.
  expect(taken).toBeGreaterThan(0)
})

test('keys and signatures of another length, and keys that are no point, verify nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 70 }), (key, signature) => {
      expect(pure(key, key, signature)).toBe(false)
    }),
  )
  fc.assert(
    fc.property(bytes(32), bytes(64), (key, signature) => {
      let node = false
      try {
        node = verify(key, key, signature)
      } catch {}
      expect(pure(key, key, signature)).toBe(node)
    }),
  )
})
