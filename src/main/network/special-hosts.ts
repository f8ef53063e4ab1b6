/** Hosts that mean something else on each machine. Pure. */
import { isIP } from 'node:net'
import { groupsOf, plainHost } from '../../shared/wire/source-address.js'

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
