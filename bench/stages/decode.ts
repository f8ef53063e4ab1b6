/** Decoding: the walk over a batch's frames that every batch passes before it is hashed and stored. */
import { checkBatch, chunkCount, transactions } from '../../src/shared/wire/batch.js'
import { type Case, measure } from '../lib/measure.js'
import { BATCH_BYTES, type Stage, TRANSACTION_SIZES } from '../lib/stage.js'
import { sharedBatch } from '../lib/transactions.js'
import { formatSize } from '../lib/units.js'

const LIMITS = { workerId: 0, batchBytesMax: BATCH_BYTES }

export const decode: Stage = {
  name: 'decode',
  about: 'the check of a batch of 500 kB, and the walk over its transactions that consumers use',
  run: ({ timeMs }) => measure('decode', TRANSACTION_SIZES.flatMap(casesOf), timeMs),
}

function casesOf(transactionBytes: number): Case[] {
  const batch = sharedBatch(transactionBytes, BATCH_BYTES)
  const chunkStarts = new Uint32Array(chunkCount(BATCH_BYTES))
  const check = checkBatch(batch, LIMITS, chunkStarts)
  if (!check.ok) throw new Error(`decode: the batch is refused: ${check.reason}`)
  const of = { op: 'transaction', ops: check.count, bytes: transactionBytes }
  const size = formatSize(transactionBytes)
  return [
    { ...of, name: `checkBatch, transactions of ${size}`, run: () => checkBatch(batch, LIMITS, chunkStarts) },
    {
      ...of,
      name: `transactions(), of ${size}`,
      run() {
        let bytes = 0
        for (const transaction of transactions(batch)) bytes += transaction.length
        return bytes
      },
    },
  ]
}
