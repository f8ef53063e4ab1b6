/**
 * A batch of the order as server-sent events. Its transactions come in pieces of `EVENT_BYTES`; only the last piece has the
 * `id`, so a reader that is cut off within a batch gets all of it again. Pure.
 */
import type { LoggedBatch } from '../../../shared/store/primary/commit-log-reader.js'
import { readBatchHeader, transactions } from '../../../shared/wire/batch.js'
import { formatCursor } from './cursor.js'
import type { CommitHeadView } from './ordered-log.js'

export interface EventContext {
  /** By index, in base64. */
  readonly names: readonly string[]
  readonly eventBytes: number
}

/** @param bytes those of the batch; undefined if its transactions are left out */
export function batchEvents(
  commit: CommitHeadView,
  batch: LoggedBatch,
  bytes: Uint8Array | undefined,
  { eventBytes, names }: EventContext,
): Buffer[] {
  const { index, timestamp } = commit
  const said = {
    ...{ commit: index, position: batch.position, timestamp },
    digest: Buffer.from(batch.digest).toString('hex'),
    author: names[batch.author]!,
    worker: batch.worker,
  }
  const id = formatCursor({ commit: index, position: batch.position })
  if (bytes === undefined) return [event('batch', said, id)]
  const count = readBatchHeader(bytes).count
  const pieces: Buffer[] = []
  let piece: string[] = []
  let length = 0
  let first = 0
  for (const transaction of transactions(bytes)) {
    const text = Buffer.from(transaction.buffer, transaction.byteOffset, transaction.byteLength).toString('base64')
    if (piece.length > 0 && length + text.length > eventBytes) {
      pieces.push(event('batch', { ...said, count, first, transactions: piece }))
      first += piece.length
      piece = []
      length = 0
    }
    piece.push(text)
    length += text.length
  }
  pieces.push(event('batch', { ...said, count, first, transactions: piece }, id))
  return pieces
}

/** All of a commit was given. */
export function commitEvent({ batchCount, digest, index, timestamp }: CommitHeadView): Buffer {
  return event('commit', { commit: index, timestamp, batches: batchCount, digest }, String(index))
}

export function event(name: string, data: object, id?: string): Buffer {
  return Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
}
