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
import { METRICS_ADDRESS_FORM, parseMetricsAddress } from '../http/http-address.js'

/** A parser of integers from `min` to `max`. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d{1,16}$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected an integer from ${min} to ${max}.`)
  }
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

/** For a flag that takes several. */
export function tcpAddresses(text: string, previous: readonly TcpAddress[] = []): TcpAddress[] {
  return [...previous, tcpAddress(text)]
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
