/**
 * A primary as a library, with its workers in other processes: `startPrimary(options)`. The command line is a thin user of it.
 */
import 'core-js/actual/promise/with-resolvers.js'
import { bytesArgument } from '../../shared/arguments.js'
import { DIGEST_BYTES } from '../../shared/constants.js'
import { refuseSingleStore } from '../../shared/store/authority-directories.js'
import { makeDirectory } from '../../shared/store/lock.js'
import { closeOnAbort } from '../lib/close-on-abort.js'
import { addressToBind, loopbackFor } from '../names/own-address.js'
import { warnOfFlags, warnOfLoopback, warnOfOpenFiles } from '../worker/boot-warnings.js'
import type { StoredBatchView } from '../worker/worker.js'
import { type AuthorityOptions, type CheckedAuthorityOptions, checkPrimaryOptions } from './authority-options.js'
import type { CommitsOptions, OrderedCommit } from './commits.js'
import { primaryFilesNeeded } from './open-files.js'
import { PrimaryAlone, type PrimaryBinds } from './primary-alone.js'
import type { PrimaryAloneHealth } from './primary-alone-health.js'

/**
 * Those of an authority, but for what its workers take. `store` is the directory in which the primary's is, or is to be
 * (`primary`); a directory of an authority serves as well.
 */
export type PrimaryOptions = Omit<AuthorityOptions, 'clients' | 'poisonFreedSlots'>

export interface Primary {
  /**
   * What is ordered, as `Authority.commits` gives it. The bytes of batches come from the workers: while one is away, a reader
   * waits for what it has.
   */
  commits(options?: CommitsOptions): AsyncGenerator<OrderedCommit, void, undefined>
  /** A stored batch of this committee, ours or another's; undefined if none of the workers that are connected has it. */
  read(digest: Uint8Array): Promise<StoredBatchView | undefined>
  /** Whether the primary does what it is there for, and which workers are connected. */
  health(): PrimaryAloneHealth
  /** The metrics of the primary in Prometheus's text format; each worker has its own. */
  metrics(): Promise<string>
  /** Closes the links to the workers, the primary and its store in order. The workers wait for the next start. */
  close(): Promise<void>
  /** Resolves when the primary is closed. Rejects with why it cannot go on, as `ERR_THREAD_DIED`: end the process. */
  readonly stopped: Promise<void>
}

/**
 * Starts the primary of an authority without its workers. Each of them is a process of its own, which is started with
 * `primary: 'narval'` (`startWorker`) and the same keys, and finds the primary at the committee's `worker_to_primary`. Rejects
 * with an error that says what to do, with nothing left running: a `TypeError` or `RangeError` that names the option, or a
 * `NarvalError`.
 */
export async function startPrimary(options: PrimaryOptions): Promise<Primary> {
  const checked = checkPrimaryOptions(options)
  const binds = await bindsOf(checked)
  refuseSingleStore(checked.store)
  makeDirectory(checked.store)
  const node = new PrimaryAlone(checked, binds)
  warnOfFlags(node.log)
  warnOfOpenFiles(node.log, primaryFilesNeeded(checked))
  closeOnAbort(node, checked.signal)
  await node.start()
  if (checked.bind === undefined) {
    const { committee, ownIndex } = checked
    warnOfLoopback(node.log, committee, binds.primary, committee.authority(ownIndex).primary.primaryToPrimary?.host)
  }
  return {
    stopped: node.stopped,
    commits: (options) => node.commits.read(options),
    // A view would be copied with all of its buffer.
    read: async (digest) => node.read(new Uint8Array(bytesArgument('digest', digest, DIGEST_BYTES))),
    health: () => node.health(),
    metrics: () => node.metrics(),
    close: () => node.close(),
  }
}

/** What each port binds, by the family of the address at which the committee knows it. */
async function bindsOf({ bind, committee, metrics, ownIndex }: CheckedAuthorityOptions): Promise<PrimaryBinds> {
  const bindFor = (known: string | undefined): Promise<string> =>
    bind === undefined ? loopbackFor(known ?? '127.0.0.1') : addressToBind('bind', bind, known)
  const { primaryToPrimary, workerToPrimary } = committee.authority(ownIndex).primary
  const [primary, workers, ofMetrics] = await Promise.all([
    bindFor(primaryToPrimary?.host),
    bindFor(workerToPrimary?.host),
    metrics && addressToBind('metrics', metrics.host),
  ])
  return { primary, workers, metrics: ofMetrics }
}
