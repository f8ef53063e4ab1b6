/** Reads the values of flags. What is wrong is a usage error, with the form that is expected. */
import { InvalidArgumentError } from 'commander'
import {
  HOST_FORM,
  parseHostText,
  parseTcpAddress,
  TCP_ADDRESS_FORM,
  type TcpAddress,
} from '../../shared/config/address.js'
import { DIGEST_BYTES } from '../../shared/constants.js'
import { decodeBase64 } from '../../shared/crypto/public-key.js'
import { API_ADDRESS_FORM, parseApiAddress } from '../gateway/gateway-options.js'
import { METRICS_ADDRESS_FORM, parseMetricsAddress } from '../http/http-address.js'
import { BOOTSTRAP_FORM, parseBootstrap } from '../kad/kad-options.js'
import { KAD_BOOTSTRAP_MAX } from '../kad/limits.js'

/** A parser of integers from `min` to `max`. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d{1,16}$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected an integer from ${min} to ${max}.`)
  }
}

/** Of a file or a directory. A shell makes an empty one of a variable that is not set. */
export function path(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('Expected a path, which is not empty.')
}

export function tcpAddress(text: string): TcpAddress {
  const address = parseTcpAddress(text)
  if (address !== undefined) return address
  throw new InvalidArgumentError(`Expected ${TCP_ADDRESS_FORM}.`)
}

export function metricsAddress(text: string): TcpAddress {
  const address = parseMetricsAddress(text)
  if (address !== undefined) return address
  throw new InvalidArgumentError(`Expected ${METRICS_ADDRESS_FORM}.`)
}

export function apiAddress(text: string): TcpAddress {
  const address = parseApiAddress(text)
  if (address !== undefined) return address
  throw new InvalidArgumentError(`Expected ${API_ADDRESS_FORM}.`)
}

/** For a flag that takes several. */
export function tcpAddresses(text: string, previous: readonly TcpAddress[] = []): TcpAddress[] {
  return [...previous, tcpAddress(text)]
}

/** Addresses of bootstrap nodes: one each time that the flag is given. */
export function bootstraps(text: string, previous: readonly string[] = []): string[] {
  const address = parseBootstrap(text)
  if (address === undefined) throw new InvalidArgumentError(`Expected ${BOOTSTRAP_FORM}.`)
  if (previous.length >= KAD_BOOTSTRAP_MAX) throw new InvalidArgumentError(`At most ${KAD_BOOTSTRAP_MAX} are taken.`)
  return [...previous, address]
}

export function host(text: string): string {
  const parsed = parseHostText(text)
  if (parsed !== undefined) return parsed
  throw new InvalidArgumentError(`Expected ${HOST_FORM}.`)
}

/** A digest as logs show it, in base64, or in hex. */
export function digest(text: string): Uint8Array {
  if (/^[\da-f]{64}$/i.test(text)) return new Uint8Array(Buffer.from(text, 'hex'))
  const bytes = decodeBase64(text, DIGEST_BYTES)
  if (bytes !== undefined) return bytes
  throw new InvalidArgumentError('Expected a digest: 44 characters of base64 as in the log, or 64 of hex.')
}

/** Counts a flag that may be given several times. */
export function increase(_: string, previous: number): number {
  return previous + 1
}
