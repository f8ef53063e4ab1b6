/**
 * Whose address a connection comes from, for shares: places and bytes that strangers use are divided by source.
 *
 * A host on IPv6 commonly has a whole /64 to choose its addresses from, so the /64 is one source. An IPv4 address that
 * a socket of both families shows as `::ffff:a.b.c.d` is that IPv4 address.
 */

const GROUPS = 8
/** The groups of 16 bits in the first 64 bits. */
const GROUPS_OF_SOURCE = 4

/** The source of a `remoteAddress`. One that is not known any more, because the socket is gone, is a source as well. */
export function sourceOf(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  if (!address.includes(':')) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped !== null) return mapped[1]!
  const [plain = ''] = address.split('%')
  const groups = groupsOf(plain).slice(0, GROUPS_OF_SOURCE)
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`
}

/** All eight groups of an IPv6 address. Where it ends like an IPv4 address, its last two are not those of the address. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = address.replace(/\d+\.\d+\.\d+\.\d+$/, '0:0').split('::')
  const before = head === '' ? [] : head.split(':')
  if (tail === undefined) return before
  const after = tail === '' ? [] : tail.split(':')
  return [...before, ...Array<string>(Math.max(0, GROUPS - before.length - after.length)).fill('0'), ...after]
}
