/**
 * A worker as a library: `startWorker(options)`. The command line is a thin user of it.
 */
import 'core-js/actual/promise/with-resolvers.js'
import type { TcpAddress } from '../../shared/config/address.js'
import type { Committee } from '../../shared/config/committee.js'
import type { Keys } from '../../shared/config/keys.js'
import { deriveNetworkKeySeed, readNetworkKeySeed } from '../../shared/config/network-key.js'
import { checkParameters, defaultParameters, type Parameters } from '../../shared/config/parameters.js'
import { NarvalError } from '../../shared/errors.js'
import { missingV8Flags } from '../../shared/runtime/v8-flags.js'
import type { PrimaryWorkerMessage, WorkerPrimaryMessage } from '../../shared/wire/primary-messages.js'
import { MetricsServer } from '../http/http-server.js'
import { createLogger, type Logger } from '../lib/log.js'
import type { Health } from '../metrics/health.js'
import type { PeerDiscovery } from '../network/libp2p-node.js'
import type { CertifiedBatch } from './certified-stream.js'
import { InProcessPrimaryLink } from './primary-link/in-process-primary-link.js'
import { openTcpPrimary } from './primary-link/open-tcp-primary.js'
import { WorkerNode } from './worker-node.js'

export interface WorkerOptions {
  /** The authority's keys (`readKeys`, `generateKeys`). */
  readonly keys: Keys
  /** The committee (`readCommittee`, `parseCommittee`). */
  readonly committee: Committee
  /** Which of the authority's workers this is. Default: 0. */
  readonly workerId?: number
  /** Directory of the store; made if it is missing. One process at a time. */
  readonly store: string
  /** Default: the reference's defaults, and ACKs at level `durable`. */
  readonly parameters?: Parameters
  /** Seed of the worker's libp2p key, 32 bytes. Default: `network_key` of the parameters, else derived from the keys. */
  readonly networkKeySeed?: Uint8Array
  /** The address that listeners bind. Default: `0.0.0.0`, as the reference does. */
  readonly bind?: string
  /** Where metrics and health are served over HTTP. Default: nowhere. */
  readonly metrics?: TcpAddress
  /** libp2p peer discovery: it only adds addresses to try, trust comes from the committee. */
  readonly peerDiscovery?: PeerDiscovery
  /**
   * A primary in this process instead of the one at the committee's address. It is called with each report, in order and
   * with up to 32 calls at a time; a report is delivered when the call returns, or when the promise that it returns
   * resolves. What is not delivered when the worker closes or dies is told again after the next start: at least once. A
   * call that throws or rejects ends the worker: `stopped` rejects with `ERR_PRIMARY_FAILED`. What the primary has to say
   * goes to `toWorker`.
   */
  readonly primary?: (report: WorkerPrimaryMessage) => void | Promise<void>
  /** Log what the reference logs for its benchmark scripts: each batch, and the sample transactions in it. */
  readonly benchmark?: boolean
  /** Default: the reference's format, on stderr, from `info` on. */
  readonly log?: Logger
  /** For tests: fill freed slots with rubbish, so that one that is used after it was freed is seen. */
  readonly poisonFreedSlots?: boolean
}

export interface StoredBatchView {
  /** Public key of the authority that made it. */
  readonly author: Uint8Array
  /** The encoded batch; `transactions(bytes)` walks it. */
  readonly bytes: Uint8Array
}

export interface Worker {
  /**
   * Puts a transaction in line for the next batch; resolves when it is in line, which is before it is in a batch,
   * stored or certified: read `certified` for that. What is in line and finds no free slot when the worker is closed is
   * lost, like all that is in line when the process dies. Rejects with `ERR_TRANSACTION_TOO_LARGE`, `ERR_TRANSACTION_EMPTY`,
   * `ERR_BUSY` (too many calls are waiting), `ERR_CLOSED`.
   */
  submit(transaction: Uint8Array): Promise<void>
  /** A stored batch of this committee, ours or another's; undefined if this worker does not have it. */
  read(digest: Uint8Array): Promise<StoredBatchView | undefined>
  /** Batches of ours as they are certified, from the moment a reader begins. */
  readonly certified: AsyncIterable<CertifiedBatch>
  /** A message of the primary in this process; only where `WorkerOptions.primary` is given. */
  toWorker(message: PrimaryWorkerMessage): void
  /** Whether a quorum of the committee is connected and the store takes writes. */
  health(): Health
  /** The metrics in Prometheus's text format. */
  metrics(): Promise<string>
  /**
   * Stops the clients' port, waits a moment for what is in flight, and closes network, threads and store in order. What
   * was not certified by then is in the store, and is sent again at the next start.
   */
  close(): Promise<void>
  /** Resolves when the worker is closed. Rejects with `ERR_THREAD_DIED`, or `ERR_PRIMARY_FAILED`, if it
   * cannot go on: end the process. */
  readonly stopped: Promise<void>
}

/** Starts a worker, or rejects with a `NarvalError` that says what to do, with nothing left running. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { committee, keys } = options
  const parameters = checkParameters(options.parameters ?? defaultParameters(), 'parameters')
  const workerId = options.workerId ?? 0
  const log = options.log ?? createLogger('narval::worker', 'info')
  const missing = missingV8Flags(process.versions.node, process.execArgv)
  if (missing.length > 0) {
    log.warn(`Node was started without ${missing.join(' ')}: garbage collection will take up to half of the throughput`)
  }
  let inProcess: InProcessPrimaryLink | undefined
  const node = new WorkerNode({
    keys,
    committee,
    workerId,
    parameters,
    log,
    store: options.store,
    networkKeySeed:
      options.networkKeySeed ??
      (parameters.networkKeyPath === undefined
        ? deriveNetworkKeySeed(keys.seed, workerId)
        : readNetworkKeySeed(parameters.networkKeyPath)),
    bind: options.bind ?? '0.0.0.0',
    benchmark: options.benchmark ?? false,
    poisonFreedSlots: options.poisonFreedSlots ?? false,
    ...(options.peerDiscovery && { peerDiscovery: options.peerDiscovery }),
    openPrimary: async (ownIndex, handlers) => {
      if (options.primary === undefined) {
        return openTcpPrimary({ bind: options.bind ?? '0.0.0.0', committee, keys, workerId, log }, handlers)
      }
      inProcess = new InProcessPrimaryLink({ onMessage: options.primary })
      return inProcess.open({ committee, ownIndex, workerId }, handlers)
    },
  })
  const http =
    options.metrics === undefined
      ? undefined
      : new MetricsServer(options.metrics, { metrics: node.metrics, health: () => node.health() })
  await http?.listen()
  try {
    await node.start()
  } catch (error) {
    await http?.close()
    throw error
  }
  return {
    certified: node.certified,
    stopped: node.stopped,
    submit: (transaction) => node.submit(transaction),
    read: (digest) => node.read(digest),
    toWorker(message) {
      if (inProcess === undefined) throw new NarvalError('ERR_USAGE', 'toWorker: the primary is not in this process')
      inProcess.send(message)
    },
    health: () => node.health(),
    metrics: () => node.metrics.text(),
    async close() {
      await http?.close()
      await node.close()
    },
  }
}
