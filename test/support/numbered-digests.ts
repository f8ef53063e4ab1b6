/** Digests that say which number they are. */
export function digestOf(number: number): Uint8Array {
  const digest = Buffer.alloc(32)
  digest.writeUInt32BE(number)
  return digest
}
export const numberOf = (digest: Uint8Array): number => Buffer.from(digest).readUInt32BE()
