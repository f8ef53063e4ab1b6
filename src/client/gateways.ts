/**
 * The gateways of several authorities: one is asked until it fails, then the next. What passes is tried again, after a pause,
 * until the caller's time is over; what a gateway refuses for good is thrown at once.
 */
import { errorOf, GatewayError } from './gateway-error.js'
import { ANSWER_BYTES_MAX, ATTEMPT_MS, RETRY_AFTER_MS_MAX, RETRY_MS_MAX, RETRY_MS_MIN } from './limits.js'

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>

export interface GatewaysOptions {
  /** Without a slash at the end. */
  readonly urls: readonly string[]
  readonly token: string | undefined
  readonly fetch: Fetch
}

export interface Request {
  readonly path: string
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** How long the gateway is asked to wait, in ms: that much longer the answer may take. */
  readonly waitMs?: number
}

export interface Answer {
  readonly status: number
  readonly bytes: Uint8Array
}

export class Gateways {
  private readonly options: GatewaysOptions
  private at = 0

  constructor(options: GatewaysOptions) {
    this.options = options
  }

  get count(): number {
    return this.options.urls.length
  }

  /** The next authority is asked from now on. */
  next(): void {
    this.at = (this.at + 1) % this.count
  }

  /**
   * What `attempt` gives, which is tried again, at the next authority, when it fails with what passes.
   *
   * @param endsAt ms of `performance.now()`, after which no attempt begins
   * @throws GatewayError, what the signal says, and what else `attempt` throws
   */
  async retried<T>(attempt: () => Promise<T>, endsAt: number, signal: AbortSignal | undefined): Promise<T> {
    for (let failures = 1; ; failures += 1) {
      signal?.throwIfAborted()
      try {
        return await attempt()
      } catch (error) {
        signal?.throwIfAborted()
        if (!(error instanceof GatewayError) || !error.isPassing) throw error
        this.next()
        // Others are asked at once; only when all have failed there is a pause.
        const pauseMs = failures % this.count === 0 ? pauseBehind(failures / this.count, error) : 0
        if (performance.now() + pauseMs >= endsAt) throw error
        await sleep(pauseMs, signal)
      }
    }
  }

  /** One request to the present authority. @throws GatewayError for any status but 2xx, and without an answer */
  async request(request: Request, signal?: AbortSignal): Promise<Answer> {
    const timer = new AbortController()
    const timeout = setTimeout(() => timer.abort(), ATTEMPT_MS + (request.waitMs ?? 0))
    const stop = (): void => timer.abort()
    signal?.addEventListener('abort', stop)
    try {
      const response = await this.open(request, timer.signal)
      return { status: response.status, bytes: await bytesOf(response, ANSWER_BYTES_MAX) }
    } finally {
      clearTimeout(timeout)
      signal?.removeEventListener('abort', stop)
    }
  }

  /** The same, of which the body is not read yet. */
  async open({ body, headers, method = 'GET', path }: Request, signal: AbortSignal): Promise<Response> {
    const { fetch, token, urls } = this.options
    const url = urls[this.at]!
    let response: Response
    try {
      response = await fetch(`${url}${path}`, {
        method,
        headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
        signal,
        redirect: 'error',
        ...(body && { body: body as Uint8Array<ArrayBuffer> }),
      })
    } catch (error) {
      throw unreachable(url, error)
    }
    if (response.ok) return response
    const text = new TextDecoder().decode(await bytesOf(response, ANSWER_BYTES_MAX).catch(() => new Uint8Array(0)))
    throw errorOf(response.status, response.headers, text)
  }
}

/** All of a body, unless it is larger than what can be meant. @throws GatewayError */
async function bytesOf(response: Response, bytesMax: number): Promise<Uint8Array> {
  const reader = response.body?.getReader()
  if (reader === undefined) return new Uint8Array(0)
  const pieces: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      length += value.length
      if (length > bytesMax) {
        void reader.cancel().catch(() => {})
        throw new GatewayError(`an answer of more than ${bytesMax} bytes`, { code: 'ERR_CODEC', status: 502 })
      }
      pieces.push(value)
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw unreachable(response.url, error)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

export function unreachable(url: string, cause: unknown): GatewayError {
  return new GatewayError(`no answer from ${url}`, { code: 'ERR_UNREACHABLE', cause })
}

/** Doubles with each round of all authorities, with some chance in it, so that clients do not come back as one. */
function pauseBehind(rounds: number, { retryAfterMs }: GatewayError): number {
  const most = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (rounds - 1))
  const pauseMs = most * (0.5 + Math.random() / 2)
  return Math.max(pauseMs, Math.min(retryAfterMs ?? 0, RETRY_AFTER_MS_MAX))
}

export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal!.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
