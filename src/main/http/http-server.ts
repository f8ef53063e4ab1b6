/**
 * Serves `GET /metrics` (Prometheus' text format), `/livez`, `/readyz` and `/health`, and nothing else.
 *
 * - `/livez` answers 200 while the node runs, and 503 once it has failed and is to be started again.
 * - `/readyz` answers 200 while it does what it is there for. A 503 says that it cannot now, for want of a quorum or of room:
 *   to start it again would not help.
 * - `/health` is `/readyz` under its former name.
 *
 * It has no authentication, and answers on the main thread: bind it where only those who watch the node can reach it.
 * Each connection takes one request, so a client that wants many has to connect for each.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TcpAddress } from '../../shared/config/address.js'
import { listenError } from '../../shared/errors.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'
import type { HealthAnswer } from '../metrics/health.js'
import { METRICS_CONNECTIONS_MAX, METRICS_HEADER_BYTES_MAX, METRICS_REQUEST_TIMEOUT_MS } from './limits.js'

export interface MetricsServerOptions {
  readonly host: string
  readonly port: number
  /** METRICS_REQUEST_TIMEOUT_MS unless given. */
  readonly requestTimeoutMs?: number
}

export interface MetricsServerDependencies {
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  readonly health: () => HealthAnswer
  readonly isAlive: () => boolean
  /** Takes what the handlers of requests throw. */
  readonly supervisor?: Supervisor
}

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

const PATHS = ['/metrics', '/livez', '/readyz', '/health']

export class MetricsServer {
  private readonly options: MetricsServerOptions
  private readonly dependencies: MetricsServerDependencies
  private readonly server: Server

  constructor(options: MetricsServerOptions, dependencies: MetricsServerDependencies) {
    this.options = options
    this.dependencies = dependencies
    const timeoutMs = options.requestTimeoutMs ?? METRICS_REQUEST_TIMEOUT_MS
    const supervisor = dependencies.supervisor ?? unsupervised
    const onRequest = supervisor.guard(
      'a request for metrics',
      (request: IncomingMessage, response: ServerResponse) => {
        supervisor.watch('a request for metrics', this.onRequest(request, response))
      },
    )
    this.server = createServer(
      {
        maxHeaderSize: METRICS_HEADER_BYTES_MAX,
        headersTimeout: timeoutMs,
        requestTimeout: timeoutMs,
        connectionsCheckingInterval: Math.ceil(timeoutMs / 5),
      },
      onRequest,
    )
    this.server.maxConnections = METRICS_CONNECTIONS_MAX
    this.server.maxRequestsPerSocket = 1
    // For answers that nobody reads.
    this.server.timeout = timeoutMs
  }

  /** Where it listens: the port that the system chose, if 0 was asked for. */
  get address(): TcpAddress {
    const { address, port } = this.server.address() as AddressInfo
    return { host: address, port }
  }

  /** @throws NarvalError ERR_ADDRESS_IN_USE, ERR_ADDRESS_UNAVAILABLE */
  listen(): Promise<void> {
    const { host, port } = this.options
    return new Promise((resolve, reject) => {
      const { guard } = this.dependencies.supervisor ?? unsupervised
      // Stays for good: a connection that could not be accepted (no descriptor is left) is not the server's end.
      const onError = guard('the port for metrics', (error: Error) =>
        reject(listenError(error, 'requests for metrics', { host, port }, 'change --metrics')),
      )
      this.server.on('error', onError)
      this.server.listen({ host, port }, resolve)
    })
  }

  /** Stops listening and ends every connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve())
      this.server.closeAllConnections()
    })
  }

  private async onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, contentType, body } = await this.answer(request)
    if (status === 405) response.setHeader('allow', 'GET')
    // With this header Node closes the connection itself; with `maxRequestsPerSocket` alone it waits for the other
    // side.
    response.setHeader('connection', 'close')
    response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) })
    response.end(body)
  }

  private async answer(request: IncomingMessage): Promise<Answer> {
    const { method, headers } = request
    const path = request.url?.split('?', 1)[0]
    if (path === undefined || !PATHS.includes(path)) return plain(404, `There is ${PATHS.join(', ')}.`)
    if (method !== 'GET') return plain(405, `${path} is there to GET.`)
    if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
      return plain(413, 'A request here has no body.')
    }
    try {
      if (path === '/metrics') return await this.metrics()
      return path === '/livez' ? this.liveness() : this.health()
    } catch (error) {
      // Our own bug; it must not take down a node that does its work.
      return plain(500, `Cannot read the node's state: ${(error as Error).message}`)
    }
  }

  private async metrics(): Promise<Answer> {
    const { metrics } = this.dependencies
    return { status: 200, contentType: metrics.contentType, body: await metrics.text() }
  }

  private liveness(): Answer {
    return this.dependencies.isAlive() ? plain(200, 'ok') : plain(503, 'It has failed: its log says why.')
  }

  private health(): Answer {
    const { json, ok } = this.dependencies.health()
    return { status: ok ? 200 : 503, contentType: 'application/json', body: json }
  }
}

function plain(status: number, text: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` }
}
