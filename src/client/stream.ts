/**
 * The order as a gateway streams it, followed across interruptions and authorities: each event once, in order, from a cursor
 * on. All authorities have the same order, so the next one goes on where the last one stopped.
 */
import { GatewayError } from './gateway-error.js'
import { type Gateways, sleep, unreachable } from './gateways.js'
import { RETRY_MS_MAX, RETRY_MS_MIN, STREAM_SILENCE_MS } from './limits.js'
import { malformed } from './receipt.js'
import { ServerSentEvents } from './server-sent-events.js'

export interface StreamOptions {
  /** Behind this cursor, `commit.position` or a commit; from the beginning unless given. */
  readonly after?: string
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal
}

export interface StreamEvent {
  /** What to go on behind, after a restart: `after`. */
  readonly cursor: string
  /** As the gateway names it. */
  readonly event: string
  /** What the gateway says of it, from JSON. */
  readonly data: unknown
}

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
    const events = new ServerSentEvents()
    for (;;) {
      const { done, value } = await reader.read().catch((error) => Promise.reject(unreachable(response.url, error)))
      if (done) return
      clearTimeout(timer)
      for (const event of pushed(events, decoder.decode(value, { stream: true }))) yield event
      timer = setTimeout(stop, STREAM_SILENCE_MS)
    }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
    controller.abort()
  }
}

function pushed(events: ServerSentEvents, text: string): StreamEvent[] {
  try {
    return events
      .push(text)
      .filter(({ id }) => id !== '')
      .map(({ data, event, id }) => {
        numbersOf(id)
        return { cursor: id, event, data: JSON.parse(data) as unknown }
      })
  } catch (error) {
    throw error instanceof GatewayError ? error : malformed('an event', error)
  }
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
