/** Hosts, as the network counts and judges them. Pure. */
import { isIP, isIPv4 } from 'node:net'

/**
 * Where a connection comes from, as shares are counted: an IPv4 address, or the first 64 bits of an IPv6 address, since
 * whoever has one address of a /64 has them all. An IPv4 address that is written as an IPv6 one is the IPv4 address.
 */
export function sourceOf(host: string): string {
  const plain = plainHost(host)
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

/**
 * Whether a host means something else on each machine, or many machines at once: the machine itself, its link (where a
 * cloud's metadata service is), nobody, everybody. A peer has no reason to name such a host unless the committee does.
 */
export function isSpecialHost(host: string): boolean {
  const plain = plainHost(host)
  switch (isIP(plain)) {
    case 4:
      return isSpecialIp4(plain)
    case 6:
      return isSpecialIp6(groupsOf(plain))
    default:
      return plain === 'localhost' || plain.endsWith('.localhost')
  }
}

/** AWS's metadata service over IPv6, which is not on the link. */
const METADATA_IP6 = 'fd00:ec2:0:0:0:0:0:254'

function isSpecialIp4(address: string): boolean {
  const [a, b] = address.split('.').map(Number) as [number, number]
  // This network, loopback, the link; multicast and what is above it, broadcast too.
  return a === 0 || a === 127 || (a === 169 && b === 254) || a >= 224 || address === '100.100.100.200'
}

function isSpecialIp6(groups: readonly number[]): boolean {
  const first = groups[0]!
  const isLow = groups.slice(0, 7).every((group) => group === 0) && groups[7]! <= 1
  const isLinkLocal = (first & 0xffc0) === 0xfe80
  const isMulticast = (first & 0xff00) === 0xff00
  // `::a.b.c.d`, and the well-known prefix of NAT64: an IPv4 address in disguise.
  const isCompatible = groups.slice(0, 6).every((group) => group === 0)
  const isTranslated = first === 0x64 && groups[1] === 0xff9b
  const isMetadata = groups.map((group) => group.toString(16)).join(':') === METADATA_IP6
  return isLow || isLinkLocal || isMulticast || isCompatible || isTranslated || isMetadata
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
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
