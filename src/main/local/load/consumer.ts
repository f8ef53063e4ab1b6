/**
 * The application of a benchmark: reads every byte of every commit of its authority, and says in the log what it has read,
 * for `local` to compare and to time.
 *
 * ```
 * Read commit 17 4f0c…: 3 batches of 1498112 B, checksum 8d2f01aa
 * worker 0: Read sample tx 12
 * ```
 */
import { crc32 } from 'node:zlib'
import { BATCH_HEADER_BYTES, TRANSACTION_PREFIX_BYTES } from '../../../shared/constants.js'
import { frameEnd } from '../../../shared/wire/batch.js'
import { sampleNumber } from '../../../shared/wire/client-transaction.js'
import { compareBytes } from '../../../shared/wire/primary/record.js'
import type { Authority } from '../../authority/authority.js'
import type { OrderedBatch, OrderedCommit } from '../../authority/commits.js'
import type { Logger } from '../../lib/log.js'

export interface ConsumerOptions {
  /** Our own: samples are timed where their client is. */
  readonly publicKey: Uint8Array
  readonly log: Pick<Logger, 'info'>
}

/** Reads until the authority is closed. Rejects if it cannot go on, also within a commit at the close: ERR_CLOSED. */
export async function consume(authority: Pick<Authority, 'commits'>, options: ConsumerOptions): Promise<void> {
  for await (const commit of authority.commits({ empty: true })) options.log.info(await readCommit(commit, options))
}

async function readCommit(commit: OrderedCommit, { log, publicKey }: ConsumerOptions): Promise<string> {
  let batches = 0
  let transactionBytes = 0
  let checksum = 0
  for await (const batch of commit.batches()) {
    batches += 1
    transactionBytes += batch.bytes.length - BATCH_HEADER_BYTES - batch.transactionCount * TRANSACTION_PREFIX_BYTES
    checksum = crc32(batch.bytes, checksum)
    if (compareBytes(batch.author, publicKey) !== 0) continue
    for (const sample of samplesOf(batch)) log.info(`worker ${batch.workerId}: Read sample tx ${sample}`)
  }
  const digest = Buffer.from(commit.digest()).toString('hex')
  const sum = checksum.toString(16).padStart(8, '0')
  return `Read commit ${commit.index} ${digest}: ${batches} batches of ${transactionBytes} B, checksum ${sum}`
}

function* samplesOf({ bytes }: OrderedBatch): Generator<bigint> {
  for (let at = BATCH_HEADER_BYTES; at < bytes.length; ) {
    const start = at + TRANSACTION_PREFIX_BYTES
    at = frameEnd(bytes, at)
    const number = sampleNumber(bytes, start, at)
    if (number !== undefined) yield number
  }
}
