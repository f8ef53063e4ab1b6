/** Dials the bootstrap nodes that a user has named. */
import type { Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { HostNames } from '../names/host-names.js'
import { hostOf, numericAddresses } from '../network/dialable.js'
import type { DialBudget } from './dial-budget.js'
import { KAD_DIAL_TIMEOUT_MS } from './limits.js'

export interface DialBootstrapsDependencies {
  readonly dials: DialBudget
  readonly names: HostNames
  readonly signal: AbortSignal
}

/** Dials all of them at once; each address of a name. How many answered. Never rejects. */
export async function dialBootstraps(
  node: Libp2p,
  bootstrap: readonly string[],
  { dials, names, signal }: DialBootstrapsDependencies,
): Promise<number> {
  const resolve = async (address: string): Promise<readonly string[]> => {
    const host = hostOf(address)
    return host === undefined ? [address] : numericAddresses(address, await names.resolve(host), true)
  }
  const resolved = await Promise.all(bootstrap.map(resolve))
  dials.trust(resolved.flat())
  const dial = async (places: readonly string[]): Promise<boolean> => {
    for (const place of places) {
      if (signal.aborted) return false
      // The addresses of a name share the time of one.
      const timeout = AbortSignal.timeout(Math.ceil(KAD_DIAL_TIMEOUT_MS / places.length))
      const connection = await node.dial(multiaddr(place), { signal: timeout }).catch(() => undefined)
      if (connection !== undefined) return true
    }
    return false
  }
  const reached = await Promise.all(resolved.map(dial))
  return reached.filter(Boolean).length
}
