/** `log`: prints the commits of a store; a running node does not notice. */
import { once } from 'node:events'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { primaryStoreOf } from '../../shared/store/authority-directories.js'
import { CommitLogReader, type LoggedBatch, type LoggedCommit } from '../../shared/store/primary/commit-log-reader.js'
import { followCommits } from '../../shared/store/primary/follow-commits.js'
import { EXIT_INTERRUPTED, watchSignals } from '../lib/signals.js'

export interface LogOptions {
  readonly store: string
  readonly after: number
  readonly limit?: number
  readonly follow: boolean
  /** Whether commits without batches are printed. */
  readonly empty: boolean
  readonly json: boolean
}

/** Pieces of text of at most so many batches: a commit may have more than fit into memory. */
const BATCHES_PER_PIECE = 1_000

export async function printLog(options: LogOptions): Promise<void> {
  const { after, empty, follow, json, limit = Number.POSITIVE_INFINITY, store } = options
  const reader = new CommitLogReader(primaryStoreOf(store))
  const interrupt = watchSignals(() => process.exit(EXIT_INTERRUPTED))
  // A reader that goes away (`| head`) ends it.
  const onClosed = (): void => interrupt.stop('EPIPE')
  process.stdout.on('error', onClosed)
  try {
    let printed = 0
    for await (const commit of followCommits(reader, after, {
      follow,
      signal: interrupt.signal,
      isWanted: empty ? undefined : ({ batchCount }) => batchCount > 0,
    })) {
      for (const piece of json ? jsonOf(commit) : textOf(commit)) {
        if (!process.stdout.write(piece)) await drained(interrupt.signal)
        if (interrupt.signal.aborted) return
      }
      printed += 1
      if (printed >= limit) return
    }
  } finally {
    process.stdout.off('error', onClosed)
    interrupt.dispose()
    reader.close()
  }
}

async function drained(signal: AbortSignal): Promise<void> {
  await once(process.stdout, 'drain', { signal }).catch(() => {})
}

/** A line for the commit and one for each batch. */
export function* textOf(commit: LoggedCommit): Generator<string> {
  const { anchor, batchCount, certificateCount, index, timestamp } = commit
  const when = timestamp === 0 ? '' : `  ${new Date(timestamp).toISOString()}`
  yield `commit ${index}  round ${anchor.round} of authority ${anchor.author}  ${count(certificateCount, 'certificate')}, ${count(batchCount, 'batch', 'es')}${when}  ${hex(commit.digest())}\n`
  for (const piece of pieces(commit)) {
    yield piece
      .map(
        ({ author, digest, sequence, worker }) =>
          `  ${encodeBase64(digest)}  worker ${worker} of authority ${author}${sequence === undefined ? '' : `  sequence ${sequence}`}\n`,
      )
      .join('')
  }
}

/** One line of JSON. */
export function* jsonOf(commit: LoggedCommit): Generator<string> {
  const { anchor, epoch, firstBatch, index, previous, timestamp } = commit
  const head = {
    commit: index,
    epoch,
    round: anchor.round,
    author: anchor.author,
    timestamp_ms: timestamp,
    digest: hex(commit.digest()),
    previous: hex(previous),
    first_batch: firstBatch,
    batch_count: commit.batchCount,
    certificates: Array.from(commit.certificates(), ({ author, id, round }) => ({ round, author, header: hex(id) })),
  }
  yield `${JSON.stringify(head).slice(0, -1)},"batches":[`
  let isFirst = true
  for (const piece of pieces(commit)) {
    const text = piece.map((batch) => JSON.stringify(jsonOfBatch(batch))).join(',')
    yield isFirst ? text : `,${text}`
    isFirst = false
  }
  yield ']}\n'
}

function jsonOfBatch({ author, digest, sequence, worker }: LoggedBatch): object {
  return {
    digest: encodeBase64(digest),
    author,
    worker,
    ...(sequence !== undefined && { sequence: String(sequence) }),
  }
}

function* pieces(commit: LoggedCommit): Generator<LoggedBatch[]> {
  let piece: LoggedBatch[] = []
  for (const batch of commit.batches()) {
    piece.push(batch)
    if (piece.length < BATCHES_PER_PIECE) continue
    yield piece
    piece = []
  }
  if (piece.length > 0) yield piece
}

function count(n: number, one: string, plural = 's'): string {
  return `${n} ${one}${n === 1 ? '' : plural}`
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
