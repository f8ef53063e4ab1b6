/** The door of `startAuthority`: its options, checked one by one, with their defaults. */
import { booleanArgument, choiceArgument, pathArgument } from '../../shared/arguments.js'
import type { TcpAddress } from '../../shared/config/address.js'
import type { Committee } from '../../shared/config/committee.js'
import { type Keys, keysArgument } from '../../shared/config/keys.js'
import type { Parameters } from '../../shared/config/parameters.js'
import { NarvalError } from '../../shared/errors.js'
import { hostWithoutToken, originsArgument, tokenArgument } from '../gateway/gateway-options.js'
import type { KadOptions } from '../kad/kad-options.js'
import { createLogger, type Logger } from '../lib/log.js'
import type { PeerDiscovery } from '../network/peer-discovery.js'
import {
  addressArgument,
  committeeArgument,
  commonOptions,
  loggerArgument,
  only,
  optionsArgument,
} from '../worker/option-arguments.js'
import { GC_DEPTH_ROUNDS_MIN } from './limits.js'
import { RULES, type Rule } from './rules.js'

export interface AuthorityOptions {
  /** The authority's keys (`readKeys`, `generateKeys`). */
  readonly keys: Keys
  /** The committee (`readCommittee`, `parseCommittee`). All of our workers in it run here. */
  readonly committee: Committee
  /**
   * Directory of the stores, made if it is missing: `primary`, and `worker-N` for each worker. One process at a time. Keys
   * that have never been used want `markFresh` first, or a quorum of the others has to answer before anything is signed.
   */
  readonly store: string
  /** Those that are not given have their defaults. `gcDepthRounds` and the rule must be the same in the committee. */
  readonly parameters?: Partial<Parameters>
  /** Default: `shoal`. The same in the whole committee, for as long as its log lasts. */
  readonly rule?: Rule
  /**
   * The primary's store may be older than what this authority has signed since, as one from a backup is. Nothing is signed
   * until a quorum of the others has answered. Default: false. A store that is new and not marked fresh counts as such.
   */
  readonly recovered?: boolean
  /**
   * The address that listeners bind, or a name of it, for other primaries, other workers and clients. Default: loopback.
   * Authorities on other machines need another one: `0.0.0.0` is every interface.
   */
  readonly bind?: string
  /**
   * Whether to take transactions over TCP, on the `transactions` ports of our workers, from whoever reaches them: there is
   * no authentication. Default: false; `submit()` needs no port.
   */
  readonly clients?: boolean
  /** Where metrics and health are served over HTTP. Default: nowhere. */
  readonly metrics?: TcpAddress
  /**
   * Where the gateway answers applications over HTTP: the order as events, commits, checkpoints, state. Default: nowhere. An
   * address that other machines reach wants an `apiToken`.
   */
  readonly api?: TcpAddress
  /** What each request to the gateway has to carry, as `Authorization: Bearer`. Default: nothing. */
  readonly apiToken?: string
  /** Origins of web pages that may call the gateway, as `https://app.example.org`, or `*`. Default: none. */
  readonly apiOrigins?: readonly string[]
  /** libp2p peer discovery for the primary and the workers: it only adds addresses to try, trust comes from the committee. */
  readonly peerDiscovery?: PeerDiscovery
  /**
   * Looks for the addresses of other authorities in a distributed hash table, and publishes its own, signed. `bootstrap` are
   * the multiaddrs of bootstrap nodes (`startBootstrap`). The committee may lack addresses then.
   */
  readonly kad?: KadOptions
  /** Log what the reference logs for its benchmark scripts. */
  readonly benchmark?: boolean
  /** Default: the reference's format, on stderr, from `info` on. */
  readonly log?: Logger
  /** Closes the authority in order when it is aborted, also while it starts; `startAuthority` rejects with `ERR_CLOSED` then. */
  readonly signal?: AbortSignal
  /** For tests: fill freed slots with rubbish, so that one that is used after it was freed is seen. */
  readonly poisonFreedSlots?: boolean
}

type OptionalName = 'bind' | 'metrics' | 'api' | 'apiToken' | 'peerDiscovery' | 'kad' | 'signal'

/** The options that always have a value, and those that have none by default. */
export type CheckedAuthorityOptions = Required<Omit<AuthorityOptions, OptionalName>> &
  Pick<AuthorityOptions, OptionalName> & {
    readonly parameters: Parameters
    /** Our place in the committee. */
    readonly ownIndex: number
  }

const NAMES = [
  'keys',
  'committee',
  'store',
  'parameters',
  'rule',
  'recovered',
  'bind',
  'clients',
  'metrics',
  'api',
  'apiToken',
  'apiOrigins',
  'peerDiscovery',
  'kad',
  'benchmark',
  'log',
  'signal',
  'poisonFreedSlots',
] as const satisfies readonly (keyof AuthorityOptions)[]

/** Those of a primary alone: what its workers take is theirs, and batches are with them. */
const NOT_OF_PRIMARY: readonly string[] = ['clients', 'poisonFreedSlots', 'api', 'apiToken', 'apiOrigins']
const PRIMARY_NAMES = NAMES.filter((name) => !NOT_OF_PRIMARY.includes(name))

/**
 * Errors: `TypeError` and `RangeError`, which name the option; `ERR_PARAMETERS_MALFORMED` for what is in `parameters`;
 * `ERR_NOT_IN_COMMITTEE` for keys or workers that the committee does not have.
 */
export function checkAuthorityOptions(options: unknown): CheckedAuthorityOptions {
  return checked(options, NAMES, 'startAuthority')
}

/** The same for a primary whose workers are other processes. */
export function checkPrimaryOptions(options: unknown): CheckedAuthorityOptions {
  return checked(options, PRIMARY_NAMES, 'startPrimary')
}

function checked(
  options: unknown,
  names: readonly (keyof AuthorityOptions)[],
  whose: 'startAuthority' | 'startPrimary',
): CheckedAuthorityOptions {
  const { given, optional } = optionsArgument(options, names, whose)
  const keys = keysArgument('keys', given.keys)
  const committee = committeeArgument('committee', given.committee)
  const common = commonOptions(optional)
  const ownIndex = committee.ownIndexOf(keys)
  checkWorkers(committee, ownIndex, common.parameters)
  checkRounds(common.parameters)
  const api = optional('api', addressArgument)
  const apiToken = optional('apiToken', tokenArgument)
  demandToken(api, apiToken)
  return {
    keys,
    committee,
    ownIndex,
    ...common,
    ...only('api', api),
    ...only('apiToken', apiToken),
    apiOrigins: optional('apiOrigins', originsArgument) ?? [],
    store: pathArgument('store', given.store),
    rule: optional('rule', (name, value) => choiceArgument(name, value, RULES)) ?? RULES[0],
    recovered: optional('recovered', booleanArgument) ?? false,
    log:
      optional('log', loggerArgument) ??
      createLogger(whose === 'startAuthority' ? 'narval::authority' : 'narval::primary', 'info'),
  }
}

function demandToken(api: TcpAddress | undefined, token: string | undefined): void {
  const host = hostWithoutToken(api, token)
  if (host === undefined) return
  throw new RangeError(`api: other machines may reach ${host}: give an apiToken (--api-token), or 127.0.0.1`)
}

/** A worker stores the batches of the others' workers with its id. What nobody here stores could be ordered and never read. */
function checkWorkers(committee: Committee, ownIndex: number, parameters: Parameters): void {
  const own = committee.authority(ownIndex).workers
  for (const { name, workers } of committee.authorities) {
    const lacking = [...workers.keys()].find((id) => !own.has(id))
    if (lacking === undefined) continue
    throw new NarvalError(
      'ERR_NOT_IN_COMMITTEE',
      `authorities.${name} has a worker ${lacking}, and we have the workers ${[...own.keys()].join(', ')}: each authority needs a worker of each id, to store the batches of the others with that id`,
    )
  }
  if (own.size > 1 && parameters.networkKeyPath !== undefined) {
    throw new NarvalError(
      'ERR_PARAMETERS_MALFORMED',
      `parameters: networkKeyPath (network_key): one key for ${own.size} workers: leave it out, and each has one of its own`,
    )
  }
}

/** Headers carry no batches when the order is more than `gc_depth` rounds behind: that is a few of them at all times. */
function checkRounds({ gcDepthRounds }: Parameters): void {
  if (gcDepthRounds >= GC_DEPTH_ROUNDS_MIN) return
  throw new NarvalError(
    'ERR_PARAMETERS_MALFORMED',
    `parameters: gcDepthRounds (gc_depth): ${gcDepthRounds} rounds, an authority needs ${GC_DEPTH_ROUNDS_MIN} at least: with fewer nothing would be ordered as soon as a round is slow`,
  )
}
