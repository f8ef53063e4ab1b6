/**
 * Whose address a connection comes from, for shares: places and bytes that strangers use are divided by source. Pure.
 *
 * A host on IPv6 commonly has a whole /64 to choose its addresses from, so the /64 is one source. An IPv4 address that
 * a socket of both families shows as `::ffff:a.b.c.d` is that IPv4 address.
 */
import { isIP, isIPv4 } from 'node:net'

/**
 * The source of a `remoteAddress`. A socket that is gone has no address any more: all such sockets count as one source.
 */
export function sourceOf(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  const plain = plainHost(address)
  if (isIP(plain) !== 6) return plain
  return `${groupsOf(plain)
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** One text per host: without a zone, in small letters, and IPv4 where an IPv6 address stands for it. */
export function plainHost(host: string): string {
  const [address] = host.split('%') as [string]
  if (isIP(address) !== 6) return address.toLowerCase()
  const groups = groupsOf(address)
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (!mapped) return groups.map((group) => group.toString(16)).join(':')
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.')
}

/** Whether a host is this machine to itself: an address of loopback, or the one name that always stands for it. */
export function isLoopback(host: string): boolean {
  const plain = plainHost(host)
  if (isIPv4(plain)) return plain.startsWith('127.')
  return plain === 'localhost' || plain === '0:0:0:0:0:0:0:1'
}

/** The eight groups of an IPv6 address. */
export function groupsOf(address: string): number[] {
  const tail = address.slice(address.lastIndexOf(':') + 1)
  let text = address
  if (isIPv4(tail)) {
    const [a, b, c, d] = tail.split('.').map(Number) as [number, number, number, number]
    const pair = [(a << 8) | b, (c << 8) | d].map((group) => group.toString(16)).join(':')
    text = `${address.slice(0, -tail.length)}${pair}`
  }
  const [head, rest] = text.split('::') as [string, string | undefined]
  const left = head === '' ? [] : head.split(':')
  const right = rest === undefined || rest === '' ? [] : rest.split(':')
  const zeros = rest === undefined ? 0 : 8 - left.length - right.length
  return [...left, ...Array<string>(zeros).fill('0'), ...right].map((group) => Number.parseInt(group, 16))
}
