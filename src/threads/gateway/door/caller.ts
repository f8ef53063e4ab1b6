/**
 * Who may call. With a token, who has it. Without one, whoever reaches loopback, and no page of another site: a browser that
 * was led here by a foreign name says that name in `Host`. Pure.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { NarvalError } from '../../../shared/errors.js'

/** @throws NarvalError ERR_UNAUTHORIZED, ERR_HOST_FOREIGN */
export function checkCaller(
  headers: { readonly host?: string | undefined; readonly authorization?: string | undefined },
  token: string | undefined,
): void {
  if (token === undefined) {
    if (!isOwnHost(headers.host)) {
      throw new NarvalError('ERR_HOST_FOREIGN', 'without a token it is to be called by an address or as localhost')
    }
    return
  }
  const given = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
  // Of equal length, and compared in the same time whatever was given.
  if (given !== undefined && timingSafeEqual(hash(given), hash(token))) return
  throw new NarvalError(
    'ERR_UNAUTHORIZED',
    'expected the header `Authorization: Bearer TOKEN`, with the token of this gateway',
  )
}

function isOwnHost(host: string | undefined): boolean {
  if (host === undefined) return false
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
  return name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
