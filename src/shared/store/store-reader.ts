/**
 * Reads a store beside a running node, or one that nobody runs: for tools. The node itself has one writer
 * (threads/processor/store.ts).
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { NarvalError } from '../errors.js'
import { batchKey, decodeIndexEntry, openDatabases, readOwned } from './format.js'

export interface StoredBatch {
  /** The author's public key. */
  readonly author: Uint8Array
  readonly stamp: bigint
  /** The batch, as on the wire. */
  readonly bytes: Uint8Array
}

export interface StoreReader {
  /** The batch of a digest, or undefined if the store does not have it. */
  get(digest: Uint8Array): StoredBatch | undefined
  close(): Promise<void>
}

/** @throws NarvalError ERR_FILE_MISSING if there is no store in the directory */
export function openStoreReader(directory: string): StoreReader {
  if (!existsSync(join(directory, 'data.mdb'))) {
    throw new NarvalError('ERR_FILE_MISSING', `${directory} holds no store: give the --store of a worker`)
  }
  const databases = openDatabases(directory, { readOnly: true })
  return {
    get(digest) {
      const value = databases.index.getBinary(digest)
      if (value === undefined) return undefined
      const { author, stamp } = decodeIndexEntry(value)
      const bytes = readOwned(databases.batches, batchKey(stamp, digest))
      return bytes === undefined ? undefined : { author, stamp, bytes }
    },
    async close() {
      await databases.root.close()
    },
  }
}
