/** Reports to a primary whose digests say which number they are. */
import type { PrimaryReport } from '../../src/main/worker/primary-link/primary-link.js'

export function digestOf(number: number): Uint8Array {
  const digest = Buffer.alloc(32)
  digest.writeUInt32BE(number)
  return digest
}
export const numberOf = (digest: Uint8Array): number => Buffer.from(digest).readUInt32BE()
export const our = (number: number): PrimaryReport => ({ type: 'OurBatch', digest: digestOf(number) })
export const others = (number: number): PrimaryReport => ({ type: 'OthersBatch', digest: digestOf(number) })
