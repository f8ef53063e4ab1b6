/**
 * The store's few numbers: format, owner, its id, reserved sequence, stamp, the primary's round that it stands for, the last
 * commit that was applied, the first one that is kept, and up to where own batches were deleted.
 */
import { randomBytes } from 'node:crypto'
import { PUBLIC_KEY_BYTES } from '../../shared/constants.js'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { NarvalError } from '../../shared/errors.js'
import type { StoreOptions } from '../../shared/memory/dialogue/processor.js'
import {
  type BinaryDatabase,
  checkFormat,
  META_FORMAT,
  META_STORE_ID,
  STORE_FORMAT,
  STORE_ID_BYTES,
  type StoreDatabases,
} from '../../shared/store/format.js'

export const META_RESERVED = Buffer.from('reserved-sequence')
export const META_ROUND = Buffer.from('cleanup-round')
/** Missing where it is the same as the stamp. */
export const META_PRIMARY_ROUND = Buffer.from('primary-round')
/** The index of the last commit whose batches have lost their marks in `uncommitted`. */
export const META_APPLIED = Buffer.from('applied-commit')
/** The first commit whose batches are kept; what is below it is deleted, or about to be. */
export const META_FIRST_KEPT = Buffer.from('first-kept')
const META_OWNER = Buffer.from('owner')

/**
 * Makes a store without an owner this one's.
 *
 * @throws NarvalError ERR_STORE_FORMAT, ERR_STORE_FOREIGN
 */
export function checkOwner(databases: StoreDatabases, options: StoreOptions): void {
  const { meta } = databases
  const format = meta.getBinary(META_FORMAT)
  const owner = Buffer.concat([options.authority, encodeNumber(BigInt(options.workerId))])
  if (format === undefined) {
    meta.putSync(META_STORE_ID, randomBytes(STORE_ID_BYTES))
    meta.putSync(META_OWNER, owner)
    meta.putSync(META_FORMAT, encodeNumber(BigInt(STORE_FORMAT)))
    return
  }
  checkFormat(format, options.directory)
  const found = meta.getBinary(META_OWNER) ?? new Uint8Array(0)
  if (!owner.equals(found)) {
    throw new NarvalError(
      'ERR_STORE_FOREIGN',
      `the store ${options.directory} belongs to another authority or another worker${describeOwner(found)}: give this one a --store of its own`,
    )
  }
}

function describeOwner(owner: Uint8Array): string {
  if (owner.length !== PUBLIC_KEY_BYTES + 8) return ''
  const name = encodeBase64(owner.subarray(0, PUBLIC_KEY_BYTES))
  return ` (worker ${decodeNumber(owner.subarray(PUBLIC_KEY_BYTES))} of ${name})`
}

/** The store's id, in memory of its own. */
export function readStoreId(meta: BinaryDatabase): Uint8Array {
  return new Uint8Array(meta.getBinary(META_STORE_ID)!)
}

/** A number that was never written is 0. */
export function readNumber(meta: BinaryDatabase, key: Uint8Array): bigint {
  const value = meta.getBinary(key)
  return value === undefined ? 0n : decodeNumber(value)
}

export function encodeNumber(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

function decodeNumber(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0)
}
