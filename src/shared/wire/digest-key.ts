/** A digest as the key of a `Map` or `Set`: a string of one character for each byte, the cheapest that V8 compares. */
export function digestKey(digest: Uint8Array): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString('latin1')
}
