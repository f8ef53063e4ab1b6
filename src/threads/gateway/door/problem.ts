/** What a client is told when it gets no answer: problem details (RFC 9457) with our error codes. Pure. */
import { CommitsPrunedError, type ErrorCode, NarvalError } from '../../../shared/errors.js'
import { RETRY_AFTER_S } from '../limits.js'

const STATUS: { readonly [C in ErrorCode]?: number } = {
  ERR_REQUEST_MALFORMED: 400,
  ERR_TRANSACTION_EMPTY: 400,
  ERR_UNAUTHORIZED: 401,
  ERR_ROUTE_NOT_FOUND: 404,
  ERR_COMMIT_NOT_FOUND: 404,
  ERR_CHECKPOINT_NOT_FOUND: 404,
  ERR_BATCH_NOT_FOUND: 404,
  ERR_TRANSACTION_NOT_FOUND: 404,
  ERR_CURSOR_AHEAD: 404,
  ERR_COMMITS_PRUNED: 410,
  ERR_REQUEST_TOO_LARGE: 413,
  ERR_TRANSACTION_TOO_LARGE: 413,
  ERR_CONTENT_TYPE: 415,
  ERR_HOST_FOREIGN: 421,
  ERR_REQUEST_RATE: 429,
  ERR_BUSY: 503,
  ERR_CLOSED: 503,
}

/** What fastify itself refuses, in our codes. */
const FROM_FASTIFY: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'ERR_REQUEST_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'ERR_CONTENT_TYPE',
}

export interface Problem {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** One line of JSON. */
  readonly body: string
  /** A failure of ours, that somebody should look at. */
  readonly isOurs: boolean
}

export const PROBLEM_TYPE = 'application/problem+json'

export function problemOf(error: unknown): Problem {
  const known = knownError(error)
  const status = known === undefined ? 500 : (STATUS[known.code] ?? 500)
  const isOurs = status === 500
  const body = {
    title: known?.code ?? 'ERR_INTERNAL',
    status,
    code: known?.code ?? 'ERR_INTERNAL',
    // A failure of ours is for the log: what it says may be nobody else's business.
    detail: isOurs ? 'the node could not answer: its log says why' : known!.message,
    ...(known instanceof CommitsPrunedError && { oldest: known.oldest }),
  }
  return { status, headers: headersOf(status), body: `${JSON.stringify(body)}\n`, isOurs }
}

function headersOf(status: number): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' }
  if (status === 429 || status === 503) headers['retry-after'] = String(RETRY_AFTER_S)
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  return headers
}

function knownError(error: unknown): NarvalError | undefined {
  if (error instanceof NarvalError) return error
  if (!(error instanceof Error)) return undefined
  const { code, statusCode } = error as Error & { code?: string; statusCode?: number }
  const ours = FROM_FASTIFY[code ?? '']
  if (ours !== undefined) return new NarvalError(ours, error.message)
  const isTheirs = statusCode !== undefined && statusCode >= 400 && statusCode < 500
  return isTheirs ? new NarvalError('ERR_REQUEST_MALFORMED', error.message) : undefined
}
