/** A bootstrap node as a library: `startBootstrap(options)`. The command line is a thin user of it. */
import 'core-js/actual/promise/with-resolvers.js'
import type { TcpAddress } from '../../shared/config/address.js'
import type { Committee } from '../../shared/config/committee.js'
import { type Keys, keysArgument } from '../../shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../shared/config/network-key.js'
import { closeOnAbort } from '../lib/close-on-abort.js'
import { createLogger, type Logger } from '../lib/log.js'
import { addressToBind } from '../names/own-address.js'
import {
  addressArgument,
  committeeArgument,
  loggerArgument,
  only,
  optionsArgument,
  signalArgument,
} from '../worker/option-arguments.js'
import { BootstrapNode } from './bootstrap-node.js'
import { bootstrapsArgument } from './kad-arguments.js'

export interface BootstrapOptions {
  /** The committee whose addresses it keeps: keys, stakes and worker ids are enough. It takes no part in it. */
  readonly committee: Committee
  /** The address that it binds, or a name of it, and the port. */
  readonly listen: TcpAddress
  /** Keys of its own, which give it the same peer id at each start. Default: new ones at each start. */
  readonly keys?: Keys
  /** Multiaddrs of other bootstrap nodes of the committee. Default: none. */
  readonly bootstrap?: readonly string[]
  /** Default: the reference's format, on stderr, from `info` on. */
  readonly log?: Logger
  /** Closes it when it is aborted, also while it starts; `startBootstrap` rejects with `ERR_CLOSED` then. */
  readonly signal?: AbortSignal
}

export interface Bootstrap {
  /** The multiaddrs to give to the committee's nodes; with `0.0.0.0` those of every interface. */
  readonly addresses: readonly string[]
  /** Records that it keeps now. */
  readonly records: number
  close(): Promise<void>
  /** Resolves when it is closed; rejects with why it cannot go on. */
  readonly stopped: Promise<void>
}

const NAMES = [
  'committee',
  'listen',
  'keys',
  'bootstrap',
  'log',
  'signal',
] as const satisfies readonly (keyof BootstrapOptions)[]

/** Starts a bootstrap node, or rejects with an error that says what to do, with nothing left running. */
export async function startBootstrap(options: BootstrapOptions): Promise<Bootstrap> {
  const { given, optional } = optionsArgument(options, NAMES, 'startBootstrap')
  const listen = addressArgument('listen', given.listen)
  const keys = optional('keys', keysArgument)
  const signal = optional('signal', signalArgument)
  const node = new BootstrapNode({
    committee: committeeArgument('committee', given.committee),
    listen: { host: await addressToBind('listen', listen.host), port: listen.port },
    bootstrap: optional('bootstrap', bootstrapsArgument) ?? [],
    log: optional('log', loggerArgument) ?? createLogger('narval::bootstrap', 'info'),
    ...only('seed', keys && deriveNetworkKeySeed(keys.seed, 'bootstrap')),
  })
  closeOnAbort(node, signal)
  const addresses = await node.start()
  return {
    addresses,
    get records() {
      return node.records
    },
    close: () => node.close(),
    stopped: node.stopped,
  }
}
