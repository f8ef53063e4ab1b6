/**
 * narval as a library: a Narwhal worker in your process.
 *
 * ```ts
 * import { readCommittee, readKeys, startWorker } from 'narval-node'
 *
 * const worker = await startWorker({
 *   keys: readKeys('.node-0.json'),
 *   committee: readCommittee('.committee.json'),
 *   store: '.db-0-0',
 * })
 * await worker.submit(new TextEncoder().encode('a transaction'))
 * for await (const { digest } of worker.certified) {
 *   const batch = await worker.read(digest)
 * }
 * ```
 *
 * Start your process with the flags that `v8FlagsFor(process.versions.node)` names: without them, garbage collection takes
 * up to a third of a busy worker's CPU (docs/performance.md).
 *
 * @packageDocumentation
 */
import './shared/runtime/refuse-platform.js'

export { type Authority, startAuthority } from './main/authority/authority.js'
export type { AuthorityHealth } from './main/authority/authority-health.js'
export type { AuthorityOptions } from './main/authority/authority-options.js'
export type { CommitCursor, CommitsOptions, OrderedBatch, OrderedCommit } from './main/authority/commits.js'
export { markFresh } from './main/authority/mark-fresh.js'
export { type Primary, type PrimaryOptions, startPrimary } from './main/authority/primary.js'
export type { PrimaryAloneHealth } from './main/authority/primary-alone-health.js'
export type { Rule } from './main/authority/rules.js'
export { type Bootstrap, type BootstrapOptions, startBootstrap } from './main/kad/bootstrap.js'
export type { KadOptions } from './main/kad/kad-options.js'
export { createLogger, type Logger, type LogLevel } from './main/lib/log.js'
export type { LinkState } from './main/link/link-state.js'
export type { Health } from './main/metrics/health.js'
export type { PrimaryHealth } from './main/primary/watch/primary-health.js'
export type { Application, DropDuplicates, RunOptions } from './main/runner/application.js'
export type { CertifiedBatch, CertifiedOptions } from './main/worker/certified-stream.js'
export {
  type CertifiedBatches,
  type StoredBatchView,
  startWorker,
  type Worker,
  type WorkerOptions,
} from './main/worker/worker.js'
export { type Committee, parseCommittee, readCommittee } from './shared/config/committee.js'
export { generateKeys, type Keys, parseKeys, readKeys, writeKeys } from './shared/config/keys.js'
export { localCommittee } from './shared/config/local-committee.js'
export { defaultParameters, type Parameters, parseParameters, readParameters } from './shared/config/parameters.js'
export { BatchesDeletedError, CommitsPrunedError, type ErrorCode, NarvalError } from './shared/errors.js'
export { v8FlagsFor } from './shared/runtime/v8-flags.js'
export type { AckLevel } from './shared/wire/ack.js'
export { readBatchHeader, transactions } from './shared/wire/batch.js'
export type { BatchReport, PrimaryWorkerMessage, WorkerPrimaryMessage } from './shared/wire/primary-messages.js'
export { proveTransaction } from './shared/wire/proof.js'
export { decodeProof, encodeProof } from './shared/wire/proof-format.js'
export {
  checkProof,
  type ProofCheck,
  type ProofRefusal,
  type TransactionProof,
  verifyTransaction,
} from './shared/wire/verify.js'
