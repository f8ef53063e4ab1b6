/** Reads what stands in an address: numbers, cursors, digests. What is wrong is refused by name. Pure. */
import { NarvalError } from '../../../shared/errors.js'

export function wrongQuery(name: string, expected: string, found: unknown): NarvalError {
  const shown = JSON.stringify(found)?.slice(0, 80)
  return new NarvalError('ERR_REQUEST_MALFORMED', `${name}: expected ${expected}, found ${shown}`)
}

/** @throws NarvalError ERR_REQUEST_MALFORMED */
export function wholeNumber(name: string, text: unknown, min: number, max: number): number {
  const value = typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw wrongQuery(name, `a whole number from ${min} to ${max}`, text)
}

/** @throws NarvalError ERR_REQUEST_MALFORMED */
export function hexDigest(name: string, text: unknown): Uint8Array {
  if (typeof text === 'string' && /^[\da-f]{64}$/.test(text)) return new Uint8Array(Buffer.from(text, 'hex'))
  throw wrongQuery(name, '64 characters of hex, in small letters', text)
}

/** @throws NarvalError ERR_REQUEST_MALFORMED */
export function flag(name: string, text: unknown): boolean {
  if (text === undefined || text === 'false') return false
  if (text === 'true') return true
  throw wrongQuery(name, 'true or false', text)
}

/** Refuses what a route does not know: a name that is misspelt is not passed over. @throws NarvalError */
export function knownQuery(query: unknown, names: readonly string[]): Record<string, unknown> {
  const given = query as Record<string, unknown>
  const unknown = Object.keys(given).find((name) => !names.includes(name))
  if (unknown === undefined) return given
  const known = names.length === 0 ? 'nothing' : names.join(', ')
  throw new NarvalError('ERR_REQUEST_MALFORMED', `${unknown.slice(0, 80)}: unknown here, where there is ${known}`)
}
