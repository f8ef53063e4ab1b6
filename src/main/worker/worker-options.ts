/** The door of `startWorker`: its options, checked one by one, with their defaults. */
import { choiceArgument, functionArgument, integerArgument, pathArgument } from '../../shared/arguments.js'
import type { TcpAddress } from '../../shared/config/address.js'
import type { Committee } from '../../shared/config/committee.js'
import { type Keys, keysArgument } from '../../shared/config/keys.js'
import type { Parameters } from '../../shared/config/parameters.js'
import { WORKER_ID_MAX } from '../../shared/constants.js'
import type { BatchReport } from '../../shared/wire/primary-messages.js'
import type { KadOptions } from '../kad/kad-options.js'
import { createLogger, type Logger } from '../lib/log.js'
import type { PeerDiscovery } from '../network/peer-discovery.js'
import {
  committeeArgument,
  commonOptions,
  copiedSeed,
  loggerArgument,
  only,
  optionsArgument,
} from './option-arguments.js'
import { PRIMARY_KINDS, type PrimaryKind } from './primary-kinds.js'

export interface WorkerOptions {
  /** The authority's keys (`readKeys`, `generateKeys`). */
  readonly keys: Keys
  /** The committee (`readCommittee`, `parseCommittee`). */
  readonly committee: Committee
  /** Which of the authority's workers this is. Default: 0. */
  readonly workerId?: number
  /** Directory of the store; made if it is missing. One process at a time. */
  readonly store: string
  /** Those that are not given have the reference's defaults, and ACKs the level `durable`. */
  readonly parameters?: Partial<Parameters>
  /** Seed of the worker's libp2p key, 32 bytes. Default: `networkKeyPath` of the parameters, else derived from the keys. */
  readonly networkKeySeed?: Uint8Array
  /**
   * The address that listeners bind, or a name of it, for other workers, clients and a primary elsewhere. Default: loopback. Workers on
   * other machines need another one: `0.0.0.0` is every interface.
   */
  readonly bind?: string
  /**
   * Whether to take transactions over TCP, on the committee's `transactions` port, from whoever reaches it: there is no
   * authentication. Default: false; `submit()` needs no port.
   */
  readonly clients?: boolean
  /** Where metrics and health are served over HTTP. Default: nowhere. */
  readonly metrics?: TcpAddress
  /** libp2p peer discovery: it only adds addresses to try, trust comes from the committee. */
  readonly peerDiscovery?: PeerDiscovery
  /**
   * Looks for the addresses of other authorities in a distributed hash table, and publishes its own, signed. `bootstrap` are
   * the multiaddrs of bootstrap nodes (`startBootstrap`). The committee may lack addresses then.
   */
  readonly kad?: KadOptions
  /**
   * A primary in this process instead of the one at the committee's address. It is called with each report, which is the
   * reference's message with the batch's author and sequence, in order and
   * with up to 32 calls at a time; a report is delivered when the call returns, or when the promise that it returns
   * resolves. What is not delivered when the worker closes or dies is told again after the next start: at least once. A
   * call that throws or rejects ends the worker: `stopped` rejects with `ERR_PRIMARY_FAILED`. What the primary has to say
   * goes to `toWorker`.
   *
   * Or the kind of primary that is at the committee's address: `reference` (the default), or `narval` (`startPrimary`), to
   * which the worker has a link that only our own keys open, and which says what it orders: no batch is deleted before.
   */
  readonly primary?: PrimaryKind | ((report: BatchReport) => void | Promise<void>)
  /** Log what the reference logs for its benchmark scripts: each batch, and the sample transactions in it. */
  readonly benchmark?: boolean
  /** Default: the reference's format, on stderr, from `info` on. */
  readonly log?: Logger
  /** Closes the worker in order when it is aborted, also while it starts; `startWorker` rejects with `ERR_CLOSED` then. */
  readonly signal?: AbortSignal
  /** For tests: fill freed slots with rubbish, so that one that is used after it was freed is seen. */
  readonly poisonFreedSlots?: boolean
}

/** The options that always have a value, and those that have none by default. */
export type CheckedOptions = Required<Omit<WorkerOptions, OptionalName>> &
  Pick<WorkerOptions, OptionalName> & { readonly parameters: Parameters }

type OptionalName = 'networkKeySeed' | 'bind' | 'metrics' | 'peerDiscovery' | 'kad' | 'primary' | 'signal'

const NAMES = [
  'keys',
  'committee',
  'workerId',
  'store',
  'parameters',
  'networkKeySeed',
  'bind',
  'clients',
  'metrics',
  'peerDiscovery',
  'kad',
  'primary',
  'benchmark',
  'log',
  'signal',
  'poisonFreedSlots',
] as const satisfies readonly (keyof WorkerOptions)[]

/** Errors: `TypeError` and `RangeError`, which name the option; `ERR_PARAMETERS_MALFORMED` for what is in `parameters`. */
export function checkWorkerOptions(options: unknown): CheckedOptions {
  const { given, optional } = optionsArgument(options, NAMES, 'startWorker')
  const { keys, committee, store } = given
  return {
    keys: keysArgument('keys', keys),
    committee: committeeArgument('committee', committee),
    store: pathArgument('store', store),
    workerId: optional('workerId', (name, value) => integerArgument(name, value, 0, WORKER_ID_MAX)) ?? 0,
    ...commonOptions(optional),
    log: optional('log', loggerArgument) ?? createLogger('narval::worker', 'info'),
    ...only('networkKeySeed', optional('networkKeySeed', copiedSeed)),
    ...only('primary', optional('primary', primaryArgument)),
  }
}

function primaryArgument(name: string, value: unknown): NonNullable<WorkerOptions['primary']> {
  if (typeof value === 'string') return choiceArgument(name, value, PRIMARY_KINDS)
  return functionArgument<(report: BatchReport) => void | Promise<void>>(name, value)
}
