/**
 * The verification of Ed25519 that needs no Node, and says the same as the node's (`ed25519.ts`), which is libsodium's: the
 * curve is @noble/ed25519's, its `verify` is not used. That one multiplies by the cofactor, so it takes signatures that
 * libsodium refuses, and a proof must not be one thing in a browser and another on a node.
 *
 * ```
 *  S < L, or refused; A spelt as it should be, neither A nor R of small order, or refused
 *  k = SHA-512(R ‖ A ‖ message) mod L, of the bytes as they came
 *  the encoding of [S]B − [k]A is R, byte for byte
 * ```
 *
 * So a signature has one form: R is compared as bytes, and S is the least of its kind.
 */
import { Point } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../constants.js'

/** The order of the base point. */
const L = Point.CURVE().n
const R_BYTES = 32

/**
 * Verifies signatures by `publicKey`, which is decoded once. Bytes that are no point, or one of small order, verify nothing.
 *
 * @param publicKey 32 bytes
 */
export function pureVerifier(publicKey: Uint8Array): (message: Uint8Array, signature: Uint8Array) => boolean {
  const negated = publicKey.length === PUBLIC_KEY_BYTES ? pointOf(publicKey)?.negate() : undefined
  return (message, signature) => {
    if (negated === undefined || signature.length !== SIGNATURE_BYTES) return false
    const s = numberOf(signature.subarray(R_BYTES))
    if (s >= L) return false
    const hash = sha512.create().update(signature.subarray(0, R_BYTES)).update(publicKey).update(message).digest()
    const r = multiplied(Point.BASE, s).add(multiplied(negated, numberOf(hash) % L))
    return !r.isSmallOrder() && r.toBytes().every((byte, at) => byte === signature[at])
  }
}

function pointOf(bytes: Uint8Array): Point | undefined {
  try {
    const point = Point.fromBytes(bytes)
    return point.isSmallOrder() ? undefined : point
  } catch {
    return undefined
  }
}

/** Nothing here is secret, so the quick way. It takes no zero. */
function multiplied(point: Point, by: bigint): Point {
  return by === 0n ? Point.ZERO : point.multiply(by, false)
}

function numberOf(littleEndian: Uint8Array): bigint {
  let hex = '0x'
  for (let at = littleEndian.length - 1; at >= 0; at -= 1) hex += littleEndian[at]!.toString(16).padStart(2, '0')
  return BigInt(hex)
}
