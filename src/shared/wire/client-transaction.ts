/**
 * The transactions of the reference's benchmark client (asonnino/narwhal node/src/benchmark_client.rs):
 *
 * ```
 *  0       1            9
 *  ├ kind ─┼ u64 BE ────┼ zeros …
 * ```
 *
 * Kind 0 is a sample, numbered, whose latency is measured; kind 1 is standard, and differs from the others by a number
 * that starts at random. Nothing but the benchmark looks inside a transaction.
 */
import assert from 'node:assert'

/** A sample's kind byte and its number, and nothing else. */
export const CLIENT_TRANSACTION_BYTES_MIN = 9

const SAMPLE = 0
const STANDARD = 1

/** Fills `target`, a whole transaction, in place. */
export function writeClientTransaction(target: Uint8Array, kind: 'sample' | 'standard', number: bigint): void {
  assert(target.length >= CLIENT_TRANSACTION_BYTES_MIN)
  target.fill(0)
  target[0] = kind === 'sample' ? SAMPLE : STANDARD
  new DataView(target.buffer, target.byteOffset, target.byteLength).setBigUint64(1, number, false)
}

/** The number of the sample transaction at `start` to `end` of `bytes`; `undefined` if it is none. Allocates for samples only. */
export function sampleNumber(bytes: Uint8Array, start = 0, end = bytes.length): bigint | undefined {
  if (end - start < CLIENT_TRANSACTION_BYTES_MIN || bytes[start] !== SAMPLE) return undefined
  return new DataView(bytes.buffer, bytes.byteOffset + start, end - start).getBigUint64(1, false)
}
