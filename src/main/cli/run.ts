/**
 * `run … worker`, `run … primary` and `run … authority`: reads the files, starts the node, and ends it in order at SIGINT, SIGTERM or
 * SIGHUP, also while it starts or is loaded; a second signal ends it at once.
 */
import { setImmediate } from 'node:timers/promises'
import { type Committee, readCommittee } from '../../shared/config/committee.js'
import { type Keys, readKeys } from '../../shared/config/keys.js'
import { defaultParameters, readParameters } from '../../shared/config/parameters.js'
import { NarvalError } from '../../shared/errors.js'
import { MAIN_FULL_COLLECTION_MS, startFullCollections } from '../../shared/runtime/garbage-collector.js'
import { type Authority, startAuthority } from '../authority/authority.js'
import type { AuthorityOptions } from '../authority/authority-options.js'
import { type Primary, startPrimary } from '../authority/primary.js'
import { hostWithoutToken, readToken } from '../gateway/gateway-options.js'
import { createLogger, type Logger } from '../lib/log.js'
import { watchParent } from '../lib/parent.js'
import { type Interrupt, watchSignals } from '../lib/signals.js'
import { everyAddressFor } from '../names/own-address.js'
import { nodePlace } from '../network/node-address.js'
import { startWorker } from '../worker/worker.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { leave } from './leave.js'
import type { RunOptions } from './run-options.js'

/** A worker, a primary or an authority, as far as its process goes. */
interface RunningNode {
  readonly stopped: Promise<void>
}

/** @param early watches for signals since before this file was loaded */
export async function run(options: RunOptions, early?: Interrupt): Promise<number> {
  // A signal that came while this was loaded is heard in a turn of the event loop.
  await setImmediate()
  const interrupt = early ?? watchSignals(() => leave(EXIT_FAILURE))
  watchParent(() => interrupt.stop('the parent process is gone'))
  const { signal } = interrupt
  const log = createLogger(`narval::${options.part.kind}`, options.logLevel)
  const sayWhy = (): void => log.info(`${signal.reason}: closing; once more ends at once`)
  if (signal.aborted) {
    sayWhy()
    log.info('Closed')
    return 0
  }
  signal.addEventListener('abort', sayWhy)
  const starting = start(options, log, signal)
  try {
    const node = await starting
    // The process is the node's own: in somebody else's, as a library, nobody knows how large the heap is.
    startFullCollections(MAIN_FULL_COLLECTION_MS)
    return await ended(node, log)
  } catch (error) {
    // A signal came while it started.
    const isInOrder = signal.aborted && error instanceof NarvalError && error.code === 'ERR_CLOSED'
    if (!isInOrder) throw error
    log.info('Closed')
    return 0
  }
}

async function start(options: RunOptions, log: Logger, signal: AbortSignal): Promise<RunningNode> {
  const { metrics, part } = options
  const keys = readKeys(options.keys)
  const committee = readCommittee(options.committee)
  const fromFile = options.parameters === undefined ? defaultParameters() : readParameters(options.parameters)
  const shared = {
    keys,
    committee,
    parameters: { ...fromFile, ...(options.ackLevel !== undefined && { ackLevel: options.ackLevel }) },
    log,
    signal,
    store: options.store,
    benchmark: options.benchmark,
    bind: options.bind ?? (await everyAddressFor(knownHosts(committee, keys, part))),
    ...(metrics && { metrics }),
    ...(options.kad && { kad: { bootstrap: options.bootstrap ?? [] } }),
    ...(options.mdns && { peerDiscovery: [(await import('@libp2p/mdns')).mdns()] }),
  } satisfies AuthorityOptions
  if (part.kind === 'worker') return startWorker({ ...shared, clients: true, workerId: part.id, primary: part.primary })
  const ordered = { ...shared, rule: part.rule, recovered: part.recovered }
  const node =
    part.kind === 'primary'
      ? await startPrimary(ordered)
      : await startAuthority({ ...ordered, ...gatewayOf(options), clients: true })
  return part.consume ? consumed(node, keys, log) : node
}

function gatewayOf({
  api,
  apiOrigin,
  apiToken,
}: RunOptions): Pick<AuthorityOptions, 'api' | 'apiToken' | 'apiOrigins'> {
  const host = hostWithoutToken(api, apiToken)
  if (host !== undefined) {
    throw new NarvalError('ERR_USAGE', `--api ${host}: other machines may reach it, and it has no --api-token`)
  }
  return {
    ...(api && { api }),
    ...(apiToken !== undefined && { apiToken: readToken(apiToken) }),
    ...(apiOrigin && { apiOrigins: apiOrigin }),
  }
}

/** The authority, or its primary alone, and its consumer: one that cannot go on ends both. */
async function consumed(authority: Authority | Primary, keys: Keys, log: Logger): Promise<RunningNode> {
  const { consume } = await import('../local/load/consumer.js')
  const reading = consume(authority, { publicKey: keys.publicKey, log }).catch(async (error) => {
    await authority.close()
    // Within a commit, a reader is told of the close by an error.
    if (!(error instanceof NarvalError && error.code === 'ERR_CLOSED')) throw error
  })
  return { stopped: Promise.all([authority.stopped, reading]).then(() => {}) }
}

/** The hosts at which the committee knows the node; any of IPv4 if there are none. */
function knownHosts(committee: Committee, keys: Keys, part: RunOptions['part']): string[] {
  const index = committee.ownIndexOf(keys)
  const roles =
    part.kind === 'worker'
      ? [part.id]
      : (['primary', ...(part.kind === 'primary' ? [] : committee.authority(index).workers.keys())] as const)
  const hosts = roles.flatMap((role) => nodePlace(committee, index, role).address?.host ?? [])
  return hosts.length > 0 ? hosts : ['0.0.0.0']
}

/** Waits for the end of the node. The exit code. */
async function ended(node: RunningNode, log: Logger): Promise<number> {
  try {
    await node.stopped
    log.info('Closed')
    return 0
  } catch (error) {
    log.error(String(error))
    return EXIT_FAILURE
  }
}
