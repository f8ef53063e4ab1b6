/**
 * What the load client sends: bursts of transactions in the reference's layout (node/src/benchmark_client.rs).
 *
 * ```
 *  0           4      5                 13
 *  ├ length n  ┼ kind ┼ counter         ┼ zeros … ┤ 4 + n bytes, then the next transaction
 *    u32 BE      0 = sample: the number of the burst, u64 BE
 *                1 = standard: a random start, one more each time, u64 BE
 * ```
 *
 * One transaction of a burst is a sample, whose way is timed; all others differ so that no two clients send the same.
 */
import assert from 'node:assert'
import { TRANSACTION_PREFIX_BYTES } from '../../../shared/constants.js'
import { CLIENT_TRANSACTION_BYTES_MIN } from '../../../shared/wire/client-transaction.js'
import { CLIENT_BURSTS_PER_S } from './limits.js'

const KIND_SAMPLE = 0
const KIND_STANDARD = 1
const UINT32_RANGE = 2 ** 32

/**
 * Transactions of burst `tick` (0, 1, …) at `rate` transactions a second. What `rate / 20` leaves over is carried from
 * burst to burst: after any number of whole seconds exactly `rate` a second have been sent, below 20 a second too (the
 * reference rounds down, and then sends nothing).
 */
export function burstCount(tick: number, rate: number): number {
  return Math.floor(((tick + 1) * rate) / CLIENT_BURSTS_PER_S) - Math.floor((tick * rate) / CLIENT_BURSTS_PER_S)
}

/** The most transactions that one burst can have. */
export function burstCountMax(rate: number): number {
  return Math.ceil(rate / CLIENT_BURSTS_PER_S)
}

/** Bytes of the longest burst, with the transactions' lengths. */
export function burstBytesMax(rate: number, transactionBytes: number): number {
  return burstCountMax(rate) * (TRANSACTION_PREFIX_BYTES + transactionBytes)
}

/** The one buffer that every burst is written into, and out of: it may be filled again once the socket let go of it. */
export class BurstBuffer {
  private readonly bytes: Buffer
  private readonly frameBytes: number
  private nextHigh: number
  private nextLow: number

  /** @param randomStart any u64: where the counter of standard transactions starts */
  constructor(rate: number, transactionBytes: number, randomStart: bigint) {
    assert(transactionBytes >= CLIENT_TRANSACTION_BYTES_MIN)
    this.frameBytes = TRANSACTION_PREFIX_BYTES + transactionBytes
    this.bytes = Buffer.alloc(burstBytesMax(rate, transactionBytes))
    for (let at = 0; at < this.bytes.length; at += this.frameBytes) this.bytes.writeUInt32BE(transactionBytes, at)
    this.nextHigh = Number(randomStart >> 32n) % UINT32_RANGE
    this.nextLow = Number(randomStart & 0xffff_ffffn)
  }

  /**
   * A burst of `count` transactions, ready to be sent.
   *
   * @param sample the sample's counter; it stands at position `sample mod count`, as in the reference
   * @returns a view that the next call overwrites
   */
  fill(count: number, sample: number): Uint8Array {
    const bytes = this.bytes
    const end = count * this.frameBytes
    assert(count > 0 && end <= bytes.length)
    let position = sample % count
    for (let at = TRANSACTION_PREFIX_BYTES; at < end; at += this.frameBytes, position--) {
      if (position === 0) {
        bytes[at] = KIND_SAMPLE
        bytes.writeUInt32BE(Math.floor(sample / UINT32_RANGE), at + 1)
        bytes.writeUInt32BE(sample % UINT32_RANGE, at + 5)
        continue
      }
      this.advance()
      bytes[at] = KIND_STANDARD
      bytes.writeUInt32BE(this.nextHigh, at + 1)
      bytes.writeUInt32BE(this.nextLow, at + 5)
    }
    return bytes.subarray(0, end)
  }

  private advance(): void {
    this.nextLow = (this.nextLow + 1) % UINT32_RANGE
    if (this.nextLow === 0) this.nextHigh = (this.nextHigh + 1) % UINT32_RANGE
  }
}
