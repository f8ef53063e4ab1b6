/** Batches of processes that have a store of their own: one transaction of equal bytes, quickly made and unlike all others. */
import { encodeBatch as encode } from '../../../dist/shared/wire/batch.js'
import { BatchDigester, chunkStartsOf } from '../../../dist/shared/wire/digest.js'

export function encodeBatch(sequence, bytes, workerId) {
  const transaction = Buffer.alloc(bytes, sequence % 251)
  transaction.writeUInt32BE(sequence)
  return encode([transaction], { workerId, sequence: BigInt(sequence) })
}

export function digestOf(bytes, author) {
  const digest = new Uint8Array(32)
  new BatchDigester(bytes.length).digest(bytes, chunkStartsOf(bytes), author, digest)
  return digest
}
