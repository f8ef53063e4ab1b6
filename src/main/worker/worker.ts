/**
 * A worker as a library: `startWorker(options)`. The command line is a thin user of it.
 */
import { GcRelief } from '../lib/gc-relief.js'
import 'core-js/actual/promise/with-resolvers.js'
import {
  booleanArgument,
  bytesArgument,
  objectArgument,
  refuseUnknownKeys,
  u64Argument,
} from '../../shared/arguments.js'
import { DIGEST_BYTES } from '../../shared/constants.js'
import { refuseAuthorityStore } from '../../shared/store/authority-directories.js'
import { type PrimaryWorkerMessage, primaryWorkerMessageArgument } from '../../shared/wire/primary-messages.js'
import { MetricsServer } from '../http/http-server.js'
import { closeOnAbort } from '../lib/close-on-abort.js'
import { answerOf, type Health } from '../metrics/health.js'
import { addressToBind, loopbackFor } from '../names/own-address.js'
import { warnOfFlags, warnOfLoopback, warnOfOpenFiles } from './boot-warnings.js'
import type { CertifiedBatch, CertifiedOptions } from './certified-stream.js'
import { makeWorker } from './make-worker.js'
import { openFilesNeeded } from './open-files.js'
import { signalArgument } from './option-arguments.js'
import type { OrderingPrimary } from './primary-link/ordering-primary.js'
import { type CheckedOptions, checkWorkerOptions, type WorkerOptions } from './worker-options.js'

export type { WorkerOptions } from './worker-options.js'

export interface StoredBatchView {
  /** Public key of the authority that made it. */
  readonly author: Uint8Array
  /** The encoded batch; `transactions(bytes)` walks it. */
  readonly bytes: Uint8Array
}

/**
 * The batches of this worker that a quorum has stored, to be read in one of two ways. Every reader has a place of its own.
 *
 * Iterated, `for await (const batch of worker.certified)`: those that are certified from the moment the reader begins, in
 * the order in which they are certified. A reader that leaves 65,536 of them unread fails with `ERR_BUSY`.
 *
 * Called, `worker.certified({ after })`: each one with a higher sequence, those of the past that are stored and then those
 * that follow, in the order of their sequences. Nothing is left out or repeated, by one reader, or by one that begins after
 * the last sequence that another one gave, in this run of the worker or in a later one. So that sequence is all that a
 * program has to remember, best together with what it has made of the batch: after a crash it is shown each batch that it
 * has not dealt with. To keep that promise a batch waits for those with lower sequences: while one of them is not
 * certified, those above are not shown, and after a restart batches that the primary had not acknowledged are shown once
 * they are certified again. A slow reader takes no memory; what retention deletes before the reader comes to it is an
 * error (`CertifiedOptions.skipDeleted`). A batch may be deleted between `next()` and `read(digest)`. The one exception: a
 * batch that the disk damaged before the primary acknowledged it is not certified again, and not shown.
 *
 * There may be 64 readers at a time, of both kinds together: the next one fails with `ERR_BUSY`. A reader that is not read to
 * its end keeps its place until `return()` or its signal ends it; leaving `for await` calls `return()`.
 *
 * Both end when the worker is closed, or fails. A store that is new knows nothing of those before it.
 */
export interface CertifiedBatches extends AsyncIterable<CertifiedBatch> {
  /** Throws a `TypeError` or `RangeError` that names what is wrong in the options. */
  (options: CertifiedOptions): AsyncIterableIterator<CertifiedBatch>
}

export interface Worker {
  /**
   * Puts a transaction in line for the next batch; resolves when it is in line, which is before it is in a batch,
   * stored or certified: read `certified` for that. What is in line and finds no free slot when the worker is closed is
   * lost, like all that is in line when the process dies. Rejects with `ERR_TRANSACTION_TOO_LARGE`, `ERR_TRANSACTION_EMPTY`,
   * `ERR_BUSY` (too many calls are waiting), `ERR_CLOSED`, and with a `TypeError` if it is no `Uint8Array`. The caller may
   * use its memory again at once.
   */
  submit(transaction: Uint8Array): Promise<void>
  /** A stored batch of this committee, ours or another's; undefined if this worker does not have it. */
  read(digest: Uint8Array): Promise<StoredBatchView | undefined>
  /** Batches of ours that are certified: from now on, or from a place in the past on. */
  readonly certified: CertifiedBatches
  /**
   * A message of the primary in this process; only where `WorkerOptions.primary` is given. Throws a `TypeError` or
   * `RangeError` that names what is wrong in the message, and `ERR_USAGE` if the primary is elsewhere.
   */
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

/**
 * Starts a worker, or rejects with an error that says what to do, with nothing left running: a `TypeError` or
 * `RangeError` that names the option, or a `NarvalError`.
 */
export function startWorker(options: WorkerOptions): Promise<Worker> {
  return start(options)
}

/**
 * The same for a worker of a narval primary in this process, which has started (`src/main/primary/worker-link.ts`): no batch
 * is deleted before it is committed, and what is not committed is told again after each start.
 */
export function startLinkedWorker(options: Omit<WorkerOptions, 'primary'>, link: OrderingPrimary): Promise<Worker> {
  return start(options, link)
}

async function start(options: WorkerOptions, ordering?: OrderingPrimary): Promise<Worker> {
  const checked = checkWorkerOptions(options)
  refuseAuthorityStore(checked.store)
  const bind = await bindOf(checked)
  const metricsHost = checked.metrics && (await addressToBind('metrics', checked.metrics.host))
  warnOfFlags(checked.log)
  warnOfOpenFiles(checked.log, openFilesOf(checked))
  const { node, send } = makeWorker(checked, bind, new GcRelief(), ordering)
  closeOnAbort(node, checked.signal)
  const http =
    checked.metrics &&
    new MetricsServer(
      { ...checked.metrics, host: metricsHost! },
      {
        metrics: node.metrics,
        health: () => answerOf(node.health()),
        isAlive: () => node.isAlive(),
        supervisor: node.supervisor,
      },
    )
  // After a failure it goes on, to say so.
  const closed = node.stopped.then(
    () => http?.close(),
    () => {},
  )
  node.supervisor.watch('the end of metrics', closed)
  await http?.listen()
  try {
    await node.start()
  } catch (error) {
    await http?.close()
    throw error
  }
  if (checked.bind === undefined) warnOfLoopback(node.log, checked.committee, bind, ownHost(checked))
  return {
    certified: Object.assign((options: CertifiedOptions) => node.certified.readAfter(certifiedArgument(options)), {
      [Symbol.asyncIterator]: () => node.certified[Symbol.asyncIterator](),
    }),
    stopped: node.stopped,
    submit: (transaction) => node.submit(transaction),
    async read(digest) {
      // A view would be copied to the processor with all of its buffer.
      return node.read(new Uint8Array(bytesArgument('digest', digest, DIGEST_BYTES)))
    },
    toWorker(message) {
      send(primaryWorkerMessageArgument('message', message))
    },
    health: () => node.health(),
    metrics: () => node.metrics.text(),
    async close() {
      await http?.close()
      await node.close()
    },
  }
}

function certifiedArgument(value: unknown): CertifiedOptions {
  const options = objectArgument('options', value, 'the options of certified: { after }')
  refuseUnknownKeys('options', options, ['after', 'skipDeleted', 'signal'])
  const { after, signal, skipDeleted } = options
  return {
    after: u64Argument('after', after),
    ...(skipDeleted !== undefined && { skipDeleted: booleanArgument('skipDeleted', skipDeleted) }),
    ...(signal !== undefined && { signal: signalArgument('signal', signal) }),
  }
}

async function bindOf(options: CheckedOptions): Promise<string> {
  const known = ownHost(options)
  return options.bind === undefined ? loopbackFor(known ?? '127.0.0.1') : addressToBind('bind', options.bind, known)
}

/** The host at which the committee knows this worker, if it does. Errors: `ERR_NOT_IN_COMMITTEE`. */
function ownHost({ committee, keys, workerId }: CheckedOptions): string | undefined {
  return committee.knownWorker(committee.ownIndexOf(keys), workerId).workerToWorker?.host
}

function openFilesOf({ clients, committee, metrics, parameters, primary }: CheckedOptions): number {
  return openFilesNeeded({
    authorities: committee.size,
    clientConnectionsMax: clients ? parameters.clientConnectionsMax : 0,
    hasMetrics: metrics !== undefined,
    hasPrimaryPort: primary === undefined || primary === 'reference',
  })
}
