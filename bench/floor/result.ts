/** A floor's figures, in the shape of `local`'s JSON and by its arithmetic, with what only a bench asks for. */
import { type Measurement, type Result, toResult } from '../../src/main/local/result.js'
import { type FloorKind, type FloorOptions, FRAME_PREFIX_BYTES } from './options.js'

export interface FloorResult extends Result {
  readonly kind: FloorKind
  /** What each store was allowed to keep. */
  readonly retain_bytes: number
  /** Bytes that reached the disk meanwhile, everybody's; null where the system does not say. */
  readonly disk_write_bytes: number | null
  /** From the start of the processes to the end of the draining. */
  readonly elapsed_s: number
}

/**
 * @param measurement `certifiedBytes` and `sentTransactions` count bytes and frames of transactions, without lengths
 * @param elapsedS of the whole run
 */
export function toFloorResult(
  options: FloorOptions,
  measurement: Measurement,
  diskWriteBytes: number | null,
  elapsedS: number,
): FloorResult {
  const files = { json: true, keep: false, directory: undefined }
  const local = {
    ...options,
    ...files,
    workers: 1,
    faults: 0,
    warmupS: 0,
    api: undefined,
    unbuffered: false,
    split: false,
  }
  return {
    kind: options.kind,
    ...toResult(local, process.version, measurement),
    retain_bytes: options.retainBytes,
    disk_write_bytes: diskWriteBytes,
    elapsed_s: Number(elapsedS.toFixed(1)),
  }
}

/** Bytes of transactions among bytes on the wire, which have a length in front of each. */
export function transactionBytesOf(wireBytes: number, transactionBytes: number): number {
  return Math.round((wireBytes * transactionBytes) / (transactionBytes + FRAME_PREFIX_BYTES))
}
