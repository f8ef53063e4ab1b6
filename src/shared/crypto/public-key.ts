/**
 * Base64 as the reference writes it (base64 0.13, `STANDARD`): padded, and one text per value. A public key is 32 raw
 * bytes in hashes and 44 characters in files, logs and messages.
 */
import { PUBLIC_KEY_BYTES } from '../constants.js'

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** The `length` bytes that `text` is the base64 of; `undefined` if it is not, or is another spelling of them. */
export function decodeBase64(text: string, length: number): Uint8Array | undefined {
  if (text.length !== Math.ceil(length / 3) * 4) return undefined
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length !== length || bytes.toString('base64') !== text) return undefined
  return new Uint8Array(bytes)
}

export function decodePublicKey(text: string): Uint8Array | undefined {
  return decodeBase64(text, PUBLIC_KEY_BYTES)
}
