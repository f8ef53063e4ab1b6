/** What clients send, and batches of it. */

import { BATCH_HEADER_BYTES, TRANSACTION_PREFIX_BYTES } from '../../src/shared/constants.js'
import { encodeBatch } from '../../src/shared/wire/batch.js'

/** A transaction with some content; its bytes do not matter to any stage, only their number. */
export function transactionOf(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 31 + 7) & 0xff)
}

/** At least `bytesMin` bytes as a client sends them, in whole frames: u32 BE length, transaction. */
export function clientStream(transactionBytes: number, bytesMin: number): Uint8Array {
  const frameBytes = TRANSACTION_PREFIX_BYTES + transactionBytes
  const stream = Buffer.alloc(Math.ceil(bytesMin / frameBytes) * frameBytes)
  const transaction = transactionOf(transactionBytes)
  for (let at = 0; at < stream.length; at += frameBytes) {
    stream.writeUInt32BE(transactionBytes, at)
    stream.set(transaction, at + TRANSACTION_PREFIX_BYTES)
  }
  return stream
}

/** A stream as a socket hands it over; frames go on from one chunk to the next, and the last chunk is shorter. */
export function chunksOf(stream: Uint8Array, chunkBytes: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(stream.length / chunkBytes) }, (_, chunk) =>
    stream.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes),
  )
}

/** A batch, full of transactions, in shared memory as slots are. */
export function sharedBatch(transactionBytes: number, batchBytesMax: number): Uint8Array {
  const room = batchBytesMax - BATCH_HEADER_BYTES
  const count = Math.floor(room / (TRANSACTION_PREFIX_BYTES + transactionBytes))
  const transaction = transactionOf(transactionBytes)
  const encoded = encodeBatch(
    Array.from({ length: count }, () => transaction),
    { workerId: 0, sequence: 1n },
  )
  const shared = new Uint8Array(new SharedArrayBuffer(encoded.length))
  shared.set(encoded)
  return shared
}
