/** Reads whole stores of workers, running or not, as a tool would. */

import { encodeBase64 } from '../../src/shared/crypto/public-key.js'
import { openStoreReader } from '../../src/shared/store/store-reader.js'
import { readBatchHeader, transactions } from '../../src/shared/wire/batch.js'
import { numberOf } from './transactions.js'

export interface StoredBatch {
  /** The author's public key in base64. */
  readonly author: string
  readonly sequence: bigint
  readonly bytes: Uint8Array
}

/** The batches of a store by digest (base64). */
export async function readStore(directory: string): Promise<Map<string, StoredBatch>> {
  const reader = openStoreReader(directory)
  const batches = new Map<string, StoredBatch>()
  try {
    for (const digest of reader.digests(undefined, Number.POSITIVE_INFINITY)) {
      const batch = reader.get(digest)
      // Deleted since the index was read.
      if (batch === undefined) continue
      if (!batch.isWhole) throw new Error(`${encodeBase64(digest)} in ${directory} is damaged`)
      const { sequence } = readBatchHeader(batch.bytes)
      batches.set(encodeBase64(digest), { author: encodeBase64(batch.author), sequence, bytes: batch.bytes })
    }
  } finally {
    reader.close()
  }
  return batches
}

/** The numbers of a batch's transactions; throws if one has changed. */
export function numbersIn(bytes: Uint8Array): number[] {
  return [...transactions(bytes)].map(numberOf)
}
