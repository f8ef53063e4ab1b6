/** `POST /v1/transactions`, one or many: hands transactions to the authority, and says by which ids they go. */
import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { NarvalError } from '../../../shared/errors.js'
import type { GatewayContext } from '../context.js'
import { knownQuery, wrongQuery } from '../door/query.js'
import { BATCH_TRANSACTIONS_MAX } from '../limits.js'

/** In the form of a receipt. */
interface Queued {
  /** SHA-256 of the bytes, in hex. */
  readonly id: string
  readonly stage: 'queued'
}

export function addTransactions(app: FastifyInstance, { authority, submits }: GatewayContext): void {
  const { transactionBytesMax } = authority

  app.post('/v1/transactions', { bodyLimit: transactionBytesMax }, async (request, reply) => {
    checkWait(request.query)
    const transaction = bodyOf(request.body)
    checkLength(transaction, transactionBytesMax)
    const [refused] = await submits.submit([transaction])
    if (refused !== undefined) throw refused
    reply.header('cache-control', 'no-store')
    return queued(transaction)
  })

  app.post('/v1/transactions/batch', async (request, reply) => {
    checkWait(request.query)
    // All of it is looked at before any of it is handed over.
    const transactions = framesOf(bodyOf(request.body))
    for (const transaction of transactions) checkLength(transaction, transactionBytesMax)
    const refusals = await submits.submit(transactions)
    const receipts = transactions.map((transaction, at) => {
      const refused = refusals[at]
      if (refused === undefined) return queued(transaction)
      return { id: idOf(transaction), code: refused.code, detail: refused.message }
    })
    reply.header('cache-control', 'no-store')
    // Those that were not taken are told by their codes: to send them again gives the same ids.
    return reply.code(refusals.some((refused) => refused !== undefined) ? 207 : 200).send({ receipts })
  })
}

function checkWait(query: unknown): void {
  const { wait = 'queued' } = knownQuery(query, ['wait'])
  if (wait !== 'queued') throw wrongQuery('wait', 'queued', wait)
}

function bodyOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body
  throw new NarvalError('ERR_CONTENT_TYPE', 'expected a body of application/octet-stream')
}

function checkLength({ length }: Uint8Array, max: number): void {
  if (length === 0) throw new NarvalError('ERR_TRANSACTION_EMPTY', 'a transaction of 0 bytes, at least 1')
  if (length > max) throw new NarvalError('ERR_TRANSACTION_TOO_LARGE', `${length} bytes, at most ${max}`)
}

/** Each behind its length, 4 bytes, big-endian: as over TCP. @throws NarvalError ERR_REQUEST_MALFORMED */
export function framesOf(body: Uint8Array): Uint8Array[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const frames: Uint8Array[] = []
  for (let at = 0; at < body.length; ) {
    const length = at + 4 <= body.length ? view.getUint32(at) : Number.POSITIVE_INFINITY
    if (at + 4 + length > body.length) {
      throw new NarvalError('ERR_REQUEST_MALFORMED', `transaction ${frames.length} ends beyond the body`)
    }
    if (frames.length === BATCH_TRANSACTIONS_MAX) {
      throw new NarvalError('ERR_REQUEST_TOO_LARGE', `more than ${BATCH_TRANSACTIONS_MAX} transactions`)
    }
    frames.push(body.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  if (frames.length > 0) return frames
  throw new NarvalError('ERR_REQUEST_MALFORMED', 'a body without a transaction')
}

function idOf(transaction: Uint8Array): string {
  return createHash('sha256').update(transaction).digest('hex')
}

function queued(transaction: Uint8Array): Queued {
  return { id: idOf(transaction), stage: 'queued' }
}
