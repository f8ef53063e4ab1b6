/**
 * Reads a store beside a running node, or one that nobody runs: for tools. The node itself has one writer
 * (threads/processor/store.ts).
 */
import { BATCH_SIZE_MAX } from '../constants.js'
import { NarvalError } from '../errors.js'
import { BatchVerifier } from '../wire/batch-verifier.js'
import { checkFormat, decodeIndexEntry, META_FORMAT, roundKey, UNCOMMITTED } from './format.js'
import { cellOf } from './segments/cell.js'
import { readCell } from './segments/read-cell.js'
import { StoreFile } from './store-snapshot.js'

export interface StoredBatch {
  /** The author's public key. */
  readonly author: Uint8Array
  /** Undefined while no commit has it, where the primary says what is committed. */
  readonly stamp: bigint | undefined
  /** The batch, as on the wire. */
  readonly bytes: Uint8Array
  /** The bytes are those that the digest names. */
  readonly isWhole: boolean
  /** `stamps` leads to it. */
  readonly hasStamp: boolean
  /** If it lies in a segment: `batches` says that it lies there. */
  readonly isListed: boolean
}

export interface StoreReader {
  /** The batch of a digest, or undefined if the store does not have it. */
  get(digest: Uint8Array): StoredBatch | undefined
  /** At most `limit` digests behind `after`, in their order. */
  digests(after: Uint8Array | undefined, limit: number): Uint8Array[]
  close(): void
}

/** A cell is used again after its deletion at the earliest: a batch that is looked up this often is damaged. */
const ATTEMPTS_MAX = 100

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
  const lookUp = (digest: Uint8Array) =>
    file.read((snapshot) => {
      const value = snapshot.get('index', digest)
      if (value === undefined) return undefined
      const { author, byteLength, placed, sequence, stamp } = decodeIndexEntry(value)
      const cell = cellOf(placed, byteLength)
      const key = roundKey(placed, digest)
      const inFile = cell === undefined ? snapshot.get('batches', key) : undefined
      const hasStamp =
        stamp === UNCOMMITTED
          ? snapshot.has('uncommitted', roundKey(sequence, digest))
          : snapshot.has('stamps', roundKey(stamp, digest))
      const isListed = cell === undefined || snapshot.has('batches', key)
      return { author, byteLength, cell, hasStamp, inFile, isListed, placed, stamp }
    })
  return {
    get(digest) {
      let last: bigint | undefined
      for (let attempt = 1; ; attempt += 1) {
        const found = lookUp(digest)
        if (found === undefined) return undefined
        const { author, byteLength, cell, hasStamp, inFile, isListed, placed, stamp } = found
        const bytes = (cell === undefined ? inFile : readCell(directory, cell, byteLength)) ?? new Uint8Array(0)
        const isWhole = bytes.length === byteLength && verifier.isWhole(bytes, author, digest)
        // The node may have deleted or moved the batch, and filled its cell with another, while it was read.
        const isSure = isWhole || cell === undefined || last === placed || attempt === ATTEMPTS_MAX
        if (isSure)
          return { author, stamp: stamp === UNCOMMITTED ? undefined : stamp, bytes, isWhole, hasStamp, isListed }
        last = placed
      }
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
