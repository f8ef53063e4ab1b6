/** SHA-256 that needs no Node, for what verifies elsewhere too. */
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'

/** SHA-256 of these bytes, one behind another. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = nobleSha256.create()
  for (const part of parts) hash.update(part)
  return hash.digest()
}
