/** Checks of the options that a worker and an authority share; behind them, values are what their types say. */
import {
  arrayArgument,
  booleanArgument,
  bytesArgument,
  functionArgument,
  integerArgument,
  objectArgument,
  refuseUnknownKeys,
  textArgument,
  wrongType,
} from '../../shared/arguments.js'
import { HOST_FORM, parseHostText, type TcpAddress } from '../../shared/config/address.js'
import { type Committee, parseCommittee } from '../../shared/config/committee.js'
import { committeeFileOf } from '../../shared/config/committee-file.js'
import { checkParameters } from '../../shared/config/parameters.js'
import { SEED_BYTES } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import { kadArgument } from '../kad/kad-arguments.js'
import { LOG_LEVELS, type Logger } from '../lib/log.js'
import type { PeerDiscovery } from '../network/peer-discovery.js'
import { PEER_DISCOVERY_MAX } from './limits.js'

/** Reads one option that may be left out; `undefined` leaves it out too. */
export type Optional<Name extends string> = <T>(name: Name, check: (name: string, value: unknown) => T) => T | undefined

/** The options of a call: those of these names, and no others. */
export function optionsArgument<const Name extends string>(
  value: unknown,
  names: readonly Name[],
  whose: string,
): { readonly given: Readonly<Record<Name, unknown>>; readonly optional: Optional<Name> } {
  const given = objectArgument('options', value, `the options of ${whose}`)
  refuseUnknownKeys('options', given, names)
  return {
    given: given as Record<Name, unknown>,
    optional: (name, check) => (given[name] === undefined ? undefined : check(name, given[name])),
  }
}

/** The options that a worker and an authority have in common and may be left out, with their defaults. */
export function commonOptions(optional: Optional<CommonName>) {
  return {
    parameters: checkParameters(optional('parameters', objectArgument) ?? {}, 'parameters'),
    clients: optional('clients', booleanArgument) ?? false,
    benchmark: optional('benchmark', booleanArgument) ?? false,
    poisonFreedSlots: optional('poisonFreedSlots', booleanArgument) ?? false,
    ...only('bind', optional('bind', hostArgument)),
    ...only('metrics', optional('metrics', addressArgument)),
    ...only('peerDiscovery', optional('peerDiscovery', discoveryArgument)),
    ...only('kad', optional('kad', kadArgument)),
    ...only('signal', optional('signal', signalArgument)),
  }
}

type CommonName =
  | 'parameters'
  | 'clients'
  | 'benchmark'
  | 'poisonFreedSlots'
  | 'bind'
  | 'metrics'
  | 'peerDiscovery'
  | 'kad'
  | 'signal'

/** An option as a part of an object: none if it has no value. */
export function only<K extends string, T>(name: K, value: T | undefined): { readonly [P in K]?: T } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [P in K]?: T }
}

/**
 * A committee is taken to pieces and made anew: one that came over `postMessage` or JSON has lost its methods, and one
 * that was put together by hand may lack anything.
 */
export function committeeArgument(name: string, value: unknown): Committee {
  const expected = 'a committee, as readCommittee and parseCommittee give it'
  const { authorities, indexOf } = objectArgument(name, value, expected)
  if (!Array.isArray(authorities) || typeof indexOf !== 'function') throw wrongType(name, expected, value)
  try {
    return parseCommittee(committeeFileOf(value as Committee), name)
  } catch (error) {
    if (error instanceof NarvalError) throw error
    throw new TypeError(`${name}: expected ${expected}: ${(error as Error).message}`, { cause: error })
  }
}

export function copiedSeed(name: string, value: unknown): Uint8Array {
  return new Uint8Array(bytesArgument(name, value, SEED_BYTES))
}

export function hostArgument(name: string, value: unknown): string {
  const host = parseHostText(textArgument(name, value))
  if (host === undefined) throw new RangeError(`${name}: expected ${HOST_FORM}, without brackets and port`)
  return host
}

export function addressArgument(name: string, value: unknown): TcpAddress {
  const address = objectArgument(name, value, '{ host, port }')
  refuseUnknownKeys(name, address, ['host', 'port'])
  return {
    host: hostArgument(`${name}.host`, address.host),
    port: integerArgument(`${name}.port`, address.port, 1, 65_535),
  }
}

export function discoveryArgument(name: string, value: unknown): PeerDiscovery {
  const modules = arrayArgument(name, value, PEER_DISCOVERY_MAX)
  return modules.map((module, index) => functionArgument(`${name}[${index}]`, module)) as PeerDiscovery
}

export function signalArgument(name: string, value: unknown): AbortSignal {
  if (value instanceof AbortSignal) return value
  throw wrongType(name, 'an AbortSignal', value)
}

export function loggerArgument(name: string, value: unknown): Logger {
  if (typeof value !== 'object' || value === null)
    throw wrongType(name, `an object with ${LOG_LEVELS.join(', ')}`, value)
  for (const level of LOG_LEVELS) functionArgument(`${name}.${level}`, (value as Record<string, unknown>)[level])
  return value as Logger
}
