/**
 * `run … worker`: reads the files, starts the worker, and ends it in order at SIGINT, SIGTERM or SIGHUP, also while it
 * starts or is loaded; a second signal ends it at once.
 */
import { type Committee, readCommittee } from '../../shared/config/committee.js'
import { type Keys, readKeys } from '../../shared/config/keys.js'
import { defaultParameters, readParameters } from '../../shared/config/parameters.js'
import { NarvalError } from '../../shared/errors.js'
import { MAIN_FULL_COLLECTION_MS, startFullCollections } from '../../shared/runtime/garbage-collector.js'
import { createLogger, type Logger } from '../lib/log.js'
import { watchParent } from '../lib/parent.js'
import { type Interrupt, watchSignals } from '../lib/signals.js'
import { everyAddressFor } from '../names/own-address.js'
import { startWorker, type Worker } from '../worker/worker.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { leave } from './leave.js'
import type { RunOptions } from './run-options.js'

/** @param early watches for signals since before this file was loaded */
export async function run(options: RunOptions, early?: Interrupt): Promise<number> {
  const interrupt = early ?? watchSignals(() => leave(EXIT_FAILURE))
  watchParent(() => interrupt.stop('the parent process is gone'))
  const { signal } = interrupt
  const log = createLogger('narval::worker', options.logLevel)
  const sayWhy = (): void => log.info(`${signal.reason}: closing; once more ends at once`)
  if (signal.aborted) {
    sayWhy()
    log.info('Closed')
    return 0
  }
  signal.addEventListener('abort', sayWhy)
  const keys = readKeys(options.keys)
  const committee = readCommittee(options.committee)
  const fromFile = options.parameters === undefined ? defaultParameters() : readParameters(options.parameters)
  const parameters = { ...fromFile, ...(options.ackLevel !== undefined && { ackLevel: options.ackLevel }) }
  const starting = startWorker({
    keys,
    committee,
    parameters,
    log,
    signal,
    workerId: options.id,
    store: options.store,
    benchmark: options.benchmark,
    bind: options.bind ?? (await everyAddressOf(committee, keys, options.id)),
    clients: true,
    ...(options.metrics && { metrics: options.metrics }),
    ...(options.mdns && { peerDiscovery: [(await import('@libp2p/mdns')).mdns()] }),
  })
  try {
    const worker = await starting
    // The process is the worker's own: in somebody else's, as a library, nobody knows how large the heap is.
    startFullCollections(MAIN_FULL_COLLECTION_MS)
    return await ended(worker, log)
  } catch (error) {
    // A signal came while it started.
    const isInOrder = signal.aborted && error instanceof NarvalError && error.code === 'ERR_CLOSED'
    if (!isInOrder) throw error
    log.info('Closed')
    return 0
  }
}

/** Every interface, in the family of the address at which the committee knows this worker. */
async function everyAddressOf(committee: Committee, keys: Keys, workerId: number): Promise<string> {
  const index = committee.indexOf(keys.publicKey)
  return everyAddressFor(index === -1 ? '0.0.0.0' : committee.worker(index, workerId).workerToWorker.host)
}

/** Waits for the end of the worker. The exit code. */
async function ended(worker: Worker, log: Logger): Promise<number> {
  try {
    await worker.stopped
    log.info('Closed')
    return 0
  } catch (error) {
    log.error(String(error))
    return EXIT_FAILURE
  }
}
