/**
 * The order as a gateway streams it, followed across interruptions and authorities: each event once, in order, from a cursor
 * on. All authorities have the same order, so the next one goes on where the last one stopped.
 */
import { BATCH_SIZE_MAX } from '../shared/constants.js'
import { fromBase64 } from '../shared/wire/base64.js'
import { errorOf, GatewayError } from './gateway-error.js'
import { type Gateways, sleep, unreachable } from './gateways.js'
import { RETRY_MS_MAX, RETRY_MS_MIN, STREAM_SILENCE_MS } from './limits.js'
import { malformed, objectOf, whole } from './receipt.js'
import { type ServerSentEvent, ServerSentEvents } from './server-sent-events.js'

export interface StreamOptions {
  /** Behind this cursor, `commit.position` or a commit, `0` for the beginning; what comes from now on unless given. */
  readonly after?: string
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal
}

/** A batch of the order, with its transactions. */
export interface BatchEvent {
  readonly type: 'batch'
  /** What to go on behind, after a restart: `after`. */
  readonly cursor: string
  readonly commit: number
  /** Of the batch, in its commit, from 0. */
  readonly position: number
  /** Of the commit, unix ms. */
  readonly timestamp: number
  /** In lower-case hex. */
  readonly digest: string
  readonly transactions: readonly Uint8Array[]
}

/** All of a commit was given. At rest there are commits without batches, of which one in many is told. */
export interface CommitEvent {
  readonly type: 'commit'
  readonly cursor: string
  readonly commit: number
  readonly timestamp: number
}

export type StreamEvent = BatchEvent | CommitEvent

/**
 * @throws GatewayError for what does not pass: `ERR_COMMITS_PRUNED`, with `oldest`, if the cursor is before what is kept
 */
export async function* streamOf(
  gateways: Gateways,
  { after, signal }: StreamOptions,
): AsyncGenerator<StreamEvent, void, undefined> {
  let cursor = after
  for (let failures = 0; !signal?.aborted; ) {
    try {
      for await (const event of connection(gateways, cursor, signal)) {
        // An authority that gives a cursor again, or an earlier one, adds nothing.
        if (cursor !== undefined && compareCursors(event.cursor, cursor) <= 0) continue
        failures = 0
        cursor = event.cursor
        yield event
      }
    } catch (error) {
      if (signal?.aborted) return
      if (!(error instanceof GatewayError) || !error.isPassing) throw error
    }
    gateways.next()
    failures += 1
    const pauseMs =
      failures < gateways.count ? 0 : Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (failures - gateways.count))
    await sleep(pauseMs, signal).catch(() => {})
  }
}

/** One connection, until it ends or falls silent. */
async function* connection(
  gateways: Gateways,
  after: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<StreamEvent, void, undefined> {
  const controller = new AbortController()
  const stop = (): void => controller.abort()
  signal?.addEventListener('abort', stop)
  let timer = setTimeout(stop, STREAM_SILENCE_MS)
  try {
    const response = await gateways.open(
      {
        path: `/v1/stream${after === undefined ? '' : `?after=${encodeURIComponent(after)}`}`,
        headers: { accept: 'text/event-stream', ...(after !== undefined && { 'last-event-id': after }) },
      },
      controller.signal,
    )
    const reader = response.body!.getReader()
    const decoder = new TextDecoder()
    const events = new Events()
    for (;;) {
      const { done, value } = await reader.read().catch((error) => Promise.reject(unreachable(response.url, error)))
      if (done) return
      clearTimeout(timer)
      for (const event of events.push(decoder.decode(value, { stream: true }))) yield event
      timer = setTimeout(stop, STREAM_SILENCE_MS)
    }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
    controller.abort()
  }
}

/** The pieces of a batch, put together: only the last one has an id, so what is broken off comes again as a whole. */
class Events {
  private readonly texts = new ServerSentEvents()
  private pieces: Uint8Array[] = []
  private bytes = 0

  /** @throws GatewayError for what the gateway says in place of an event, or for what is none */
  push(text: string): StreamEvent[] {
    try {
      return this.texts.push(text).flatMap((event) => this.read(event) ?? [])
    } catch (error) {
      throw error instanceof GatewayError ? error : malformed('an event', error)
    }
  }

  private read({ data, event, hasOwnId, id }: ServerSentEvent): StreamEvent | undefined {
    if (event === 'problem') throw errorOf(statusOf(data), new Headers(), data)
    if (event !== 'batch' && event !== 'commit') return undefined
    const said = objectOf(new TextEncoder().encode(data))
    const [commit, timestamp] = [whole(said.commit, 'a commit'), whole(said.timestamp, 'a timestamp')]
    if (event === 'commit') {
      numbersOf(id)
      return { type: event, cursor: id, commit, timestamp }
    }
    for (const transaction of transactionsOf(said.transactions)) {
      this.pieces.push(transaction)
      this.bytes += transaction.length
    }
    if (this.bytes > BATCH_SIZE_MAX) throw malformed('a batch that is too large')
    if (!hasOwnId) return undefined
    numbersOf(id)
    const transactions = this.pieces
    this.pieces = []
    this.bytes = 0
    const position = whole(said.position, 'a position')
    if (typeof said.digest !== 'string') throw malformed('a digest')
    return { type: event, cursor: id, commit, position, timestamp, digest: said.digest, transactions }
  }
}

function transactionsOf(value: unknown): Uint8Array[] {
  if (!Array.isArray(value)) throw malformed('transactions')
  return value.map((text) => {
    const bytes = typeof text === 'string' ? fromBase64(text) : undefined
    if (bytes === undefined) throw malformed('a transaction')
    return bytes
  })
}

function statusOf(problem: string): number {
  const { status } = objectOf(new TextEncoder().encode(problem))
  return Number.isInteger(status) ? (status as number) : 500
}

/** Which is later: negative, 0 or positive. A commit without a position is all of it. */
export function compareCursors(a: string, b: string): number {
  const [ofA, ofB] = [numbersOf(a), numbersOf(b)]
  if (ofA.commit !== ofB.commit) return ofA.commit - ofB.commit
  return ofA.position === ofB.position ? 0 : ofA.position < ofB.position ? -1 : 1
}

function numbersOf(cursor: string): { commit: number; position: number } {
  const match = /^(\d{1,16})(?:\.(\d{1,16}))?$/.exec(cursor)
  if (match === null) throw malformed('a cursor')
  return { commit: Number(match[1]), position: match[2] === undefined ? Number.POSITIVE_INFINITY : Number(match[2]) }
}
