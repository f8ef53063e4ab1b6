/** The options of the gateway, checked. */
import { arrayArgument, textArgument } from '../../shared/arguments.js'
import { parseTcpAddress, type TcpAddress } from '../../shared/config/address.js'
import { readTextFile } from '../../shared/config/config-file.js'
import { NarvalError } from '../../shared/errors.js'
import { isLoopback } from '../../shared/wire/source-address.js'
import { ORIGINS_MAX, TOKEN_BYTES_MAX, TOKEN_BYTES_MIN } from './limits.js'

export const API_ADDRESS_FORM =
  'host:port, as 127.0.0.1:3000, [::1]:3000 or localhost:3000, or :3000 for 127.0.0.1:3000'

/** A port alone is that of loopback. */
export function parseApiAddress(text: string): TcpAddress | undefined {
  return parseTcpAddress(text.startsWith(':') ? `127.0.0.1${text}` : text)
}

export function tokenArgument(name: string, value: unknown): string {
  const token = textArgument(name, value)
  if (isToken(token)) return token
  throw new RangeError(`${name}: expected ${TOKEN_FORM}`)
}

export function originsArgument(name: string, value: unknown): readonly string[] {
  return arrayArgument(name, value, ORIGINS_MAX).map((origin, at) => {
    const text = textArgument(`${name}[${at}]`, origin)
    if (text === '*' || isOrigin(text)) return text
    throw new RangeError(`${name}[${at}]: expected an origin, as https://app.example.org, or *`)
  })
}

/** The token of a file. @throws NarvalError ERR_FILE_MISSING, ERR_FILE_UNREADABLE, ERR_FILE_MALFORMED */
export function readToken(path: string): string {
  const token = readTextFile(path, 'file with the token of --api', 'make one, as with `openssl rand -hex 32`').trim()
  if (isToken(token)) return token
  throw new NarvalError('ERR_FILE_MALFORMED', `${path}: expected ${TOKEN_FORM}, as \`openssl rand -hex 32\` makes`)
}

/** The host that other machines may reach and that has no token: whoever reaches it can read all that is ordered. */
export function hostWithoutToken(api: TcpAddress | undefined, token: string | undefined): string | undefined {
  return api === undefined || token !== undefined || isLoopback(api.host) ? undefined : api.host
}

const TOKEN_FORM = `a token of ${TOKEN_BYTES_MIN} to ${TOKEN_BYTES_MAX} letters, digits and signs, without spaces`

function isToken(text: string): boolean {
  return text.length >= TOKEN_BYTES_MIN && text.length <= TOKEN_BYTES_MAX && /^[\x21-\x7e]+$/.test(text)
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}
