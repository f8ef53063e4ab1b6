import { expect, test } from 'vitest'
import { generateSeed, publicKeyOf, signer, verify } from '../../../src/shared/crypto/ed25519.js'
import { fromHex, toHex } from '../../support/reference-vectors.js'

// RFC 8032, section 7.1, test 2.
const seed = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
const publicKey = fromHex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
const message = fromHex('72')
const signature = fromHex(
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
)

test('public key and signature are those of RFC 8032', () => {
  expect(toHex(publicKeyOf(seed))).toBe(toHex(publicKey))
  expect(toHex(signer(seed)(message))).toBe(toHex(signature))
  expect(verify(publicKey, message, signature)).toBe(true)
})

test('a signature of another message, by another key, or changed in any byte is refused', () => {
  expect(verify(publicKey, fromHex('73'), signature)).toBe(false)
  expect(verify(publicKeyOf(generateSeed()), message, signature)).toBe(false)
  for (let i = 0; i < signature.length; i++) {
    const changed = signature.slice()
    changed[i]! ^= 1
    expect(verify(publicKey, message, changed)).toBe(false)
  }
})

test('keys and signatures of another length, and keys that are no point, verify nothing', () => {
  expect(verify(publicKey.subarray(1), message, signature)).toBe(false)
  expect(verify(publicKey, message, signature.subarray(1))).toBe(false)
  expect(verify(publicKey, message, new Uint8Array(65))).toBe(false)
  expect(verify(new Uint8Array(32).fill(0xff), message, signature)).toBe(false)
})

test('seeds are 32 bytes and differ', () => {
  const [a, b] = [generateSeed(), generateSeed()]
  expect(a).toHaveLength(32)
  expect(toHex(a)).not.toBe(toHex(b))
  expect(() => signer(new Uint8Array(31))).toThrow()
})

test('bytes in shared memory are bytes as well', () => {
  const shared = (bytes: Uint8Array): Uint8Array => {
    const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
    copy.set(bytes)
    return copy
  }
  expect(verify(shared(publicKey), shared(message), shared(signature))).toBe(true)
  expect(toHex(signer(shared(seed))(shared(message)))).toBe(toHex(signature))
})

test('a key of small order, which signs everything, verifies nothing', () => {
  // The neutral element; and a signature of it that holds for each message.
  const neutral = fromHex(`01${'00'.repeat(31)}`)
  const ofAll = fromHex(`01${'00'.repeat(63)}`)
  expect(verify(neutral, message, ofAll)).toBe(false)
})
