/** Where others may reach this node, as its hello and its published record say. Pure. */
import { parseLibp2pAddress } from '../../shared/config/address.js'
import { ADDRESS_RECORD_ADDRESSES_MAX } from '../../shared/constants.js'
import { plainHost } from '../../shared/wire/source-address.js'
import { isSpecialHost } from './special-hosts.js'

/**
 * What the committee file says of this node, and nothing else. If it says nothing, all that the node listens on, without
 * addresses that mean something else on each machine; such a one is said only if the user has named its host for others to
 * be found at (`trustedHosts`): then all are on this machine.
 */
export function ownAddresses(
  listed: string | undefined,
  listening: readonly string[],
  trustedHosts: ReadonlySet<string>,
): string[] {
  if (listed !== undefined) return [listed]
  const found = listening.flatMap((text) => {
    const address = parseLibp2pAddress(text)
    if (address === undefined) return []
    const host = plainHost(address.host)
    return isSpecialHost(host) && !trustedHosts.has(host) ? [] : [address.multiaddr]
  })
  return [...new Set(found)].slice(0, ADDRESS_RECORD_ADDRESSES_MAX)
}
