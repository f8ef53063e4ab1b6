/** The store's few numbers: format, owner, reserved sequence, stamp, the primary's round that it stands for. */
import { PUBLIC_KEY_BYTES } from '../../shared/constants.js'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { NarvalError } from '../../shared/errors.js'
import type { StoreOptions } from '../../shared/memory/dialogue/processor.js'
import {
  type BinaryDatabase,
  decodeIndexEntry,
  encodeIndexEntry,
  roundKey,
  STORE_FORMAT,
  type StoreDatabases,
} from '../../shared/store/format.js'

export const META_FORMAT = Buffer.from('format')
export const META_RESERVED = Buffer.from('reserved-sequence')
export const META_ROUND = Buffer.from('cleanup-round')
/** Missing where it is the same as the stamp. */
export const META_PRIMARY_ROUND = Buffer.from('primary-round')
const META_OWNER = Buffer.from('owner')
/**
 * Index entries of format 1 that one transaction rewrites. Each transaction begins with the last entry of the one
 * before, which it leaves as it is.
 */
const UPGRADE_CHUNK = 4096

/**
 * Makes a store without an owner this one's, and one of format 1 one of this format.
 *
 * @throws NarvalError ERR_STORE_FORMAT, ERR_STORE_FOREIGN
 */
export function checkOwner(databases: StoreDatabases, options: StoreOptions): void {
  const { meta } = databases
  const format = meta.getBinary(META_FORMAT)
  const owner = Buffer.concat([options.authority, encodeNumber(BigInt(options.workerId))])
  if (format === undefined) {
    meta.putSync(META_OWNER, owner)
    meta.putSync(META_FORMAT, encodeNumber(BigInt(STORE_FORMAT)))
    return
  }
  const version = decodeNumber(format)
  if (version !== 1n && version !== BigInt(STORE_FORMAT)) {
    throw new NarvalError(
      'ERR_STORE_FORMAT',
      `the store ${options.directory} has format ${version}, this version of narval reads ${STORE_FORMAT}: give this node a --store of its own, or run the version that wrote it`,
    )
  }
  const found = meta.getBinary(META_OWNER) ?? new Uint8Array(0)
  if (!owner.equals(found)) {
    throw new NarvalError(
      'ERR_STORE_FOREIGN',
      `the store ${options.directory} belongs to another authority or another worker${describeOwner(found)}: give this one a --store of its own`,
    )
  }
  if (version === 1n) addStamps(databases)
}

function describeOwner(owner: Uint8Array): string {
  if (owner.length !== PUBLIC_KEY_BYTES + 8) return ''
  const name = encodeBase64(owner.subarray(0, PUBLIC_KEY_BYTES))
  return ` (worker ${decodeNumber(owner.subarray(PUBLIC_KEY_BYTES))} of ${name})`
}

/**
 * Rewrites a store of format 1, where a batch lay at its stamp, part by part. Each part is one transaction. An entry
 * that is done is one of this format, and the format is written last, so a rewriting that was cut off begins again.
 */
function addStamps({ index, meta, root, stamps }: StoreDatabases): void {
  for (let after: Uint8Array | undefined; ; ) {
    const part: { digest: Uint8Array; value: Buffer }[] = []
    for (const { key, value } of index.getRange({ ...(after && { start: after }), limit: UPGRADE_CHUNK })) {
      part.push({ digest: new Uint8Array(key), value: Buffer.from(value) })
    }
    root.transactionSync(() => {
      for (const { digest, value } of part) {
        const entry = decodeIndexEntry(value)
        stamps.putSync(roundKey(entry.stamp, digest), new Uint8Array(0))
        index.putSync(digest, encodeIndexEntry(entry))
      }
    })
    if (part.length < UPGRADE_CHUNK) break
    after = part.at(-1)!.digest
  }
  meta.putSync(META_FORMAT, encodeNumber(BigInt(STORE_FORMAT)))
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
