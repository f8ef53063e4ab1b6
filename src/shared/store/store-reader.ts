/**
 * Reads a store beside a running node, or one that nobody runs: for tools. The node itself has one writer
 * (threads/processor/store.ts).
 */
import { BATCH_SIZE_MAX } from '../constants.js'
import { NarvalError } from '../errors.js'
import { BatchVerifier } from '../wire/batch-verifier.js'
import { checkFormat, decodeIndexEntry, META_FORMAT, roundKey } from './format.js'
import { StoreFile } from './store-snapshot.js'

export interface StoredBatch {
  /** The author's public key. */
  readonly author: Uint8Array
  readonly stamp: bigint
  /** The batch, as on the wire. */
  readonly bytes: Uint8Array
  /** The bytes are those that the digest names. */
  readonly isWhole: boolean
  /** `stamps` leads to it. */
  readonly hasStamp: boolean
}

export interface StoreReader {
  /** The batch of a digest, or undefined if the store does not have it. */
  get(digest: Uint8Array): StoredBatch | undefined
  /** At most `limit` digests behind `after`, in their order. */
  digests(after: Uint8Array | undefined, limit: number): Uint8Array[]
  close(): void
}

/** @throws NarvalError ERR_FILE_MISSING if there is no store in the directory, ERR_STORE_FORMAT */
export function openStoreReader(directory: string): StoreReader {
  const file = new StoreFile(directory)
  try {
    refuseOtherFormat(file, directory)
  } catch (error) {
    file.close()
    throw error
  }
  const verifier = new BatchVerifier(BATCH_SIZE_MAX)
  return {
    get(digest) {
      const found = file.read((snapshot) => {
        const value = snapshot.get('index', digest)
        if (value === undefined) return undefined
        const { author, byteLength, placed, stamp } = decodeIndexEntry(value)
        const bytes = snapshot.get('batches', roundKey(placed, digest))
        const hasStamp = snapshot.has('stamps', roundKey(stamp, digest))
        return { author, stamp, byteLength, hasStamp, bytes: bytes ?? new Uint8Array(0) }
      })
      if (found === undefined) return undefined
      const { author, byteLength, bytes, hasStamp, stamp } = found
      const isWhole = bytes.length === byteLength && verifier.isWhole(bytes, author, digest)
      return { author, stamp, bytes, isWhole, hasStamp }
    },
    digests(after, limit) {
      return file.read((snapshot) => snapshot.entries('index', limit, { after }).map(({ key }) => new Uint8Array(key)))
    },
    close: () => file.close(),
  }
}

/** A format that is not there, or cannot be read, is none of another version: what is damaged is for the reader to say. */
function refuseOtherFormat(file: StoreFile, directory: string): void {
  let format: Uint8Array | undefined
  try {
    format = file.read((snapshot) => snapshot.get('meta', META_FORMAT))
  } catch (error) {
    if (!(error instanceof NarvalError) || error.code !== 'ERR_STORE_DAMAGED') throw error
  }
  if (format?.length === 8) checkFormat(format, directory)
}
