/**
 * What the log has of its batches beside the record, since not every authority knows it when it orders them: how many bytes
 * and transactions each has, and which transaction of the whole log is the first of a part.
 *
 * ```
 *  first transaction u64, all ones if not known ‖ for each batch of the part: bytes u32 ‖ transactions u32, 0 if not known
 * ```
 */
import { damaged } from './format.js'

export interface StoredSizes {
  readonly bytes: number
  readonly transactions: number
}

const UNKNOWN = 0xffff_ffff_ffff_ffffn
const ENTRY_BYTES = 8

export function encodeSizes(first: number | undefined, sizes: readonly (StoredSizes | undefined)[]): Buffer {
  const bytes = Buffer.alloc(8 + ENTRY_BYTES * sizes.length)
  bytes.writeBigUInt64BE(first === undefined ? UNKNOWN : BigInt(first))
  for (const [n, size] of sizes.entries()) {
    if (size === undefined) continue
    bytes.writeUInt32BE(size.bytes, 8 + ENTRY_BYTES * n)
    bytes.writeUInt32BE(size.transactions, 12 + ENTRY_BYTES * n)
  }
  return bytes
}

export interface PartSizes {
  readonly firstTransaction: number | undefined
  /** Of the n-th batch of the part. */
  of(n: number): StoredSizes | undefined
}

/** @param value undefined if nothing is known of a part. @throws NarvalError ERR_STORE_DAMAGED */
export function decodeSizes(value: Uint8Array | undefined, batches: number): PartSizes {
  if (value === undefined) return { firstTransaction: undefined, of: () => undefined }
  if (value.length !== 8 + ENTRY_BYTES * batches) throw damaged(`sizes of ${value.length} bytes for ${batches} batches`)
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const first = view.getBigUint64(0)
  return {
    firstTransaction: first === UNKNOWN ? undefined : Number(first),
    of(n) {
      const bytes = view.getUint32(8 + ENTRY_BYTES * n)
      return bytes === 0 ? undefined : { bytes, transactions: view.getUint32(12 + ENTRY_BYTES * n) }
    },
  }
}
