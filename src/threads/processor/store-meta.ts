/** The store's few numbers: format, owner, reserved sequence, last Cleanup round. */
import { NarvalError } from '../../shared/errors.js'
import type { StoreOptions } from '../../shared/memory/dialogue/processor.js'
import { type BinaryDatabase, STORE_FORMAT } from '../../shared/store/format.js'

export const META_FORMAT = Buffer.from('format')
export const META_RESERVED = Buffer.from('reserved-sequence')
export const META_ROUND = Buffer.from('cleanup-round')
const META_OWNER = Buffer.from('owner')

/** @throws NarvalError ERR_STORE_FORMAT, ERR_STORE_FOREIGN; a store without an owner is made this one's */
export function checkOwner(meta: BinaryDatabase, options: StoreOptions): void {
  const format = meta.getBinary(META_FORMAT)
  const owner = Buffer.concat([options.authority, encodeNumber(BigInt(options.workerId))])
  if (format === undefined) {
    meta.putSync(META_FORMAT, encodeNumber(BigInt(STORE_FORMAT)))
    meta.putSync(META_OWNER, owner)
    return
  }
  const version = Number(decodeNumber(format))
  if (version !== STORE_FORMAT) {
    throw new NarvalError(
      'ERR_STORE_FORMAT',
      `the store ${options.directory} has format ${version}, this version of narval reads ${STORE_FORMAT}`,
    )
  }
  if (!owner.equals(meta.getBinary(META_OWNER) ?? new Uint8Array(0))) {
    throw new NarvalError(
      'ERR_STORE_FOREIGN',
      `the store ${options.directory} belongs to another authority or another worker: give this one a --store of its own`,
    )
  }
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
