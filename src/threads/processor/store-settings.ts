/** What is stored against what is configured now: handled, said, or refused with what to do. */
import { NarvalError } from '../../shared/errors.js'
import { decodeIndexEntry, digestOfKey, type StoreDatabases } from '../../shared/store/format.js'

export interface StoreSettings {
  readonly directory: string
  readonly batchBytesMax: number
  readonly storeBytesMax: number
}

/**
 * @param bytes what the stored batches take
 * @param notice takes what somebody who runs the node should know
 * @throws NarvalError ERR_STORE_SETTINGS if own batches that the primary was not told of could not be sent again
 */
export function checkSettings(
  { index, unreported }: StoreDatabases,
  bytes: number,
  { batchBytesMax, directory, storeBytesMax }: StoreSettings,
  notice: (text: string) => void,
): void {
  let larger = { count: 0, largest: 0 }
  for (const { value } of index.getRange({})) larger = include(larger, decodeIndexEntry(value).byteLength)
  if (larger.count > 0) {
    let unsent = { count: 0, largest: 0 }
    for (const key of unreported.getKeys({})) {
      const value = index.getBinary(digestOfKey(key))
      if (value !== undefined) unsent = include(unsent, decodeIndexEntry(value).byteLength)
    }
    if (unsent.count > 0) {
      throw new NarvalError(
        'ERR_STORE_SETTINGS',
        `${unsent.count} own batches in ${directory} that the primary was not told of are larger than batch_size, ${batchBytesMax}: start all workers with batch_size ${unsent.largest} or more until they are reported, and lower it then`,
      )
    }
    notice(
      `${larger.count} stored batches of up to ${larger.largest} bytes are larger than batch_size, ${batchBytesMax}: they can be read here, and other workers cannot fetch them`,
    )
  }
  if (bytes >= storeBytesMax) {
    notice(
      `The stored batches take ${bytes} bytes, store_bytes_max is ${storeBytesMax}: no batch is taken until Cleanups have deleted enough; raise store_bytes_max if they do not`,
    )
  }

  function include(sum: { count: number; largest: number }, byteLength: number): { count: number; largest: number } {
    if (byteLength <= batchBytesMax) return sum
    return { count: sum.count + 1, largest: Math.max(sum.largest, byteLength) }
  }
}
