/** What a gateway refuses, and what no gateway answered. */

/** What a gateway said, from `application/problem+json`; or that none said anything. */
export class GatewayError extends Error {
  /** As the gateway names it: `ERR_TRANSACTION_TOO_LARGE`; `ERR_UNREACHABLE` if none answered. */
  readonly code: string
  /** Of HTTP; 0 if there was no answer. */
  readonly status: number
  /** Of `ERR_COMMITS_PRUNED`: the oldest commit that is there. */
  readonly oldest: number | undefined
  /** How long to wait before it is tried again, in ms, if the gateway said. */
  readonly retryAfterMs: number | undefined

  constructor(
    message: string,
    fields: {
      readonly code: string
      readonly status?: number
      readonly oldest?: number | undefined
      readonly retryAfterMs?: number | undefined
      readonly cause?: unknown
    },
  ) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.name = 'GatewayError'
    this.code = fields.code
    this.status = fields.status ?? 0
    this.oldest = fields.oldest
    this.retryAfterMs = fields.retryAfterMs
  }

  /** Whether the same may be taken at another time, or by another authority. */
  get isPassing(): boolean {
    // Another authority is further on, and this one will be.
    if (this.code === 'ERR_CURSOR_AHEAD') return true
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500
  }
}

/** @param body what the answer has, as text */
export function errorOf(status: number, headers: Headers, body: string): GatewayError {
  const problem = problemOf(body)
  const text = (name: string): string | undefined => {
    const value = problem[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const { oldest } = problem
  return new GatewayError(text('detail') ?? text('title') ?? `the gateway answered ${status}`, {
    code: text('code') ?? `HTTP_${status}`,
    status,
    oldest: Number.isSafeInteger(oldest) ? (oldest as number) : undefined,
    retryAfterMs: retryAfterMs(headers.get('retry-after')),
  })
}

function problemOf(body: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** Seconds; a date is not what a gateway of narval says. */
function retryAfterMs(value: string | null): number | undefined {
  if (value === null || !/^\d{1,9}$/.test(value)) return undefined
  return 1_000 * Number(value)
}
