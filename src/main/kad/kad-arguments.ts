/** The door of what a caller says of the hash table. */
import { arrayArgument, objectArgument, refuseUnknownKeys, textArgument } from '../../shared/arguments.js'
import { BOOTSTRAP_FORM, type KadOptions, parseBootstrap } from './kad-options.js'
import { KAD_BOOTSTRAP_MAX } from './limits.js'

/** Errors: `TypeError` and `RangeError`, which name the option. */
export function kadArgument(name: string, value: unknown): KadOptions {
  const options = objectArgument(name, value, '{ bootstrap }')
  refuseUnknownKeys(name, options, ['bootstrap'])
  const bootstrap = bootstrapsArgument(`${name}.bootstrap`, options.bootstrap)
  if (bootstrap.length === 0)
    throw new RangeError(`${name}.bootstrap: expected the address of a bootstrap node at least`)
  return { bootstrap }
}

/** Addresses of bootstrap nodes, as libp2p takes them. */
export function bootstrapsArgument(name: string, value: unknown): string[] {
  return arrayArgument(name, value, KAD_BOOTSTRAP_MAX).map((text, index) => {
    const address = parseBootstrap(textArgument(`${name}[${index}]`, text))
    if (address === undefined) throw new RangeError(`${name}[${index}]: expected ${BOOTSTRAP_FORM}`)
    return address
  })
}
