/**
 * The HTTP server: fastify, with who may connect, how often, with what, and how failures are said. Nothing of it holds up
 * the order: it runs in a thread of its own, and reads what the node has written.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { NarvalError } from '../../shared/errors.js'
import { sourceOf } from '../../shared/wire/source-address.js'
import type { GatewayContext } from './context.js'
import { Bodies } from './door/bodies.js'
import { checkCaller } from './door/caller.js'
import { Places } from './door/places.js'
import { PROBLEM_TYPE, problemOf } from './door/problem.js'
import { Rates } from './door/rates.js'
import * as limits from './limits.js'
import { addCommits } from './routes/commits.js'
import { addNode } from './routes/node.js'
import { addStream } from './routes/stream.js'
import { addTransactions } from './routes/transactions.js'
import { addWatch } from './routes/watch.js'

export interface ServerOptions {
  readonly token: string | undefined
  readonly origins: readonly string[]
}

/** What tests set otherwise than the product. */
export type ServerLimits = { readonly [K in 'CONNECTIONS_MAX' | 'HEAD_MS_MAX' | 'REQUEST_MS_MAX' | 'CHECK_MS']: number }

/** Probes have no token, and say nothing but how the node is. */
const OPEN_TO_ALL = new Set(['/livez', '/readyz'])

export function createServer(
  { origins, token }: ServerOptions,
  context: GatewayContext,
  onFailure: (error: unknown) => void,
  { CHECK_MS, CONNECTIONS_MAX, HEAD_MS_MAX, REQUEST_MS_MAX }: ServerLimits = limits,
): FastifyInstance {
  const { counters } = context
  const app = fastify({
    logger: false,
    bodyLimit: limits.BATCH_BODY_BYTES_MAX,
    keepAliveTimeout: limits.KEEP_ALIVE_MS,
    connectionTimeout: limits.STILL_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 128, ignoreTrailingSlash: false },
    http: {
      headersTimeout: HEAD_MS_MAX,
      connectionsCheckingInterval: CHECK_MS,
      maxHeaderSize: limits.HEAD_BYTES_MAX,
    },
    clientErrorHandler: (error, socket) => refuseClient(context, error, socket),
    frameworkErrors: (error, _, reply) => answer(error, reply as FastifyReply),
  })
  const answer = (error: unknown, reply: FastifyReply): void => {
    const { body, headers, isOurs, status } = problemOf(error)
    if (isOurs) {
      counters.add('failures')
      onFailure(error)
    }
    reply.code(status).headers(headers).send(body)
  }
  limitConnections(app, context, CONNECTIONS_MAX)
  const rates = new Rates(limits.REQUESTS_PER_SECOND, limits.SOURCES_MAX)
  // What has no parser is refused: a page of another site can send texts and forms without asking first.
  app.removeAllContentTypeParsers()
  const bodies = new Bodies(limits.BODIES_BYTES_MAX)
  app.addContentTypeParser('application/octet-stream', (request: FastifyRequest, payload: IncomingMessage) =>
    bodies.read(
      payload,
      request.routeOptions.bodyLimit ?? limits.BATCH_BODY_BYTES_MAX,
      sourceOf(request.socket.remoteAddress),
    ),
  )
  app.setErrorHandler((error, _, reply) => answer(error, reply))
  app.setNotFoundHandler((request, reply) =>
    answer(new NarvalError('ERR_ROUTE_NOT_FOUND', `${request.method} ${pathOf(request)}: see /v1/openapi.json`), reply),
  )
  app.addHook('onRequest', async (request, reply) => {
    allowOrigin(request, reply, origins)
    if (!rates.admits(sourceOf(request.socket.remoteAddress), performance.now())) {
      throw new NarvalError(
        'ERR_REQUEST_RATE',
        `at most ${limits.REQUESTS_PER_SECOND} requests a second of one address`,
      )
    }
    // A browser asks with no token whether it may call.
    if (request.method === 'OPTIONS' && origins.length > 0) return reply.code(204).send()
    if (!OPEN_TO_ALL.has(pathOf(request))) checkCaller(request.headers, token)
  })
  app.addHook('onResponse', async (_, reply) => {
    counters.add('requests')
    if (reply.statusCode >= 400) counters.add('refused')
  })
  addCommits(app, context)
  addNode(app, context)
  addStream(app, context)
  addTransactions(app, context)
  app.register(async (scope) => addWatch(scope, context))
  return app
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0]!.slice(0, 200)
}

function allowOrigin({ headers }: FastifyRequest, reply: FastifyReply, origins: readonly string[]): void {
  const { origin } = headers
  if (origin === undefined || !(origins.includes('*') || origins.includes(origin))) return
  reply.headers({
    'access-control-allow-origin': origin,
    vary: 'Origin',
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-allow-headers': 'Authorization, Content-Type, Last-Event-ID',
    'access-control-expose-headers': 'Retry-After, ETag',
    'access-control-max-age': '600',
  })
}

/** Node's own errors of requests that are none: it would answer with a line of text. */
const MALFORMED = `HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: ${PROBLEM_TYPE}\r\n\r\n${problemOf(new NarvalError('ERR_REQUEST_MALFORMED', 'this is no request of HTTP/1.1')).body}`
const LATE = `HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n`

function limitConnections(app: FastifyInstance, { counters }: GatewayContext, max: number): void {
  const places = new Places(max)
  app.server.on('connection', (socket: Socket) => {
    const place = { source: sourceOf(socket.remoteAddress), onEvicted: () => refuse(socket) }
    const refuse = (refused: Socket): void => {
      counters.add('connectionsRefused')
      refused.destroy()
    }
    if (!places.take(place)) {
      refuse(socket)
      return
    }
    counters.set('connections', places.taken)
    socket.once('close', () => {
      places.leave(place)
      counters.set('connections', places.taken)
    })
  })
}

/** What is no request, or is not whole in time. */
function refuseClient({ counters }: GatewayContext, error: NodeJS.ErrnoException, socket: Socket): void {
  counters.add('refused')
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  socket.end(error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? LATE : MALFORMED, () => socket.destroy())
}
