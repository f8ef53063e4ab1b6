/** Where a worker listens: names of its own, resolved once, at its start. */
import { isIP, isIPv4 } from 'node:net'
import { NarvalError } from '../../shared/errors.js'
import { HostNames } from './host-names.js'

/**
 * The address to bind for `host`, an address or a name. Of several addresses the first counts that is of the family by
 * which others know this worker (`knownAs`, a host of the committee file), or else the first of IPv4.
 *
 * @param what names the option or flag, for the error
 * @throws NarvalError ERR_ADDRESS_UNAVAILABLE if a name does not resolve
 */
export async function addressToBind(
  what: string,
  host: string,
  knownAs?: string,
  names = new HostNames(),
): Promise<string> {
  if (isIP(host) !== 0) return host
  const addresses = await names.resolve(host)
  const families = new Set(knownAs === undefined ? [4] : (await names.resolve(knownAs)).map(isIP))
  const wanted = families.has(4) || families.size === 0 ? 4 : 6
  const chosen = addresses.find((address) => isIP(address) === wanted) ?? addresses[0]
  if (chosen !== undefined) return chosen
  throw new NarvalError(
    'ERR_ADDRESS_UNAVAILABLE',
    `${what} ${host}: the name does not resolve (${names.failureOf(host)}): give an address of this machine, or 0.0.0.0 for all`,
  )
}

/**
 * Every interface, in the family of the addresses at which the committee knows this node; of both families if it is known by
 * IPv6 alone at one of them.
 */
export async function everyAddressFor(hosts: readonly string[], names?: HostNames): Promise<string> {
  const areIp6 = await Promise.all([...new Set(hosts)].map((host) => isIp6Host(host, names)))
  return areIp6.includes(true) ? '::' : '0.0.0.0'
}

/** Where listeners bind that were given no address: this machine alone reaches them. */
export async function loopbackFor(host: string, names?: HostNames): Promise<string> {
  return (await isIp6Host(host, names)) ? '::1' : '127.0.0.1'
}

/** Whether a host is reached by IPv6 alone. A name that does not resolve now may be anything: it is taken for IPv4. */
async function isIp6Host(host: string, names = new HostNames()): Promise<boolean> {
  const addresses = await names.resolve(host)
  return addresses.length > 0 && !addresses.some((address) => isIPv4(address))
}
