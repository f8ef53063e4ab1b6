/** Reads whole stores of workers, running or not, as a tool would. */

import { encodeBase64 } from '../../src/shared/crypto/public-key.js'
import { batchKey, decodeIndexEntry, openDatabases, readOwned } from '../../src/shared/store/format.js'
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
  const databases = openDatabases(directory, { readOnly: true })
  const batches = new Map<string, StoredBatch>()
  try {
    const entries = [...databases.index.getRange({})].map(({ key, value }) => ({
      digest: Uint8Array.from(key),
      entry: decodeIndexEntry(Uint8Array.from(value)),
    }))
    for (const { digest, entry } of entries) {
      const bytes = readOwned(databases.batches, batchKey(entry.stamp, digest))
      // Deleted since the index was read.
      if (bytes === undefined) continue
      const { sequence } = readBatchHeader(bytes)
      batches.set(encodeBase64(digest), { author: encodeBase64(entry.author), sequence, bytes })
    }
  } finally {
    await databases.root.close()
  }
  return batches
}

/** The numbers of a batch's transactions; throws if one has changed. */
export function numbersIn(bytes: Uint8Array): number[] {
  return [...transactions(bytes)].map(numberOf)
}
