/**
 * Ed25519 over raw bytes: seeds and public keys of 32 bytes, signatures of 64 (RFC 8032), by `node:crypto`.
 *
 * `verify` is OpenSSL's: cofactorless, a non-canonical S refused. It does not refuse public keys of small order, as the
 * reference's `verify_strict` does; the keys narval verifies with come from the committee file.
 */
import assert from 'node:assert'
import * as crypto from 'node:crypto'
import { PUBLIC_KEY_BYTES, SEED_BYTES, SIGNATURE_BYTES } from '../constants.js'

/** DER in front of a raw seed (PKCS #8) and of a raw public key (SPKI), RFC 8410. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

export type Sign = (message: Uint8Array) => Uint8Array

export function generateSeed(): Uint8Array {
  return new Uint8Array(crypto.randomBytes(SEED_BYTES))
}

export function publicKeyOf(seed: Uint8Array): Uint8Array {
  const spki = crypto.createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' })
  return new Uint8Array(spki.subarray(SPKI_PREFIX.length))
}

/** Signs with the key of `seed`, which is parsed once. */
export function signer(seed: Uint8Array): Sign {
  const key = privateKey(seed)
  return (message) => new Uint8Array(crypto.sign(null, message, key))
}

export type Verify = (message: Uint8Array, signature: Uint8Array) => boolean

/** Verifies signatures by `publicKey`, 32 bytes, which is parsed once: that is a third of what a verification costs. */
export function verifier(publicKey: Uint8Array): Verify {
  assert.equal(publicKey.length, PUBLIC_KEY_BYTES)
  const key = publicKeyObject(publicKey)
  return (message, signature) => signature.length === SIGNATURE_BYTES && crypto.verify(null, message, key, signature)
}

/** Whether `signature` is one of `message` by `publicKey`; a key or a signature of another length is none. */
export function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
  return crypto.verify(null, message, publicKeyObject(publicKey), signature)
}

function publicKeyObject(publicKey: Uint8Array): crypto.KeyObject {
  return crypto.createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' })
}

function privateKey(seed: Uint8Array): crypto.KeyObject {
  assert.equal(seed.length, SEED_BYTES)
  return crypto.createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
}
