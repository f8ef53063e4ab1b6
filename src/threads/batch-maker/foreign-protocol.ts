/**
 * What a client speaks whose first bytes are no length of a transaction: a browser or a health check on the wrong port
 * should be told so, and not that its transaction of 1,195,725,856 bytes is too large.
 *
 * Each of these beginnings is, read as a length, beyond the largest `batch_size`.
 */
import assert from 'node:assert'
import { BATCH_SIZE_MAX } from '../../shared/constants.js'
import type { ClientRefusal } from '../../shared/refusals.js'

export interface ForeignProtocol {
  readonly reason: Extract<ClientRefusal, 'http-request' | 'tls-handshake' | 'foreign-protocol'>
  readonly detail: string
}

const THIS_PORT = 'this port takes transactions, each behind its length in 4 bytes'

/** The first four bytes of a request by its verb; `PRI ` begins HTTP/2. */
const HTTP = ['GET ', 'HEAD', 'POST', 'PUT ', 'PATC', 'DELE', 'OPTI', 'CONN', 'TRAC', 'PRI ']

const OTHERS: readonly (readonly [string, string])[] = [
  ['SSH-', 'SSH'],
  ['PROX', 'the PROXY protocol of a load balancer'],
  ['\r\n\r\n', 'the PROXY protocol of a load balancer'],
  // A length and the beginning of `/multistream/1.0.0`.
  ['\x13/mu', 'libp2p'],
]

/** The first byte of a TLS record that is a handshake, and the first of each version. */
const TLS_HANDSHAKE = 0x16
const TLS_MAJOR = 0x03

const known = new Map<number, ForeignProtocol>([
  ...HTTP.map(
    (verb) =>
      [lengthOf(verb), { reason: 'http-request', detail: `an HTTP request, "${verb}…": ${THIS_PORT}` }] as const,
  ),
  ...OTHERS.map(
    ([bytes, name]) => [lengthOf(bytes), { reason: 'foreign-protocol', detail: `${name}: ${THIS_PORT}` }] as const,
  ),
])
const tls: ForeignProtocol = { reason: 'tls-handshake', detail: `a TLS handshake: ${THIS_PORT}, without TLS` }

assert(Math.min(...known.keys(), (TLS_HANDSHAKE << 24) | (TLS_MAJOR << 16)) > BATCH_SIZE_MAX)

/** The protocol that begins with four bytes which, read as a length, are `length`. */
export function foreignProtocol(length: number): ForeignProtocol | undefined {
  if (length >>> 16 === ((TLS_HANDSHAKE << 8) | TLS_MAJOR)) return tls
  return known.get(length)
}

const HTTP_BODY = `${THIS_PORT}. Metrics and health have a port of their own.\n`

/** What an HTTP client is told. */
export const HTTP_ANSWER = [
  'HTTP/1.1 400 Bad Request',
  'Content-Type: text/plain',
  `Content-Length: ${HTTP_BODY.length}`,
  'Connection: close',
  '',
  HTTP_BODY,
].join('\r\n')

function lengthOf(beginning: string): number {
  return Buffer.from(beginning, 'latin1').readUInt32BE(0)
}
