/**
 * The addresses of a committee file and of the command line. The reference knows `ip:port` only, numeric; here the host may
 * be a name as well. A worker's `worker_to_worker` may also be a multiaddr over TCP, with the peer id that the worker
 * must have.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { MULTIADDR_CHARS_MAX } from './limits.js'

export interface TcpAddress {
  /** An IPv4 or IPv6 address, without brackets, or a name in small letters. */
  readonly host: string
  readonly port: number
}

export interface Libp2pAddress {
  /** `/ip4/…/tcp/…` and the like, without a peer id. */
  readonly multiaddr: string
  /** The host and port in it: a node listens on that port. The host may be a name. */
  readonly host: string
  readonly port: number
  /** The PeerId that the worker there must have, if the file names one. */
  readonly peerId?: string
}

export const TCP_ADDRESS_FORM = 'host:port, as 10.0.0.7:4000, [fd00::7]:4000 or worker-2.example.org:4000'
export const LIBP2P_ADDRESS_FORM =
  'host:port, as 10.0.0.7:4000, or a multiaddr /ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT that may end in /p2p/PEERID'
export const HOST_FORM = 'an IP address or a name, as 127.0.0.1, ::1 or localhost'

const HOST_PORT = /^(?:([^:[\]]+)|\[([\da-fA-F:.]+)\]):(\d{1,5})$/
const MULTIADDR = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/p2p\/([^/]+))?$/
const NAME = /^(?=.{1,253}$)(?!-)[\w-]{1,63}(?:\.(?!-)[\w-]{1,63})*\.?$/
/** `10.1`, `10.0.0.256`, `0x7f.1`: what ends in a number is meant as an IPv4 address, and a resolver may take it for one. */
const ENDS_IN_NUMBER = /(?:^|\.)(?:\d+|0x[\da-f]*)\.?$/i

export function parseTcpAddress(text: string): TcpAddress | undefined {
  const [, plain, bracketed, digits] = HOST_PORT.exec(text) ?? []
  const port = parsePort(digits)
  const host = parseHostText(plain ?? bracketed ?? '')
  if (port === undefined || host === undefined || isIPv6(host) !== (bracketed !== undefined)) return undefined
  return { host, port }
}

/** An IP address without brackets, or a name. */
export function parseHostText(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (isIPv6(text)) return text.includes('%') ? undefined : canonicalIp6(text)
  return parseName(text)
}

export function parseLibp2pAddress(text: string): Libp2pAddress | undefined {
  if (text.length > MULTIADDR_CHARS_MAX) return undefined
  if (!text.startsWith('/')) {
    const tcp = parseTcpAddress(text)
    if (tcp === undefined) return undefined
    return { ...tcp, multiaddr: `/${protocolOf(tcp.host)}/${tcp.host}/tcp/${tcp.port}` }
  }
  const [, protocol, name, digits, peerId] = MULTIADDR.exec(text) ?? []
  const port = parsePort(digits)
  const host = name === undefined ? undefined : parseHost(protocol as string, name)
  if (port === undefined || host === undefined) return undefined
  const address = { multiaddr: `/${protocol}/${host}/tcp/${port}`, host, port }
  if (peerId === undefined) return address
  return parsePeerId(peerId) === undefined ? undefined : { ...address, peerId }
}

/** A PeerId in base58btc, the form that libp2p prints: `12D3KooW…`, `16Uiu2H…`, `Qm…`. */
export function parsePeerId(text: string): string | undefined {
  return /^(?:1|Qm)[1-9A-HJ-NP-Za-km-z]{40,70}$/.test(text) ? text : undefined
}

/** `host:port`, with brackets where a host needs them. */
export function formatTcpAddress(address: TcpAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

function parsePort(digits: string | undefined): number | undefined {
  const port = Number(digits)
  return port >= 1 && port <= 65_535 ? port : undefined
}

function parseHost(protocol: string, name: string): string | undefined {
  if (protocol === 'ip4') return isIPv4(name) ? name : undefined
  if (protocol === 'ip6') return isIPv6(name) && !name.includes('%') ? canonicalIp6(name) : undefined
  return parseName(name)
}

function parseName(text: string): string | undefined {
  return NAME.test(text) && !ENDS_IN_NUMBER.test(text) ? text.toLowerCase() : undefined
}

/** The protocol of a host in a multiaddr. */
export function protocolOf(host: string): 'ip4' | 'ip6' | 'dns' {
  return isIPv4(host) ? 'ip4' : isIPv6(host) ? 'ip6' : 'dns'
}

/** One text per address, so that equal ones are seen to be equal. */
function canonicalIp6(ip: string): string {
  return new URL(`tcp://[${ip}]`).hostname.slice(1, -1)
}
