/** `/v1/stream`: the order as server-sent events, from a cursor on. */
import type { FastifyInstance } from 'fastify'
import { CommitsPrunedError, NarvalError } from '../../../shared/errors.js'
import type { LogCursor } from '../../../shared/store/primary/follow-commits.js'
import { sourceOf } from '../../../shared/wire/source-address.js'
import type { GatewayContext } from '../context.js'
import { flag, knownQuery } from '../door/query.js'
import { CURSOR_AHEAD_MAX, EVENT_BYTES } from '../limits.js'
import { parseCursor } from '../order/cursor.js'
import { EventStream } from '../order/event-stream.js'
import type { OrderedLog } from '../order/ordered-log.js'

export function addStream(app: FastifyInstance, context: GatewayContext): void {
  const { authority, batches, cache, log, streams } = context
  const names = authority.committee.map(({ name }) => name)
  const dependencies = { log, batches, cache, context: { names, eventBytes: EVENT_BYTES } }

  app.get('/v1/stream', (request, reply) => {
    const query = knownQuery(request.query, ['after', 'empty', 'payload'])
    const resumed = request.headers['last-event-id']
    const after = cursorOf(log, resumed ?? query.after, resumed === undefined ? 'after' : 'Last-Event-ID')
    const options = {
      after,
      empty: flag('empty', query.empty),
      payload: query.payload === undefined || flag('payload', query.payload),
    }
    const stream = new EventStream(options, dependencies, reply.raw)
    // The head goes out before any event does, and headers that hooks have set with it.
    const begin = (): void => {
      reply.hijack()
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      reply.raw.write(':\n\n')
    }
    if (streams.start(stream, sourceOf(request.socket.remoteAddress), begin)) return reply
    throw new NarvalError('ERR_REQUEST_RATE', 'all places of readers are taken, and this address has the most of them')
  })
}

/** Without one it begins at the end: what comes from now on. @throws NarvalError, CommitsPrunedError */
function cursorOf(log: OrderedLog, text: unknown, name: string): LogCursor {
  const { last, oldest } = log.bounds()
  if (text === undefined) return { commit: last, position: Number.POSITIVE_INFINITY }
  const cursor = parseCursor(name, text)
  if (cursor.commit > last + CURSOR_AHEAD_MAX) {
    throw new NarvalError('ERR_CURSOR_AHEAD', `${name}: commit ${cursor.commit}, and the last one here is ${last}`)
  }
  const next = cursor.position === Number.POSITIVE_INFINITY ? cursor.commit + 1 : cursor.commit
  if (next < oldest) throw new CommitsPrunedError(next - 1, oldest)
  return cursor
}
