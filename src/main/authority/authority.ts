/**
 * An authority as a library: `startAuthority(options)`. The command line is a thin user of it.
 */
import 'core-js/actual/promise/with-resolvers.js'
import { bytesArgument } from '../../shared/arguments.js'
import { DIGEST_BYTES } from '../../shared/constants.js'
import { refuseSingleStore } from '../../shared/store/authority-directories.js'
import { makeDirectory } from '../../shared/store/lock.js'
import { closeOnAbort } from '../lib/close-on-abort.js'
import { addressToBind, loopbackFor } from '../names/own-address.js'
import type { Application, RunOptions } from '../runner/application.js'
import { warnOfFlags, warnOfLoopback, warnOfOpenFiles } from '../worker/boot-warnings.js'
import type { StoredBatchView } from '../worker/worker.js'
import type { AuthorityHealth } from './authority-health.js'
import { AuthorityNode, type Binds } from './authority-node.js'
import { type AuthorityOptions, type CheckedAuthorityOptions, checkAuthorityOptions } from './authority-options.js'
import type { CommitsOptions, OrderedCommit } from './commits.js'
import { authorityFilesNeeded } from './open-files.js'

export interface Authority {
  /**
   * Puts a transaction in line for the next batch of one of the workers, the one with the shortest line; resolves when it
   * is in line, which is before it is in a batch, stored, certified or ordered: read `commits()` for that. Two transactions
   * may be ordered otherwise than they were submitted. What is in line when the process dies is lost. Rejects with
   * `ERR_TRANSACTION_REFUSED` (by the application's `check`), `ERR_TRANSACTION_TOO_LARGE`, `ERR_TRANSACTION_EMPTY`, `ERR_BUSY` (too many calls are waiting), `ERR_CLOSED`, and with a
   * `TypeError` if it is no `Uint8Array`. The caller may use its memory again at once.
   */
  submit(transaction: Uint8Array): Promise<void>
  /**
   * What is ordered, from the beginning or behind a place in the past on, and then what follows. All authorities give the
   * same commits with the same batches; a reader that begins behind the last one that it has dealt with, now or after a
   * restart, misses nothing and is shown nothing twice.
   *
   * ```ts
   * for await (const commit of authority.commits({ after: await lastCommit() })) {
   *   for await (const batch of commit.batches()) {
   *     for (const transaction of batch.transactions()) state.apply(transaction)
   *   }
   *   await state.save(commit.index)
   * }
   * ```
   *
   * It waits at the end of the log, and for batches that are ordered and not here yet. A slow reader takes no memory and
   * holds nobody up. It ends when the authority is closed or fails; within a commit it rejects with `ERR_CLOSED` then. It
   * rejects with a `CommitsPrunedError` if commits behind `after` are beyond retention, which says the oldest that is there;
   * with `ERR_STORE_DAMAGED`; with `ERR_BUSY` beyond 64 readers; with the signal's reason. Throws a `TypeError` or
   * `RangeError` that names what is wrong in the options.
   */
  commits(options?: CommitsOptions): AsyncGenerator<OrderedCommit, void, undefined>
  /**
   * Runs an application on the order: hands it each commit behind its last one, without gaps, one at a time, and awaits what
   * it does with it. The order waits for nobody: what is not applied yet waits in the log, `health()` says when it is much,
   * and `metrics()` how much.
   *
   * Resolves when the authority is closed; `close()` waits two seconds for the `apply` that is under way. Rejects with
   * `ERR_APPLICATION_FAILED`, with the cause, when `apply` throws: the order goes on, health says so, and it may be run
   * again. With what `lastApplied` throws; with `ERR_COMMITS_PRUNED` if the next commit is beyond retention; as `commits()`
   * does; with `ERR_BUSY` while one runs; with a `TypeError` or `RangeError` that names what is wrong in the arguments.
   */
  run(app: Application, options?: RunOptions): Promise<void>
  /** A stored batch of this committee, ours or another's; undefined if none of our workers has it. */
  read(digest: Uint8Array): Promise<StoredBatchView | undefined>
  /** Whether the primary and all workers do what they are there for. */
  health(): AuthorityHealth
  /** The metrics of all parts in Prometheus's text format; those of a worker have the label `worker`. */
  metrics(): Promise<string>
  /**
   * Stops the clients' ports, waits a moment for what is in flight, and closes workers, primary and stores in order. What
   * was not ordered by then is in the stores, and goes on at the next start.
   */
  close(): Promise<void>
  /** Resolves when the authority is closed. Rejects with why it cannot go on, as `ERR_THREAD_DIED`: end the process. */
  readonly stopped: Promise<void>
}

/**
 * Starts an authority: its primary and all of its workers, in this process. Rejects with an error that says what to do, with
 * nothing left running: a `TypeError` or `RangeError` that names the option, or a `NarvalError`.
 */
export async function startAuthority(options: AuthorityOptions): Promise<Authority> {
  const checked = checkAuthorityOptions(options)
  const binds = await bindsOf(checked)
  refuseSingleStore(checked.store)
  makeDirectory(checked.store)
  const node = new AuthorityNode(checked, binds)
  warnOfFlags(node.log)
  warnOfOpenFiles(node.log, authorityFilesNeeded(checked))
  closeOnAbort(node, checked.signal)
  await node.start()
  if (checked.bind === undefined) sayLoopback(checked, binds, node)
  return {
    stopped: node.stopped,
    submit: async (transaction) => {
      node.application.admit(transaction)
      await node.submits.submit(transaction)
    },
    commits: (options) => node.commits.read(options),
    run: (app, options) => node.application.run(app, options),
    // A view would be copied to the processors with all of its buffer.
    read: async (digest) => node.read(new Uint8Array(bytesArgument('digest', digest, DIGEST_BYTES))),
    health: () => node.health(),
    metrics: () => node.metrics(),
    close: () => node.close(),
  }
}

/** What each part binds, by the family of the address at which the committee knows it. */
async function bindsOf({ bind, committee, metrics, ownIndex }: CheckedAuthorityOptions): Promise<Binds> {
  const bindFor = (known: string | undefined): Promise<string> =>
    bind === undefined ? loopbackFor(known ?? '127.0.0.1') : addressToBind('bind', bind, known)
  const { primary, workers } = committee.authority(ownIndex)
  // Names are asked about together: one that nobody answers for is waited for once.
  const [ofPrimary, ofMetrics, ...ofWorkers] = await Promise.all([
    bindFor(primary.primaryToPrimary?.host),
    metrics && addressToBind('metrics', metrics.host),
    ...Array.from(workers, async ([id, { workerToWorker }]) => [id, await bindFor(workerToWorker?.host)] as const),
  ])
  return { primary: ofPrimary, workers: new Map(ofWorkers), metrics: ofMetrics }
}

function sayLoopback({ committee, ownIndex }: CheckedAuthorityOptions, binds: Binds, { log }: AuthorityNode): void {
  warnOfLoopback(log, committee, binds.primary, committee.authority(ownIndex).primary.primaryToPrimary?.host)
}
