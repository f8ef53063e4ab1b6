/**
 * What a worker did of late, in a line every ten seconds in which it did something: for people who watch a log without a
 * dashboard, with a digest that `narval batch` can show.
 */
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import type { Logger } from '../lib/log.js'

/** Between two lines, ms. */
export const ACTIVITY_LOG_MS = 10_000

export class ActivityLog {
  private readonly log: Logger
  private sealedBatches = 0
  private certifiedBatches = 0
  private transactions = 0
  private transactionBytes = 0
  private lastDigest: Uint8Array | undefined

  constructor(log: Logger) {
    this.log = log
  }

  sealed(): void {
    this.sealedBatches += 1
  }

  certified(digest: Uint8Array, transactions: number, transactionBytes: number): void {
    this.certifiedBatches += 1
    this.transactions += transactions
    this.transactionBytes += transactionBytes
    this.lastDigest = digest
  }

  /** Says what there was since the last line, if there was anything. */
  tick(): void {
    const { certifiedBatches, lastDigest, sealedBatches, transactionBytes, transactions } = this
    if (sealedBatches === 0 && certifiedBatches === 0) return
    const last = lastDigest === undefined ? '' : `; the last certified is ${encodeBase64(lastDigest)}`
    this.log.info(
      `Sealed ${sealedBatches} batches, certified ${certifiedBatches} of ${transactions} transactions, ${transactionBytes} B, in ${ACTIVITY_LOG_MS / 1000} s${last}`,
    )
    this.sealedBatches = 0
    this.certifiedBatches = 0
    this.transactions = 0
    this.transactionBytes = 0
  }
}
