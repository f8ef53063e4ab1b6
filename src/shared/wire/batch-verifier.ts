/** Says of stored bytes whether they are still the batch that a digest names. Memory for it is allocated once. */
import { BATCH_HEADER_BYTES, DIGEST_BYTES } from '../constants.js'
import { checkBatch, chunkCount, readBatchHeader } from './batch.js'
import { BatchDigester } from './digest.js'

export class BatchVerifier {
  private readonly batchBytesMax: number
  private readonly digester: BatchDigester
  private readonly chunkStarts: Uint32Array
  private readonly digest = new Uint8Array(DIGEST_BYTES)

  /** @param batchBytesMax bytes of the largest batch it will be given; a larger one is not whole */
  constructor(batchBytesMax: number) {
    this.batchBytesMax = batchBytesMax
    this.digester = new BatchDigester(batchBytesMax)
    this.chunkStarts = new Uint32Array(chunkCount(batchBytesMax))
  }

  isWhole(bytes: Uint8Array, author: Uint8Array, digest: Uint8Array): boolean {
    if (bytes.length < BATCH_HEADER_BYTES) return false
    // Whose worker's it is does not matter: the digest covers the header.
    const limits = { batchBytesMax: this.batchBytesMax, workerId: readBatchHeader(bytes).workerId }
    if (!checkBatch(bytes, limits, this.chunkStarts).ok) return false
    this.digester.digest(bytes, this.chunkStarts, author, this.digest)
    return Buffer.compare(this.digest, digest) === 0
  }
}
