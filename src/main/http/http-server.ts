/**
 * Serves `GET /metrics` (Prometheus' text format) and `GET /health` (JSON; 200 or 503), and nothing else.
 *
 * It has no authentication, and answers on the main thread: bind it where only those who watch the node can reach it.
 * One request for each connection, so that one who asks for much at once waits for it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TcpAddress } from '../../shared/config/address.js'
import {
  METRICS_CONNECTIONS_MAX,
  METRICS_HEADER_BYTES_MAX,
  METRICS_REQUEST_TIMEOUT_MS,
} from '../../shared/constants.js'
import { listenError } from '../../shared/errors.js'
import { type Health, healthJson } from '../metrics/health.js'

export interface MetricsServerOptions {
  readonly host: string
  readonly port: number
  /** METRICS_REQUEST_TIMEOUT_MS unless given. */
  readonly requestTimeoutMs?: number
}

export interface MetricsServerDependencies {
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  readonly health: () => Health
}

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

export class MetricsServer {
  private readonly options: MetricsServerOptions
  private readonly dependencies: MetricsServerDependencies
  private readonly server: Server

  constructor(options: MetricsServerOptions, dependencies: MetricsServerDependencies) {
    this.options = options
    this.dependencies = dependencies
    const timeoutMs = options.requestTimeoutMs ?? METRICS_REQUEST_TIMEOUT_MS
    this.server = createServer(
      {
        maxHeaderSize: METRICS_HEADER_BYTES_MAX,
        headersTimeout: timeoutMs,
        requestTimeout: timeoutMs,
        connectionsCheckingInterval: Math.ceil(timeoutMs / 5),
      },
      (request, response) => void this.onRequest(request, response),
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
      const onError = (error: Error): void =>
        reject(listenError(error, 'requests for metrics', { host, port }, 'change --metrics'))
      this.server.once('error', onError)
      this.server.listen({ host, port }, () => {
        this.server.off('error', onError)
        resolve()
      })
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
    // Said by us, it makes us close; `maxRequestsPerSocket` alone would leave that to the other side.
    response.setHeader('connection', 'close')
    response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) })
    response.end(body)
  }

  private async answer(request: IncomingMessage): Promise<Answer> {
    const { method, headers } = request
    const path = request.url?.split('?', 1)[0]
    if (path !== '/metrics' && path !== '/health') return plain(404, 'There is /metrics and /health.')
    if (method !== 'GET') return plain(405, `${path} is there to GET.`)
    if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
      return plain(413, 'A request here has no body.')
    }
    try {
      return path === '/metrics' ? await this.metrics() : this.health()
    } catch (error) {
      // Our own bug; it must not take down a node that does its work.
      return plain(500, `Cannot read the node's state: ${(error as Error).message}`)
    }
  }

  private async metrics(): Promise<Answer> {
    const { metrics } = this.dependencies
    return { status: 200, contentType: metrics.contentType, body: await metrics.text() }
  }

  private health(): Answer {
    const health = this.dependencies.health()
    return { status: health.ok ? 200 : 503, contentType: 'application/json', body: healthJson(health) }
  }
}

function plain(status: number, text: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` }
}
